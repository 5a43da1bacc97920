"""Rights from a document to a filter, and archives that were written before they were read."""

from __future__ import annotations

import sqlite3

from tests.dateline.conftest import Cli, write_lines

PLAIN = ("--profile", "lexical")
DOCUMENTS = [
    {"uri": "urn:free", "headline": "Ferry one", "usageterms": "No restrictions"},
    {"uri": "urn:news", "headline": "Ferry two", "usageterms": "Editorial use only"},
    {"uri": "urn:narrow", "headline": "Ferry three", "usageterms": "Editorial use only. No sales."},
    {"uri": "urn:own", "headline": "Ferry four", "rights": ["Level 1"]},
    {"uri": "urn:silent", "headline": "Ferry five"},
]


def test_rights_filter_and_are_counted_and_told(cli: Cli) -> None:
    cli("ingest", write_lines(cli.data.parent / "in.jsonl", *DOCUMENTS), "--products", "wire")
    for query, options, expected in [
        ("ferry", ("--rights", "commercial"), {"urn:free"}),
        ("ferry", ("--rights", "EDITORIAL"), {"urn:news", "urn:narrow"}),
        ("ferry", ("--rights", "commercial,level 1"), {"urn:free", "urn:own"}),
        ("ferry rights:editorial NOT rights:restricted", (), {"urn:news"}),
        ('ferry rights:"Level 1"', (), {"urn:own"}),
        ("rights:restricted", (), {"urn:narrow"}),
    ]:
        assert set(cli.found(query, *options, *PLAIN)) == expected, (query, options)
    data = cli.json("search", "ferry", "--facet", "rights", *PLAIN)["data"]
    counted = {one["value"]: one["count"] for one in data["facets"]["rights"]}
    assert counted == {"editorial": 2, "commercial": 1, "restricted": 1, "Level 1": 1}
    told = {hit["item"]["uri"]: hit["item"].get("rights") for hit in data["items"]}
    assert told["urn:narrow"] == ["editorial", "restricted"]
    assert told["urn:silent"] is None


def test_an_archive_from_before_has_none_until_the_next_version(cli: Cli) -> None:
    path = write_lines(cli.data.parent / "in.jsonl", *DOCUMENTS)
    cli("ingest", path, "--products", "wire")
    connection = sqlite3.connect(cli.data / "record.sqlite3", isolation_level=None)
    connection.execute("UPDATE items SET facts = CAST(json_remove(facts, '$.rights') AS BLOB)")
    connection.close()
    cli("rebuild")
    assert cli.found("ferry", "--rights", "editorial", *PLAIN) == []
    assert len(cli.found("ferry", *PLAIN)) == len(DOCUMENTS)
    again = cli("ingest", path, "--products", "wire").stdout  # the same versions, not other ones
    assert "conflict" not in again
    newer = write_lines(cli.data.parent / "new.jsonl", DOCUMENTS[1] | {"version": "2"})
    cli("ingest", newer, "--products", "wire")
    assert cli.found("ferry", "--rights", "editorial", *PLAIN) == ["urn:news"]
