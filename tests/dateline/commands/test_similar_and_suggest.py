"""`dateline search --similar-to` and `dateline suggest` on a small archive."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.dateline.conftest import DOCUMENTS, Cli, write_lines


@pytest.fixture
def wire(cli: Cli, tmp_path: Path) -> Cli:
    cli("ingest", write_lines(tmp_path / "wire.jsonl", *DOCUMENTS), "--products", "demo")
    return cli


def test_what_is_like_a_story(wire: Cli) -> None:
    found = wire.json("search", "--similar-to", "urn:ferry")["data"]
    uris = [hit["item"]["uri"] for hit in found["items"]]
    assert uris[0] == "urn:photo"
    assert "urn:ferry" not in uris
    assert found["total_relation"] == "window"
    shown = wire("search", "--similar-to", "urn:ferry", "--type", "picture", "--explain").stdout
    assert "Ferry at the quay" in shown
    assert "Bank" not in shown


def test_what_is_like_nothing(wire: Cli) -> None:
    refused = wire("search", "--similar-to", "urn:none", code=2)
    assert "there is no item 'urn:none'" in refused.stderr
    refused = wire("search", "ferry", "--similar-to", "urn:ferry", code=2)
    assert "both given" in refused.stderr


def test_suggestions(wire: Cli) -> None:
    assert wire("suggest", "KALY").stdout.split() == ["1", "place", "Kalymira"]
    assert "nothing has these words" in wire("suggest", "quaintly").stdout
    answer = json.loads(wire("suggest", "ferry a", "--json", "--limit", "1").stdout)
    assert answer["query"] == "ferry a"
    assert answer["items"] == [{"text": "Ferry at the quay", "kind": "headline", "count": 1}]
    wire("set-status", "urn:photo", "canceled")
    answer = json.loads(wire("suggest", "ferry", "--json").stdout)
    assert [one["text"] for one in answer["items"]] == ["Ferry aground"]
    refused = wire("suggest", "ferry", "--products", "none", code=2)
    assert "no item belongs to none" in refused.stderr
