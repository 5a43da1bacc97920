"""`make audit`: what it finds in locks, licences and code, and what it passes over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from scripts.audit import (
    ROOT,
    forbidden_licences,
    is_allowed,
    locked_packages,
    records,
    unsafe_calls,
    vulnerabilities,
    vulnerable,
)

LOCK = """\
odd-name==1.5 ; python_version >= "3.8" \\
    --hash=sha256:00 \\
    --hash=sha256:11
other[extra]==2.0 ; sys_platform == "none" \\
    --hash=sha256:22
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text(LOCK, "utf-8")
    return path


def osv(name: str, package: str = "Odd_Name", **affected: Any) -> dict[str, Any]:
    """A record as OSV hands it out."""
    entry = {"package": {"ecosystem": "PyPI", "name": package}, **affected}
    return {"id": name, "affected": [entry]}


def between(*events: dict[str, str]) -> dict[str, Any]:
    return {"ranges": [{"type": "ECOSYSTEM", "events": list(events)}]}


# --- vulnerabilities


@pytest.mark.parametrize(
    ("affected", "is_found"),
    [
        ({"versions": ["1.4", "1.5.0"]}, True),
        ({"versions": ["1.4"]}, False),
        (between({"introduced": "0"}), True),
        (between({"introduced": "0"}, {"fixed": "1.5"}), False),
        (between({"introduced": "0"}, {"fixed": "1.5.1"}), True),
        (between({"introduced": "0"}, {"last_affected": "1.5"}), True),
        (between({"introduced": "0"}, {"last_affected": "1.4"}), False),
        (between({"introduced": "0", "fixed": "1"}, {"introduced": "1.5"}, {"fixed": "2"}), True),
        (between({"introduced": "1.6"}), False),
        (between({"introduced": "1.10"}), False),  # not by letters
    ],
)
def test_a_version_is_affected_or_not(lock: Path, affected: Any, is_found: bool) -> None:
    known = vulnerabilities([osv("OSV-1", **affected)])
    assert [("OSV-1" in line) for line in vulnerable(locked_packages([lock]), known)] == (
        [True] if is_found else []
    )


def test_withdrawn_records_and_other_ecosystems_are_passed_over(lock: Path) -> None:
    withdrawn = {**osv("OSV-1", versions=["1.5"]), "withdrawn": "2026-01-01T00:00:00Z"}
    elsewhere = osv("OSV-2", versions=["1.5"])
    elsewhere["affected"][0]["package"]["ecosystem"] = "npm"
    assert vulnerable(locked_packages([lock]), vulnerabilities([withdrawn, elsewhere])) == []


def test_a_report_by_pip_audit_is_read(lock: Path) -> None:
    report = {"dependencies": [{"name": "other", "version": "2.0", "vulns": [{"id": "PYSEC-1"}]}]}
    (line,) = vulnerable(locked_packages([lock]), vulnerabilities([report]))
    assert "PYSEC-1" in line


def test_a_database_may_be_packed_in_four_ways(tmp_path: Path) -> None:
    both = [osv("OSV-1"), osv("OSV-2")]
    (tmp_path / "list.json").write_text(json.dumps(both), "utf-8")
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, both)), "utf-8")
    (tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as packed:
        for record in both:
            text = json.dumps(record, indent=1)
            (tmp_path / "folder" / f"{record['id']}.json").write_text(text, "utf-8")
            packed.writestr(f"{record['id']}.json", text)
    for name in ("list.json", "lines.jsonl", "folder", "all.zip"):
        assert [record["id"] for record in records(tmp_path / name)] == ["OSV-1", "OSV-2"], name


def audit(database: Path | None) -> subprocess.CompletedProcess[str]:
    """The command itself, on this clone."""
    environment = {**os.environ, "VULNERABILITIES": str(database or "")}
    command = [sys.executable, "-P", str(ROOT / "scripts" / "audit.py")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_what_ships_passes_and_a_missing_database_is_told() -> None:
    done = audit(None)
    assert done.returncode == 0, done.stdout
    assert "VULNERABILITIES" in done.stdout


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ([osv("OSV-1", "numpy", **between({"introduced": "0"}))], 1),
        (None, 2),
    ],
)
def test_the_exit_code_says_what_was_found(tmp_path: Path, content: Any, code: int) -> None:
    database = tmp_path / "database.json"
    if content is not None:
        database.write_text(json.dumps(content), "utf-8")
    assert audit(database).returncode == code


# --- licences


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("LGPL-3.0-only", True),
        ("MIT OR GPL-2.0-or-later", True),
        ("BSD-3-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1", True),
        ("License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)", True),
        ("GPL-3.0-only", False),
        ("(MIT OR Apache-2.0) AND AGPL-3.0-only", False),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", False),
        ("GNU Affero General Public License", False),
        ("", False),
    ],
)
def test_licences_that_may_ship(licence: str, allowed: bool) -> None:
    assert is_allowed(licence) is allowed


def test_what_may_not_ship_or_can_t_be_read_is_a_finding(lock: Path, tmp_path: Path) -> None:
    def found() -> list[str]:
        return forbidden_licences(locked_packages([lock]), distributions(path=[str(tmp_path)]))

    assert len(found()) == 1  # not installed; nothing of `other`, which this platform lacks
    metadata = tmp_path / "odd_name-1.5.dist-info" / "METADATA"
    metadata.parent.mkdir()
    for licence, findings in (("GPL-3.0-only", 1), ("MIT", 0)):
        metadata.write_text(f"Name: Odd.Name\nVersion: 1.5\nLicense-Expression: {licence}\n")
        assert len(found()) == findings


# --- our own code


@pytest.mark.parametrize(
    "line",
    [
        "import pickle  # noqa",
        "__import__('x').y; exec(input())  # noqa: S102",
        "print(eval(input()))  # noqa: S307",
        "import marshal; marshal.loads(b'')  # noqa",
        "import os; os.system(input())  # noqa",
        "import subprocess; subprocess.run(input(), shell=True)  # noqa",
    ],
)
def test_calls_that_run_what_data_say_are_found_behind_a_comment_too(
    tmp_path: Path, line: str
) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "code.py").write_text(f"{line}\n", "utf-8")
    assert unsafe_calls(tmp_path, ["room"])
