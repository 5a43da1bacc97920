"""The demo as a newcomer gets it: ingested and served by the command line, seen in chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

PATIENCE_MS = 120_000  # on a busy machine a page takes its time
expect.set_options(timeout=PATIENCE_MS)
ENGINEER: Mapping[str, str] = {"dateline-engineer": "1"}


def unavailable(reason: str) -> NoReturn:
    """Skips where a system package is missing; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's chromium, or one that Playwright installed."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        if path is None and not Path(playwright.chromium.executable_path).exists():
            unavailable("there is no chromium on this machine (apt install chromium)")
        # Root has no sandbox in chromium; CI and containers run as root.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        with playwright.chromium.launch(
            executable_path=path, args=options, timeout=PATIENCE_MS
        ) as running:
            yield running


def opened(
    browser: Browser,
    url: str,
    width: int,
    height: int,
    scheme: str,
    *,
    locale: str = "en-GB",
    zone: str = "Europe/Berlin",
    kept: Mapping[str, str] = ENGINEER,
) -> Iterator[Page]:
    """A page that must load nothing from elsewhere and log no error of its own. `kept` is what the
    browser has kept of it before: by default that the engineer's view is on.
    """
    values = [{"name": name, "value": value} for name, value in kept.items()]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        locale=locale,
        timezone_id=zone,
        base_url=url,
        storage_state={"cookies": [], "origins": [{"origin": url, "localStorage": values}]},
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    faults: list[str] = []

    def asked(request: Request) -> None:
        if not request.url.startswith((url, "data:")):
            faults.append(request.url)

    def said(message: ConsoleMessage) -> None:
        # Answers of 4xx are asked for by some tests; the browser logs them by itself.
        if message.type == "error" and "Failed to load" not in message.text:
            faults.append(message.text)

    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", asked)
    page.on("console", said)
    try:
        yield page
    finally:
        context.close()
    assert faults == []


@pytest.fixture
def page(browser: Browser, service: str) -> Iterator[Page]:
    """A desktop's window."""
    yield from opened(browser, service, 1366, 900, "light")


@pytest.fixture
def phone(browser: Browser, service: str) -> Iterator[Page]:
    """A phone's window, in the dark."""
    yield from opened(browser, service, 390, 844, "dark")


@pytest.fixture
def overseas(browser: Browser, service: str) -> Iterator[Page]:
    """A reader in New York, who writes the month first."""
    yield from opened(browser, service, 1366, 900, "light", locale="en-US", zone="America/New_York")
