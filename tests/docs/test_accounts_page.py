"""docs/accounts.md: its commands run in their order, and its figures are the program's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.customers.accounts import Method, Quota
from dateline.cli import app
from tests.demo_service import ROOT

PAGE = (ROOT / "docs" / "accounts.md").read_text("utf-8")


def test_the_commands_run_as_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = ""
    lines = re.findall(r"^dateline .*$", PAGE, re.MULTILINE)
    for line in lines:
        if head := re.search(r"[0-9]+:[0-9a-f]{64}", shown):
            line = line.replace("NUMBER:DIGEST", head[0])
        done = CliRunner().invoke(app, shlex.split(line)[1:], env={"DATELINE_DATA": str(tmp_path)})
        assert done.exit_code == 0, (line, done.output)
        verified = CliRunner().invoke(app, ["audit", "verify", "--data", str(tmp_path)])
        shown = verified.output
    assert len(lines) >= 9


def test_the_defaults_are_the_programs() -> None:
    assert f"{Quota().minute} and {Quota().day:,}" in " ".join(PAGE.split())
    assert all(f"`{method}`" in PAGE for method in Method)
