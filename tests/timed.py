"""A test that measures time is tried three times before it fails: other work of the machine
lengthens what is measured, and a defect fails each time. A run ends with a list of what was tried
again.
"""

from __future__ import annotations

import time

import pytest
from _pytest.runner import runtestprotocol

PAUSES_S = (1.0, 10.0)  # before the second try and the third
_TRIES = "tries"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Runs a test that is marked `timed`; pytest runs the others."""
    if item.get_closest_marker("timed") is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    for tries, pause in enumerate(PAUSES_S, start=2):
        if not any(each.failed for each in reports):
            break
        time.sleep(pause)
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        for each in reports:
            each.user_properties.append((_TRIES, tries))
    for each in reports:
        item.ihook.pytest_runtest_logreport(report=each)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tells which tests passed only when they were tried again."""
    for report in terminalreporter.stats.get("passed", []):
        tries = dict(report.user_properties).get(_TRIES)
        if tries is not None:
            terminalreporter.write_line(f"passed at try {tries}: {report.nodeid}")
