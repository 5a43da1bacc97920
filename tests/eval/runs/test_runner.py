"""What is scored is what was served, in its order, with refusals and flags counted."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.callers import Caller
from core.errors import InputError, QueryError
from core.items import Item, ItemType
from core.retrieval import TotalRelation
from eval.runs.answering import Answer
from eval.runs.results import RunResult, System, same_questions, write_run
from eval.runs.run_summary import degraded, refused
from eval.runs.runner import evaluate, evaluate_answers
from eval.sets.datasets import JudgedSet, read_judged_set
from eval.sets.trec import read_run
from search.answers import DateUse, Hit, SearchRequest, SearchResponse, Total, Understood
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


def values_of(result: RunResult) -> dict[str, dict[str, float]]:
    return {row.query_id: dict(row.values) for row in result.rows}


def test_served_order_is_what_counts(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder()))
    search = Scripted({"boats to the isles": ["d3", "d1"], "storm harbour": ["d2", "d1"]})
    found = evaluate(search, judged, "hybrid", CALLER, measures=("RR", "P@1", "R@100"))
    assert values_of(found) == {
        "q1": {"RR": 0.5, "P@1": 0.0, "R@100": 1.0},
        "q2": {"RR": 1.0, "P@1": 1.0, "R@100": 1.0},
    }
    assert found.measures == ("RR", "P@1", "R@100")
    assert [found.mean(name) for name in found.measures] == [0.75, 0.5, 1.0]
    assert [row.unjudged for row in found.rows] == [1, 0]
    assert [row.documents for row in found.rows] == [("d3", "d1"), ("d2", "d1")]
    assert all(caller is CALLER for _, caller in search.asked)
    assert {request.profile for request, _ in search.asked} == {"hybrid"}


def test_what_was_asked_of_what_is_kept(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder()))
    found = evaluate(Scripted({}), judged, "hybrid", CALLER)
    kept = found.collection
    assert (kept.label, kept.documents, kept.queries) == ("tiny:test", 3, 2)
    assert len(kept.corpus_sha256) == len(kept.judgements_sha256) == 64
    assert found.rows[0].text == "boats to the isles"
    assert found.rows[0].slices["words"] == "4-8"
    assert found.system == System("hybrid", "hybrid")
    assert datetime.fromisoformat(found.made_at).tzinfo is not None


def test_other_judgements_or_documents_are_another_collection(make_folder: MakeFolder) -> None:
    one, other = (
        evaluate(Scripted({}), read_judged_set(str(folder)), "hybrid", CALLER)
        for folder in (make_folder(), make_folder(name="other/tiny", judgements=("q1\td1\t2",)))
    )
    assert one.collection.corpus_sha256 == other.collection.corpus_sha256
    assert one.collection.judgements_sha256 != other.collection.judgements_sha256
    assert same_questions(one, other)
    assert not same_questions(one, one)


def test_deep_lists_go_on_by_cursor(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder()))
    deep = [f"x{n}" for n in range(350)] + ["d1"] + [f"y{n}" for n in range(500)]
    search = Scripted({"boats to the isles": deep})
    found = evaluate(search, judged, "hybrid", CALLER, depth=500, measures=("RR",))
    assert values_of(found)["q1"]["RR"] == 1 / 351
    assert len(found.rows[0].documents) == found.depth == 500


def test_refused_queries_score_zero_and_are_named(make_folder: MakeFolder) -> None:
    queries = ({"_id": "q1", "text": "refuse me"}, {"_id": "q2", "text": "storm harbour"})
    judged = read_judged_set(str(make_folder(queries=queries)))
    search = Scripted({"storm harbour": ["d2"]}, degraded=("vectors: no encoder",))
    found = evaluate(search, judged, "hybrid", CALLER, measures=("P@1",))
    assert found.mean("P@1") == 0.5
    assert refused(found) == {"q1": "no such date"}
    assert degraded(found) == {"vectors": 1}


def test_a_profile_that_is_none_is_an_error_and_not_a_zero(make_folder: MakeFolder) -> None:
    class Refusing(Scripted):
        def search(self, request: SearchRequest, caller: Caller) -> SearchResponse:
            raise QueryError(f"there is no profile {request.profile!r}")

    judged = read_judged_set(str(make_folder()))
    with pytest.raises(QueryError, match="no profile 'hybird'"):
        evaluate(Refusing({}), judged, "hybird", CALLER)


def test_zero_hits_everywhere_are_noted(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder()))
    assert "no query found anything" in evaluate(Scripted({}), judged, "hybrid", CALLER).notes
    found = evaluate(Scripted({"storm harbour": ["d2"]}), judged, "hybrid", CALLER)
    assert found.notes == ()
    assert values_of(found)["q1"] == {"nDCG@10": 0.0, "R@100": 0.0, "RR@10": 0.0}


def test_progress_is_told_from_none_to_all(make_folder: MakeFolder) -> None:
    said: list[tuple[int, int]] = []
    judged = read_judged_set(str(make_folder()))
    evaluate(Scripted({}), judged, "hybrid", CALLER, said=lambda *counts: said.append(counts))
    assert said == [(0, 2), (1, 2), (2, 2)]


def test_a_written_run_is_read_in_the_order_that_was_served(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    judged = read_judged_set(str(make_folder()))
    served = [f"d{n}" for n in (3, 1, 2)]
    found = evaluate(Scripted({"storm harbour": served}), judged, "hybrid", CALLER)
    write_run(found, tmp_path / "run.trec")
    assert read_run(tmp_path / "run.trec") == {"q2": tuple(served)}


def test_a_measure_deeper_than_the_lists(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder()))
    with pytest.raises(InputError, match="R@100 looks deeper than 20"):
        evaluate(Scripted({}), judged, "hybrid", CALLER, depth=20)
    with pytest.raises(InputError, match="depth is 0"):
        evaluate(Scripted({}), judged, "hybrid", CALLER, depth=0, measures=("RR",))


def test_milliseconds_are_percentiles(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder()))
    found = evaluate(Scripted({}), judged, "hybrid", CALLER)
    rows = tuple(replace(row, milliseconds=float(n)) for n, row in enumerate(found.rows, 1))
    assert replace(found, rows=rows).milliseconds(50) == 1.5


class Reversed:
    """With two clients the first query has its answer after the second."""

    def __init__(self, judged: JudgedSet, clients: int) -> None:
        self.judged = judged
        self.order = list(judged.queries.values())
        self.second_asked = threading.Event()
        if clients == 1:
            self.second_asked.set()

    def answer(self, text: str, depth: int, dates: DateUse = DateUse.FILTER) -> Answer:
        if text == self.order[0]:
            assert self.second_asked.wait(120)
        elif text == self.order[1]:
            self.second_asked.set()
        document = "d1" if text == self.order[0] else "d2"
        return Answer((self.judged.uri_prefix + document,), (), 1.0)


def test_several_clients_give_what_one_gives(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder()))
    alone, together = (
        evaluate_answers(Reversed(judged, clients), judged, System("s", "p"), clients=clients)
        for clients in (1, 2)
    )
    assert together.clients == 2
    assert [row.query_id for row in together.rows] == ["q1", "q2"]
    assert [row.documents for row in together.rows] == [("d1",), ("d2",)]
    assert together.rows == alone.rows
