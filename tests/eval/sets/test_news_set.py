"""Our own judged queries over Reuters: what the set promises of itself, and that it is sound."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from eval.sets.datasets import Doubts, read_judged_set
from search.answers import DateUse
from search.understanding.dates import calendar_of
from search.understanding.understand import Understanding

ROOT = Path(__file__).resolve().parents[3]
NEWS = ROOT / "datasets" / "news"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (NEWS / name).read_text("utf-8").splitlines()]


def test_a_hundred_queries_of_which_half_are_controls() -> None:
    halves = Counter(row["facets"]["half"] for row in rows("queries.jsonl"))
    assert set(halves) == {"understanding", "control"}
    assert sum(halves.values()) >= 100
    assert abs(halves["understanding"] - halves["control"]) <= 5


def test_each_half_is_what_it_says() -> None:
    for row in rows("queries.jsonl"):
        facets = row["facets"]
        understood = facets["date_bound"] or facets["entity_heavy"]
        assert understood == (facets["half"] == "understanding"), row


def test_ids_and_grades_only() -> None:
    """No text of the documents may be passed on."""
    for row in rows("judgements.jsonl"):
        assert set(row) == {"query_id", "document_id", "judge", "grade"}
        assert row["document_id"].isdigit()


def test_each_query_has_something_to_find_and_something_to_avoid() -> None:
    grades: dict[str, set[int]] = {}
    for row in rows("judgements.jsonl"):
        grades.setdefault(row["query_id"], set()).add(row["grade"])
    assert list(grades) == [row["_id"] for row in rows("queries.jsonl")]
    assert {query for query, given in grades.items() if not given & {1, 2}} == set()
    assert sum(0 in given for given in grades.values()) > 0.8 * len(grades)


def test_dates_are_read_whatever_the_day_is() -> None:
    """A relative date would make the figure another one each day."""
    understanding = Understanding(None)
    dated = [row for row in rows("queries.jsonl") if row["facets"]["date_bound"]]
    for row in dated:
        spans = []
        for year in (2026, 2031):
            calendar = calendar_of(datetime(year, 5, 6, tzinfo=UTC), "UTC", "en-US")
            found = understanding.understand(row["text"], calendar=calendar)
            spans.append([(each.since, each.until) for each in found.said.dates])
        assert spans[0], row["text"]
        assert spans[0] == spans[1], row["text"]


def test_the_needs_are_written_down() -> None:
    readme = (NEWS / "README.md").read_text("utf-8")
    for row in rows("queries.jsonl"):
        assert f"| {row['_id']} | {row['text']} | " in readme


def test_it_is_sound_where_the_documents_are() -> None:
    shared = Path(os.environ.get("DATELINE_SHARED", ROOT.parent / "shared"))
    if not (shared / "datasets/reuters21578").is_dir():
        pytest.skip(f"no Reuters at {shared}/datasets; set DATELINE_SHARED")
    judged = read_judged_set(str(NEWS))
    assert (judged.name, judged.documents) == ("news", 19_043)
    assert judged.uri_prefix == "urn:beir:reuters21578:"
    assert judged.dates is DateUse.FILTER
    assert judged.judges == ("a", "b")
    assert judged.doubts == Doubts(by_machine=3485)  # no person has checked it
