"""Rules and dashboards: they name what is exported, and the rules alert when they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import dateline
from api.metrics import Metrics
from scripts.dashboards import DASHBOARDS, text_of
from tests.docs.test_paths import broken

FOLDER = Path(dateline.__file__).parent.parent / "deploy/observability"
_NAME = re.compile(r"\b(?:dateline|process)_[a-z_]+|\bdateline:[a-z_0-9:]+")
_SCALES = re.compile(r"\bdateline_[a-z_]+")
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")


def exported() -> set[str]:
    """The names of all samples of a service, also of series that nothing has counted yet."""
    names: set[str] = set()
    for metric in Metrics().collected({}):
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        names |= {metric.name + end for end in ends.get(metric.type, ("", "_info"))}
        names |= {sample.name for sample in metric.samples}
    return names


def expressions() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in (FOLDER / "dashboards").glob("*.json"):
        panels = json.loads(path.read_text())["panels"]
        found[path.name] = [target["expr"] for panel in panels for target in panel["targets"]]
    found["rules.yaml"] = [rule["expr"] for rule in rules()]
    return found


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_metric_that_is_named_is_exported() -> None:
    known = exported() | {rule["record"] for rule in rules() if "record" in rule}
    for file, found in expressions().items():
        named = {name for expression in found for name in _NAME.findall(expression)}
        assert named, file
        assert named <= known, file


def test_every_metric_that_scales_something_is_exported() -> None:
    """In the chart and in the manifests: a name of a metric is known by its unit or its subject."""
    deploy = FOLDER.parent
    files = [path for name in ("helm", "kubernetes") for path in (deploy / name).rglob("*.yaml")]
    named = {name for path in files for name in _SCALES.findall(path.read_text())}
    assert "dateline_work_oldest_seconds" in named
    assert named <= exported()


def test_the_dashboards_are_those_of_the_script() -> None:
    written = {path.stem: path.read_text() for path in (FOLDER / "dashboards").glob("*.json")}
    assert written == {name: text_of(name, panels) for name, panels in DASHBOARDS.items()}


def test_every_alert_says_what_and_how_to_mend_it() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    assert all({"summary", "mend", "runbook"} == set(alert["annotations"]) for alert in alerts)
    pages = [alert["annotations"]["runbook"] for alert in alerts]
    assert [page for page in pages if broken(FOLDER.parent.parent / "README.md", page)] == []
    assert {alert["labels"]["severity"] for alert in alerts} == {"page", "ticket"}


@promtool
@pytest.mark.parametrize(
    "command", [["check", "rules", "rules.yaml"], ["test", "rules", "rules_test.yaml"]]
)
def test_promtool_agrees(command: list[str]) -> None:
    done = subprocess.run(
        ["promtool", *command], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
