"""`dateline use`: what is told, exported and erased of a log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.customers.use import Action, Event, LoggedQuery
from customers.use_log import hashed
from dateline.build.customers.accounts import CUSTOMERS_FILE
from eval.sets.datasets import read_judged_set
from storage.customers.use_log import StoredUse
from storage.databases import open_database
from tests.dateline.conftest import DOCUMENTS, Cli, write_lines

HITS = ("urn:ferry", "urn:photo")


@pytest.fixture
def logged(cli: Cli, tmp_path: Path) -> Iterator[StoredUse]:
    """An archive, and a log of 40 queries: the second hit is clicked more than the first."""
    cli("ingest", write_lines(tmp_path / "wire.jsonl", *DOCUMENTS), "--products", "demo")
    database = open_database(cli.data / CUSTOMERS_FILE)
    store = StoredUse(database)
    now = datetime.now(UTC)
    for number in range(40):
        at = now - timedelta(days=number)
        hits = HITS if number % 2 else HITS[::-1]
        caller = hashed(store.secret(1), "caller", f"paper{number % 4}")
        query = LoggedQuery(
            f"q{number}", at, 1, caller, "k", "hybrid", hits, 2, 9.0, words="never stored"
        )
        store.add(query, "ferry aground", 3)
        if number < 30:
            store.note(Event(query.id, HITS[1], Action.CLICK, at), caller)
    yield store
    database.close()


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_ubi_s_files_have_no_killed_item(cli: Cli, logged: StoredUse, tmp_path: Path) -> None:
    cli("use", "export", tmp_path / "ubi")
    queries, events = (lines(tmp_path / "ubi" / f"ubi_{n}.jsonl") for n in ("queries", "events"))
    assert (len(queries), len(events)) == (40, 30)
    first = queries[-1]  # the newest
    assert first["user_query"] == "ferry aground"
    assert {*first["query_response_hit_ids"]} == {*HITS}  # type: ignore[misc]
    told = {e["query_id"]: e["event_attributes"] for e in events}["q0"]
    found = {"object_id": "urn:photo", "object_id_field": "uri"}
    assert told == {"object": found, "position": {"ordinal": 1}}
    assert "paper" not in str(queries)
    cli("set-status", "urn:photo", "canceled")
    cli("use", "export", tmp_path / "after")
    for name in ("ubi_queries.jsonl", "ubi_events.jsonl"):
        assert "urn:photo" not in (tmp_path / "after" / name).read_text("utf-8")


def test_weak_grades_are_a_set_of_their_own(cli: Cli, logged: StoredUse, tmp_path: Path) -> None:
    folder = tmp_path / "clicks"
    (tmp_path / "wire").mkdir()
    write_lines(tmp_path / "wire" / "stories.jsonl", *DOCUMENTS)
    cli("use", "export", folder, "--as", "eval", "--corpus", "wire")
    rows = (folder / "qrels" / "clicks.tsv").read_text().splitlines()[1:]
    assert sorted(rows) == ["c1\turn:ferry\t0", "c1\turn:photo\t2"]
    judged = read_judged_set(f"{folder}:clicks")
    assert judged.doubts.by_clicks == 2
    assert "clicks" in "".join(judged.doubts.lines())
    cli("use", "export", folder, "--as", "eval")  # again: its own grades are replaced
    (folder / "judgements.jsonl").write_text("")
    refused = cli("use", "export", folder, "--as", "eval", code=2)
    assert "not of clicks" in refused.stderr


def test_an_account_is_erased_and_old_queries_are_not_read(cli: Cli, logged: StoredUse) -> None:
    told = cli.json("use", "status")
    assert (told["accounts"], told["queries"], told["clicked"]) == ([], 40, 30)
    assert cli.json("use", "erase", "paper1") == {"account": "paper1", "erased": 10}
    assert cli.json("use", "status")["queries"] == 30
    assert cli.json("use", "erase", "nobody")["erased"] == 0
