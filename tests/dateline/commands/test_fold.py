"""`dateline search --fold`, and `rebuild` on an archive whose versions have no signatures yet."""

from __future__ import annotations

import sqlite3

from tests.dateline.conftest import Cli, write_lines

TEXT = "The ferry is aground off Kalymira, the coast guard said. Nobody was hurt, and two tugs are "
FOLD = ("--fold", "near_duplicates", "--profile", "lexical")


def signatures(cli: Cli, statement: str = "SELECT COUNT(*) FROM signatures") -> int:
    connection = sqlite3.connect(cli.data / "record.sqlite3", isolation_level=None)
    found = connection.execute(statement).fetchone()
    connection.close()
    return int(found[0]) if found else 0


def test_folded_on_request_and_rebuilt(cli: Cli) -> None:
    documents = [
        {"uri": "urn:one", "headline": "Ferry aground", "body_text": f"{TEXT}on their way."},
        {"uri": "urn:two", "headline": "Ferry aground", "body_text": f"{TEXT}on the way."},
        {"uri": "urn:bank", "headline": "Bank says no to a ferry", "body_text": "It is too dear."},
    ]
    path = write_lines(cli.data.parent / "in.jsonl", *documents)
    cli("ingest", path, "--products", "wire")
    assert sorted(cli.found("ferry", "--profile", "lexical")) == ["urn:bank", "urn:one", "urn:two"]
    shown = cli("search", "ferry", *FOLD).stdout
    assert "exactly 2 groups of stories" in shown
    assert shown.count("nearly the same text: urn:") == 1
    answer = cli.json("search", "ferry", *FOLD)["data"]
    assert (answer["total_items"], answer["counted"], len(answer["items"])) == (2, "groups", 2)

    signatures(cli, "DELETE FROM signatures")
    assert cli.json("search", "ferry", *FOLD)["data"]["total_items"] == 2
    assert signatures(cli) == 0  # made for the answer only
    cli("rebuild")
    assert signatures(cli) == 3
