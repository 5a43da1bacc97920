"""What is scored is what was served, in its order, with refusals and flags counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.callers import Caller
from core.errors import InputError, QueryError
from core.items import Item, ItemType
from core.retrieval import TotalRelation
from eval.datasets import read_judged_set
from eval.measures import ranked
from eval.runner import evaluate, write_run
from search.answers import Hit, SearchRequest, SearchResponse, Total, Understood
from tests.eval.conftest import MakeFolder

CALLER = Caller("evaluation", frozenset({"eval"}))
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def story(document: str) -> Item:
    uri = f"urn:beir:tiny:{document}"
    return Item(uri, 0, ItemType.TEXT, LONG_AGO, LONG_AGO, uri)


class Scripted:
    """Answers each query from a table, page by page; remembers who asked and what."""

    def __init__(self, answers: dict[str, list[str]], degraded: tuple[str, ...] = ()) -> None:
        self.answers = answers
        self.degraded = degraded
        self.asked: list[tuple[SearchRequest, Caller]] = []

    def search(self, request: SearchRequest, caller: Caller) -> SearchResponse:
        self.asked.append((request, caller))
        if request.q == "refuse me":
            raise QueryError("no such date")
        found = self.answers.get(request.q, [])
        start = int(request.cursor or 0)
        end = start + request.page_size
        hits = tuple(
            Hit(item=story(document), rank=start + n, score=0.5)
            for n, document in enumerate(found[start:end], 1)
        )
        return SearchResponse(
            hits=hits,
            total=Total(len(found), TotalRelation.EXACT),
            page=1,
            page_size=request.page_size,
            profile=request.profile,
            understood=Understood("", ""),
            cursor=str(end) if end < len(found) else "",
            degraded=self.degraded,
        )


def test_served_order_is_what_counts(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder()))
    search = Scripted({"boats to the isles": ["d3", "d1"], "storm harbour": ["d2", "d1"]})
    found = evaluate(search, judged, "hybrid", CALLER, measures=("RR", "P@1", "R@100"))
    assert found.per_query["q1"] == {"RR": 0.5, "P@1": 0.0, "R@100": 1.0}
    assert found.per_query["q2"] == {"RR": 1.0, "P@1": 1.0, "R@100": 1.0}
    assert found.means == {"RR": 0.75, "P@1": 0.5, "R@100": 1.0}
    assert found.unjudged == 1
    assert all(caller is CALLER for _, caller in search.asked)
    assert {request.profile for request, _ in search.asked} == {"hybrid"}


def test_deep_lists_go_on_by_cursor(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder()))
    deep = [f"x{n}" for n in range(350)] + ["d1"] + [f"y{n}" for n in range(500)]
    search = Scripted({"boats to the isles": deep})
    found = evaluate(search, judged, "hybrid", CALLER, depth=500, measures=("RR",))
    assert found.per_query["q1"]["RR"] == 1 / 351
    assert len(found.answers["q1"].documents) == 500


def test_refused_queries_score_zero_and_are_named(make_folder: MakeFolder) -> None:
    queries = ({"_id": "q1", "text": "refuse me"}, {"_id": "q2", "text": "storm harbour"})
    judged = read_judged_set(str(make_folder(queries=queries)))
    search = Scripted({"storm harbour": ["d2"]}, degraded=("vectors: no encoder",))
    found = evaluate(search, judged, "hybrid", CALLER, measures=("P@1",))
    assert found.means == {"P@1": 0.5}
    assert found.refused == {"q1": "no such date"}
    assert found.degraded == {"vectors": 1}


def test_the_summary_names_what_went_wrong(make_folder: MakeFolder) -> None:
    queries = ({"_id": "q1", "text": "refuse me"}, {"_id": "q2", "text": "storm harbour"})
    judged = read_judged_set(str(make_folder(queries=queries)))
    search = Scripted({"storm harbour": ["d2", "d3"]}, degraded=("vectors: no encoder",))
    said = evaluate(search, judged, "hybrid", CALLER).with_notes(["a doubt"]).summary()
    assert said.splitlines()[0] == "tiny:test, profile hybrid: 2 queries, 3 documents"
    for line in (
        "1 of the documents found have no judgement",
        "vectors degraded in 1 answers",
        "query q1 was refused: no such date",
        "a doubt",
    ):
        assert line in said.splitlines()


def test_json_has_settings_means_and_queries(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder()))
    tree = evaluate(Scripted({}), judged, "hybrid", CALLER).with_notes(["a doubt"]).as_dict()
    assert tree["measures"] == {"nDCG@10": 0.0, "R@100": 0.0, "RR@10": 0.0}
    assert (tree["dataset"], tree["split"], tree["profile"]) == ("tiny", "test", "hybrid")
    assert tree["queries"] == len(tree["per_query"]) == 2
    assert tree["notes"] == ["a doubt"]
    assert 0 <= tree["milliseconds"]["p50"] <= tree["milliseconds"]["p99"]


def test_a_trec_run_keeps_served_order(make_folder: MakeFolder, tmp_path: Path) -> None:
    judged = read_judged_set(str(make_folder()))
    served = [f"d{n}" for n in (3, 1, 2)]
    found = evaluate(Scripted({"storm harbour": served}), judged, "hybrid", CALLER)
    path = tmp_path / "run.txt"
    write_run(found, path)
    rows = [line.split() for line in path.read_text().splitlines()]
    assert [row[2] for row in rows] == served
    assert [row[3] for row in rows] == ["1", "2", "3"]
    assert {row[0] for row in rows} == {"q2"}
    assert ranked({row[2]: float(row[4]) for row in rows}) == tuple(served)


def test_a_measure_deeper_than_the_lists(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder()))
    with pytest.raises(InputError, match="R@100 looks deeper than 20"):
        evaluate(Scripted({}), judged, "hybrid", CALLER, depth=20)


def test_milliseconds_are_percentiles(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder()))
    found = evaluate(Scripted({}), judged, "hybrid", CALLER)
    answers = {
        query: replace(answer, milliseconds=float(n))
        for n, (query, answer) in enumerate(found.answers.items(), 1)
    }
    assert replace(found, answers=answers).milliseconds(50) == 1.5
