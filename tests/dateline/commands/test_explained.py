"""`dateline search --why-missing`, "Did you mean", and the editors' file, on a small archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dateline.conftest import Cli


def test_why_missing(reading: Cli) -> None:
    filtered = reading("search", "ferry", "--type", "text", "--why-missing", "urn:photo").stdout
    assert "urn:photo (filters): this filter excludes it: type is text" in filtered
    assert "what would show it: leave it out" in filtered
    words = reading(
        "search", "borrowing", "--profile", "lexical", "--why-missing", "urn:ferry"
    ).stdout
    assert "no word matches it (borrowing)" in words
    assert "not in it: borrowing" in words
    unknown = reading.json("search", "ferry", "--why-missing", "urn:none")["data"]["missing"]
    assert unknown["stage"] == "archive"


def test_an_operator_is_told_of_a_kill(writing: Cli) -> None:
    writing("set-status", "urn:photo", "canceled")
    assert "it is killed" in writing("search", "ferry", "--why-missing", "urn:photo").stdout


def test_did_you_mean(reading: Cli) -> None:
    assert "Did you mean ferry aground?" in reading("search", "fery aground").stdout
    assert "Did you mean" not in reading("search", "ferry aground").stdout


def test_no_spelling_where_none_is_wanted(reading: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATELINE_SPELLING_FEW", "-1")
    assert "Did you mean" not in reading("search", "fery aground").stdout


def test_the_editors_file(reading: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = tmp_path / "editors.toml"
    rules.write_text(
        '[[synonyms]]\nwords = ["boat", "ferry"]\n\n'
        '[[pins]]\nquery = "ferry"\nuris = ["urn:bank"]\n',
        "utf-8",
    )
    monkeypatch.setenv("DATELINE_EDITORIAL", str(rules))
    assert reading.found("ferry")[0] == "urn:bank"
    assert "(pinned)" in reading("search", "ferry").stdout
    shown = reading("search", "boat", "--profile", "lexical").stdout
    assert "boat also finds ferry (editors' synonym)" in shown
    assert "Ferry aground" in shown
    status = reading.json("status")
    assert status["editorial"] == {
        "file": str(rules),
        "synonyms": 2,
        "pins": 1,
        "problem": "",
    }


def test_a_wrong_editors_file_is_said_at_the_start(
    reading: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tmp_path / "editors.toml"
    rules.write_text('[[pins]]\nquery = "ferry"\n', "utf-8")
    monkeypatch.setenv("DATELINE_EDITORIAL", str(rules))
    refused = reading("search", "ferry", code=3)
    assert "pins.0.uris" in refused.stderr
    assert "mend:" in refused.stderr


def test_breaking_is_a_profile(reading: Cli) -> None:
    answer = reading.json("search", "ferry", "--profile", "breaking")["data"]
    assert answer["profile"] == "breaking"
    kept = [hit["meta"]["explanation"]["recency"] for hit in answer["items"]]
    assert kept == pytest.approx([0.5] * len(kept), abs=1e-3)  # years old, all of them
    assert "recency" in reading("search", "ferry", "--profile", "breaking", "--explain").stdout
