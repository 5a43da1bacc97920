from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from time import perf_counter
from typing import Any, cast

import numpy as np
import pytest

from core.callers import NOBODY, Caller
from core.entities import Entity, EntityLabel
from core.errors import BusyError, ModelError, QueryError, UnavailableError
from core.items import Concept, FloatMatrix, ItemType, PubStatus
from core.query_tree import Bool, DateRange, Keyword, Word
from core.retrieval import Ids, SortOrder, TotalRelation
from core.writes import SetStatus
from rerank.deadline import DeadlineReranker
from search.answers import FACET_FIELDS, EntityUse, Explanation, Hit, SearchRequest
from search.highlight import END, START
from search.pipeline import SearchPipeline
from tests.search.room import (
    BOTH,
    PHOTOS,
    READER,
    FailingEncoder,
    HashingEncoder,
    Room,
    story,
    uris,
)
from tests.search.room import START as MORNING

PROFILES = ["lexical", "vector", "hybrid", "hybrid-rrf", "hybrid-rerank"]


@pytest.fixture
def wire(room: Room) -> Room:
    """Six stories, two of them one story's write-throughs, and a picture for another product."""
    room.put(
        story(
            "ferry-1",
            "Ferry aground",
            body="The ferry is aground off Kalymira.",
            chain="ferry",
            place=(Concept("Kalymira"),),
        ),
        story(
            "ferry-2",
            "Ferry refloated",
            body="The ferry was refloated at Kalymira. Nobody was hurt.",
            chain="ferry",
            when=2,
            place=(Concept("Kalymira"),),
            subject=(Concept("transport"),),
        ),
        story(
            "storm",
            "Storm closes port",
            body="A storm closed the port of Kalymira.",
            when=5,
            place=(Concept("Kalymira"),),
            subject=(Concept("weather"),),
        ),
        story("bank", "Bank raises rates", body="The central bank raised rates. No ferry.", when=3),
        story(
            "election",
            "Solvane wins",
            body="Ingrid Solvane won the election.",
            when=30,
            person=(Concept("Ingrid Solvane"),),
        ),
        story("tonnage", "Fleet grows", body="More ferries and more tankers.", when=-800),
        story(
            "photo",
            "Ferry at the quay",
            description="A ferry at the quay.",
            type=ItemType.PICTURE,
            products=("photos",),
            when=1,
        ),
    )
    return room


class Scorer:
    """Scores a passage by how often a word is in it; each batch takes `milliseconds`."""

    def __init__(self, word: str, milliseconds: float = 0.0) -> None:
        self.word = word
        self.milliseconds = milliseconds

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        until = perf_counter() + self.milliseconds / 1000
        while perf_counter() < until:
            pass
        return np.array([[passage.count(self.word)] for passage in passages], np.float32)


class BrokenScorer:
    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        raise RuntimeError("out of memory")


class NameTagger:
    def tag(self, texts: Sequence[str]) -> tuple[tuple[Entity, ...], ...]:
        name = "Ingrid Solvane"
        return tuple(
            (Entity(name, EntityLabel.PER, text.index(name), text.index(name) + len(name), 0.9),)
            if name in text
            else ()
            for text in texts
        )


class FailingTagger:
    def tag(self, texts: Sequence[str]) -> tuple[tuple[Entity, ...], ...]:
        raise ValueError("bad input ids")


# --- what is found


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_answers_and_names_itself(wire: Room, profile: str) -> None:
    answer = wire.ask("ferry", profile=profile)
    assert answer.profile == profile
    assert uris(answer)[0] in ("ferry-2", "bank", "tonnage")
    assert {"ferry-2", "bank", "tonnage"} <= set(uris(answer))


def test_lexical_finds_words_only_and_vectors_everything_near(wire: Room) -> None:
    assert set(uris(wire.ask("ferry", profile="lexical"))) == {"ferry-2", "bank", "tonnage"}
    assert len(uris(wire.ask("ferry", profile="vector"))) == 5


def test_a_story_is_one_hit_its_newest_version(wire: Room) -> None:
    hit = next(h for h in wire.ask("ferry").hits if h.item.uri == "ferry-2")
    assert hit.versions == 2
    assert "ferry-1" not in uris(wire.ask("aground"))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('"central bank"', {"bank"}),
        ("+storm", {"storm"}),
        ("ferry AND kalymira", {"ferry-2"}),
        ("headline:ferry", {"ferry-2"}),
        ('"central bank" OR "the election"', {"bank", "election"}),
        ("headline:storm OR headline:solvane", {"storm", "election"}),
        ("kalymira NOT storm", {"ferry-2"}),
        ("place:kalymira AND ferry", {"ferry-2"}),
        ("ref*", {"ferry-2"}),
        ('kalymira ""', {"ferry-2", "storm"}),
    ],
)
def test_what_narrows_holds_for_every_retriever(
    wire: Room, profile: str, query: str, found: set[str]
) -> None:
    """Vectors find what is near, but never what the query excludes."""
    answer = wire.ask(query, profile=profile)
    if 'kalymira ""' in query or "NOT" in query:
        only_ranks = {"vector", "hybrid", "hybrid-rrf", "hybrid-rerank"}
        if profile in only_ranks:
            assert found <= set(uris(answer))
            assert "NOT" not in query or "storm" not in uris(answer)
            return
    assert set(uris(answer)) == found


class TwoStories:
    """The room's engine, but for what belongs together: everything is one of two stories."""

    def __init__(self, room: Room) -> None:
        self._engine = room.engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def chains(self, ids: Ids) -> Ids:
        return ids % 2


def test_each_story_is_shown_once_by_its_best_candidate(room: Room) -> None:
    """Whatever an engine lets through: one hit for each number that `chains` gives."""
    room.put(*(story(f"s-{n}", "ferry " + "quay " * n) for n in range(8)))
    whole = room.ask("ferry quay", page_size=50)
    parts = room.pipeline._parts
    folded = SearchPipeline(replace(parts, engine=cast("Any", TwoStories(room))))
    answer = room.ask("ferry quay", page_size=50, pipeline=folded)
    best = {int(uri[2:]) % 2: uri for uri in reversed(uris(whole))}
    assert uris(answer) == sorted(best.values(), key=uris(whole).index)
    assert answer.total.value == 2


def test_unknown_names_and_sizes_are_refused(wire: Room) -> None:
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: wire.ask("a", profile="best"), "profile 'best'"),
        (lambda: wire.ask("a", page=0), "page is 0"),
        (lambda: wire.ask("a", page_size=0), "page_size is 0"),
        (lambda: wire.ask("a", page_size=10**9), "page_size is 1000000000"),
        (lambda: wire.ask("a", facets=("colour",)), "no facet 'colour'"),
        (lambda: wire.ask("a", filters=Word("x")), "asks for text"),
        (lambda: wire.ask("a", filters=Bool(must=(Keyword("type", ("text",)), Word("x")))), "text"),
    ]
    for ask, says in refused:
        with pytest.raises(QueryError, match=says) as caught:
            ask()
        assert caught.value.mend


# --- browsing, filters and dates


def test_no_query_browses_newest_first(wire: Room) -> None:
    answer = wire.ask("")
    assert uris(answer) == ["election", "storm", "bank", "ferry-2", "tonnage"]
    assert (answer.total.value, answer.total.relation) == (5, TotalRelation.EXACT)
    assert answer.degraded == ()


def test_facts_alone_browse_too(wire: Room) -> None:
    for answer in (
        wire.ask("place:kalymira"),
        wire.ask("", filters=Keyword("place", ("KALYMIRA",))),
        wire.ask("* place:kalymira"),
    ):
        assert uris(answer) == ["storm", "ferry-2"]
        assert answer.total.relation is TotalRelation.EXACT


def test_filters_hold_beside_the_query(wire: Room) -> None:
    since = MORNING - timedelta(days=1)
    answer = wire.ask("ferry", filters=DateRange("versioncreated", since, None))
    assert "tonnage" not in uris(answer)
    assert {"ferry-2", "bank"} <= set(uris(answer))
    day = DateRange("versioncreated", MORNING, MORNING + timedelta(hours=5))
    assert set(uris(wire.ask("ferry", filters=day))) == {"ferry-2", "bank"}


@pytest.mark.parametrize("query", ["", "ferry", "place:kalymira"])
def test_sort_by_date(wire: Room, query: str) -> None:
    newest = wire.ask(query, order=SortOrder.NEWEST)
    oldest = wire.ask(query, order=SortOrder.OLDEST)
    times = [hit.item.versioncreated for hit in newest.hits]
    assert len(times) > 1
    assert times == sorted(times, reverse=True)
    assert uris(oldest) == uris(newest)[::-1]
    assert set(uris(newest)) <= {"election", "storm", "bank", "ferry-2", "tonnage"}
    assert query != "ferry" or set(uris(newest)) == {"ferry-2", "bank", "tonnage"}
    assert all(hit.score >= 0 for hit in newest.hits)


def test_a_month_in_words_filters(wire: Room) -> None:
    answer = wire.ask("ferry january 2024", profile="lexical")
    assert uris(answer) == ["tonnage"]
    assert answer.understood.dates[0].text == "january 2024"


# --- totals and facets


def test_totals_say_what_they_are(wire: Room) -> None:
    exact = wire.ask("ferry", profile="lexical").total
    cut = wire.ask("ferry", profile="lexical", pipeline=wire.build(lexical_depth=2)).total
    window = wire.ask("ferry").total
    assert (exact.value, exact.relation) == (3, TotalRelation.EXACT)
    assert (cut.value, cut.relation) == (2, TotalRelation.LOWER_BOUND)
    assert (window.value, window.relation) == (5, TotalRelation.WINDOW)


def test_a_browsed_total_is_exact_beyond_the_window(wire: Room) -> None:
    pipeline = wire.build(lexical_depth=2)
    total = wire.ask("", pipeline=pipeline).total
    assert (total.value, total.relation) == (5, TotalRelation.EXACT)
    wire.kill("tonnage")
    assert wire.ask("", pipeline=pipeline).total.value == 4


def test_a_kill_between_pages_counts_beyond_the_window_too(wire: Room) -> None:
    pipeline = wire.build(lexical_depth=3)
    first = wire.ask("", pipeline=pipeline, page_size=1)
    wire.kill("storm")
    second = wire.ask("", pipeline=pipeline, page_size=1, cursor=first.cursor)
    assert (first.total.value, second.total.value) == (5, 4)
    assert uris(second) == ["bank"]


def test_facets_are_of_the_whole_answer_not_the_page(wire: Room) -> None:
    pages = [wire.ask("", facets=("place",), page=page, page_size=1) for page in (1, 3)]
    assert pages[0].facets == pages[1].facets
    assert pages[0].facets["place"][0].count == 2


# --- who may see what


def test_a_caller_sees_its_products_only(wire: Room) -> None:
    for query, order in (("ferry", SortOrder.SCORE), ("", SortOrder.NEWEST)):
        assert "photo" not in uris(wire.ask(query, READER, order=order))
        assert uris(wire.ask(query, PHOTOS, order=order)) == ["photo"]
        assert "photo" in uris(wire.ask(query, BOTH, order=order))
        nobody = wire.ask(query, NOBODY, order=order, facets=("type", "place"))
        assert (nobody.hits, nobody.total.value, nobody.lexical_matches) == ((), 0, 0)
        assert all(not counts for counts in nobody.facets.values())


def test_counts_give_nothing_away(wire: Room) -> None:
    answer = wire.ask("quay", READER, profile="lexical", facets=("type",))
    assert (answer.total.value, answer.lexical_matches) == (0, 0)
    assert answer.facets["type"] == ()


def test_a_filter_on_products_opens_nothing(wire: Room) -> None:
    assert uris(wire.ask("product:photos ferry", READER)) == []
    assert uris(wire.ask("product:photos OR product:wire", READER, profile="lexical"))
    assert "photo" not in uris(wire.ask("product:photos OR product:wire", READER))


# --- the guard


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("status", [PubStatus.CANCELED, PubStatus.WITHHELD])
def test_what_is_killed_is_gone_at_the_next_request(
    wire: Room, profile: str, status: PubStatus
) -> None:
    asked: dict[str, Any] = {"profile": profile, "facets": ("place",), "page_size": 50}
    before = wire.ask("kalymira storm", **asked)
    assert "storm" in uris(before)
    wire.engine.set_status([SetStatus("storm", status)])  # the indexes have not followed
    after = wire.ask("kalymira storm", **asked)
    assert "storm" not in uris(after)
    assert after.total.value == before.total.value - 1
    assert after.facets["place"][0].count == before.facets["place"][0].count - 1
    assert after.lexical_matches <= before.lexical_matches
    wire.engine.set_status([SetStatus("storm", PubStatus.USABLE)])
    assert "storm" in uris(wire.ask("", **asked))


# --- scores and explanations


def explained(hit: Hit) -> Explanation:
    assert hit.explanation is not None
    return hit.explanation


def test_ranks_in_an_explanation_are_those_of_each_retriever(wire: Room) -> None:
    both = {h.item.uri: explained(h) for h in wire.ask("ferry", explain=True).hits}
    lexical = uris(wire.ask("ferry", profile="lexical"))
    assert {u: why.lexical_rank for u, why in both.items()} == {
        u: lexical.index(u) + 1 if u in lexical else 0 for u in both
    }
    nearest = sorted(both, key=lambda uri: -(both[uri].vectors[0].cosine or 0.0))
    assert [both[uri].vectors[0].rank for uri in nearest] == [1, 2, 3, 4, 5]
    for uri, why in both.items():
        assert (why.bm25 is None) == (uri not in lexical)
        cosine = why.vectors[0].cosine
        assert cosine is not None
        assert -1 <= cosine <= 1


def test_an_item_without_vectors_is_found_by_its_words(wire: Room) -> None:
    wire.put(story("bare", "Ferry ferry ferry"), vectors=False)
    hit = next(h for h in wire.ask("ferry", explain=True).hits if h.item.uri == "bare")
    share = explained(hit).vectors[0]
    assert (share.cosine, share.rank, share.normalized) == (None, 0, 0.0)


def test_a_browsed_explanation_is_all_zeros(wire: Room) -> None:
    hit = wire.ask("", explain=True).hits[0]
    assert (hit.score, explained(hit).fused, explained(hit).vectors) == (0.0, 0.0, ())


def test_explanations_and_highlights_are_given_when_asked_for(wire: Room) -> None:
    bare = wire.ask("ferry", highlight=False)
    assert all(not h.highlights and not h.passage and h.explanation is None for h in bare.hits)
    shown = wire.ask("ferries", profile="lexical").hits
    marked = {h.item.uri: h for h in shown}["ferry-2"]
    assert marked.highlights["headline"] == f"{START}Ferry{END} refloated"
    assert f"The {START}ferry{END} was refloated" in marked.passage


def test_the_depth_of_the_page_changes_no_rank(wire: Room) -> None:
    wire.put(*(story(f"more-{n}", f"ferry {n} " + "x " * n, when=n) for n in range(40)))
    whole = wire.ask("ferry kalymira", page_size=200)
    for size in (1, 7, 20):
        for page in (1, 2, 3):
            part = wire.ask("ferry kalymira", page=page, page_size=size)
            start = (page - 1) * size
            assert uris(part) == uris(whole)[start : start + size]
            assert [h.rank for h in part.hits] == list(range(start + 1, start + 1 + len(part.hits)))
            assert part.total == whole.total


def test_equal_scores_have_a_fixed_order(room: Room) -> None:
    room.put(*(story(f"same-{n}", "ferry") for n in range(30)))
    first = uris(room.ask("ferry", page_size=200))
    assert first == [f"same-{n}" for n in range(30)]
    assert uris(room.ask("ferry", page_size=200, pipeline=room.build())) == first


# --- degraded


def test_without_an_encoder_words_answer_and_a_flag_says_so(wire: Room) -> None:
    for profile in ("hybrid", "vector"):
        answer = wire.ask("ferry", profile=profile, pipeline=wire.build(encoders={}))
        assert set(uris(answer)) == {"ferry-2", "bank", "tonnage"}
        assert answer.degraded == ("vectors: no encoder for field text",)
        assert answer.total.relation is TotalRelation.EXACT


def test_an_encoder_that_fails_is_flagged(wire: Room) -> None:
    broken = wire.build(encoders={"text": FailingEncoder()})
    for profile in ("hybrid", "vector", "hybrid-rrf"):
        answer = wire.ask("ferry", profile=profile, pipeline=broken)
        assert set(uris(answer)) == {"ferry-2", "bank", "tonnage"}
        assert answer.degraded == ("vectors: the encoder of field text failed, RuntimeError",)
    assert wire.ask("", pipeline=broken).degraded == ()


def test_a_tagger_that_fails_leaves_names_out_and_says_so(wire: Room) -> None:
    failing = wire.build(tagger=FailingTagger(), entity_boost=5.0)
    answer = wire.ask("Ingrid Solvane", pipeline=failing)
    assert "election" in uris(answer)
    assert answer.understood.entities == ()
    assert answer.understood.notes == ("names were not looked for: ValueError",)
    assert answer.degraded == ("names: skipped, ValueError",)


@pytest.mark.parametrize("error", [BusyError, UnavailableError, ModelError])
@pytest.mark.parametrize("entities", EntityUse)
def test_a_tagger_that_can_not_answer_is_flagged_on_every_page(
    wire: Room, error: type[BusyError | UnavailableError | ModelError], entities: EntityUse
) -> None:
    class Away:
        def tag(self, texts: Sequence[str]) -> tuple[tuple[Entity, ...], ...]:
            raise error("not now")

    pipeline = wire.build(tagger=Away(), entity_boost=5.0)
    flags = () if entities is EntityUse.OFF else (f"names: skipped, {error.__name__}",)
    first = wire.ask("ferry", pipeline=pipeline, entities=entities, page_size=1)
    assert (len(first.hits), first.degraded) == (1, flags)
    second = wire.ask(
        "ferry", pipeline=pipeline, entities=entities, page_size=1, cursor=first.cursor
    )
    assert (len(second.hits), second.degraded) == (1, flags)
    assert uris(first) != uris(second)
    by_date = wire.ask("ferry", pipeline=pipeline, entities=entities, order=SortOrder.NEWEST)
    filters = entities is EntityUse.FILTER
    assert by_date.degraded == (flags if filters else ())  # names have no say in it
    facts = wire.ask("type:text", pipeline=pipeline, entities=entities)
    assert facts.degraded == ()  # there is nothing in it to look for names in


def test_a_tagger_and_an_encoder_that_fail_are_both_flagged(wire: Room) -> None:
    parts = {"tagger": FailingTagger(), "encoders": {"text": FailingEncoder()}}
    pipeline = wire.build(**parts, entity_boost=5.0)
    answer = wire.ask("ferry", pipeline=pipeline)
    assert answer.degraded == (
        "vectors: the encoder of field text failed, RuntimeError",
        "names: skipped, ValueError",
    )


def test_names_are_echoed_and_boost_only_when_asked(wire: Room) -> None:
    wire.put(story("note", "Solvane note", body="Ingrid met Solvane " * 4))
    query = "Ingrid Solvane"
    plain = wire.ask(query, profile="lexical", pipeline=wire.build(tagger=NameTagger()))
    assert [e.text for e in plain.understood.entities] == ["Ingrid Solvane"]
    assert uris(plain) == uris(wire.ask(query, profile="lexical"))
    tagged = wire.build(tagger=NameTagger(), entity_boost=5.0)
    boosted = wire.ask(query, profile="lexical", pipeline=tagged)
    assert uris(boosted)[0] == "election"
    assert set(uris(boosted)) == set(uris(plain))


def test_a_boosted_name_opens_no_phrase(wire: Room) -> None:
    tagged = wire.build(tagger=NameTagger(), entity_boost=5.0)
    query = '"central bank" OR "Ingrid Solvane lost"'
    assert uris(wire.ask(query, pipeline=tagged)) == ["bank"]


def test_without_a_reranker_its_profile_answers_and_says_so(wire: Room) -> None:
    answer = wire.ask("ferry", profile="hybrid-rerank")
    assert answer.degraded == ("rerank: skipped, no reranker is configured",)
    assert uris(answer) == uris(wire.ask("ferry", profile="hybrid"))


def test_a_reranker_that_could_not_be_loaded_is_not_called_unconfigured(wire: Room) -> None:
    pipeline = wire.build(reranker_missing="the reranker could not be loaded")
    answer = wire.ask("ferry", profile="hybrid-rerank", pipeline=pipeline)
    assert answer.degraded == ("rerank: skipped, the reranker could not be loaded",)
    assert wire.ask("ferry", profile="hybrid", pipeline=pipeline).degraded == ()  # not asked for
    fused = pipeline.fusion_input(
        SearchRequest("ferry"), READER, lambda found, _: np.arange(min(2, len(found.ids)))
    )
    assert fused.degraded == answer.degraded


def test_a_reranker_that_fails_changes_nothing_and_is_flagged(wire: Room) -> None:
    broken = wire.build(reranker=DeadlineReranker(BrokenScorer()))
    answer = wire.ask("ferry", profile="hybrid-rerank", pipeline=broken)
    assert answer.degraded == ("rerank: skipped, RuntimeError",)
    assert uris(answer) == uris(wire.ask("ferry", profile="hybrid"))


def test_reranking_puts_what_it_prefers_on_top(wire: Room) -> None:
    pipeline = wire.build(reranker=DeadlineReranker(Scorer("tankers")), rerank_weight=0.9)
    answer = wire.ask("ferry", profile="hybrid-rerank", pipeline=pipeline, explain=True)
    assert answer.degraded == ()
    assert uris(answer)[0] == "tonnage"
    first = explained(answer.hits[0])
    assert (first.rerank_score, first.reranked_rank) == (1.0, 1)
    assert first.fused_rank == uris(wire.ask("ferry")).index("tonnage") + 1
    assert set(uris(answer)) == set(uris(wire.ask("ferry")))


def test_only_the_best_few_are_reranked_and_the_rest_follows(room: Room) -> None:
    room.put(*(story(f"s-{n:02}", "ferry " + "quay " * n) for n in range(40)))
    fused = uris(room.ask("ferry", page_size=50))
    pipeline = room.build(reranker=DeadlineReranker(Scorer("quay")), rerank_weight=1.0)
    answer = room.ask(
        "ferry", profile="hybrid-rerank", pipeline=pipeline, page_size=50, explain=True
    )
    assert uris(answer)[:20] == sorted(fused[:20], reverse=True)
    assert uris(answer)[20:] == fused[20:]
    unscored = [explained(hit).rerank_score is None for hit in answer.hits]
    assert unscored == [False] * 20 + [True] * 20


def test_the_reranker_reads_the_best_passage_and_never_what_is_hidden(wire: Room) -> None:
    read: list[str] = []

    class Reading(Scorer):
        def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
            read.extend(passages)
            return super().score(queries, passages)

    wire.kill("storm")
    pipeline = wire.build(reranker=DeadlineReranker(Reading("x")))
    wire.ask("ferry", profile="hybrid-rerank", pipeline=pipeline)
    assert "Ferry refloated\nThe ferry was refloated at Kalymira. Nobody was hurt." in read
    assert not any("storm" in text or "quay" in text for text in read)


@pytest.mark.timed
def test_a_slow_reranker_is_cut_short_and_the_rest_keeps_its_order(room: Room) -> None:
    room.put(*(story(f"s-{n:02}", "ferry " + "quay " * n) for n in range(25)))
    fused = uris(room.ask("ferry", page_size=50))
    slow = DeadlineReranker(Scorer("quay", milliseconds=400))
    pipeline = room.build(reranker=slow, rerank_weight=0.5)
    answer = room.ask(
        "ferry", profile="hybrid-rerank", pipeline=pipeline, page_size=50, deadline_ms=600
    )
    assert answer.degraded == ("rerank: partial, 10 of 20 in time",)
    assert set(uris(answer)[:10]) == set(fused[:10])
    assert uris(answer)[10:] == fused[10:]
    assert answer.milliseconds["total"] < 1200


def test_no_time_at_all_skips_the_reranker(wire: Room) -> None:
    pipeline = wire.build(reranker=DeadlineReranker(Scorer("x")))
    answer = wire.ask("ferry", profile="hybrid-rerank", pipeline=pipeline, deadline_ms=0)
    assert answer.degraded == ("rerank: skipped, 0 of 5 in time",)
    assert uris(answer) == uris(wire.ask("ferry"))


def test_every_stage_is_timed(wire: Room) -> None:
    times = wire.ask("ferry", facets=("type",)).milliseconds
    stages = {"understand", "retrieve", "fuse", "rerank", "guard", "page", "facets"}
    assert stages | {"lexical", "encode", "vectors", "total"} <= set(times)
    assert sum(times[stage] for stage in stages) <= times["total"]


def test_control_characters_are_left_out_and_said(wire: Room) -> None:
    answer = wire.ask("fer\x00ry \ue000storm\ue001")
    assert "control characters were left out" in answer.understood.notes
    assert "storm" in uris(answer)


@pytest.mark.parametrize(
    "query",
    ["😀", "...", "\x00", "()", "the of", "ק", "x" * 4096, "\ud800", "NOT ferry", "a\u202eb"],
)
@pytest.mark.parametrize("profile", ["lexical", "hybrid"])
def test_strange_queries_are_answered(wire: Room, query: str, profile: str) -> None:
    answer = wire.ask(query, profile=profile, facets=("type",), explain=True)
    assert answer.understood.lexical
    assert len(answer.hits) <= answer.total.value


def test_an_empty_archive_answers(room: Room) -> None:
    for profile in PROFILES:
        for query in ("", "ferry", '"a b"', "type:text", "date:2024"):
            answer = room.ask(query, profile=profile, facets=FACET_FIELDS)
            assert (answer.hits, answer.total.value, answer.cursor) == ((), 0, "")


def test_several_callers_at_once_see_their_own(wire: Room) -> None:
    callers = [READER, PHOTOS, BOTH, NOBODY, Caller("x", frozenset({"none"}))] * 8
    expected = {caller.name: set(uris(wire.ask("ferry", caller))) for caller in callers}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda caller: wire.ask("ferry", caller), callers))
    for caller, answer in zip(callers, answers, strict=True):
        assert set(uris(answer)) == expected[caller.name]


def test_the_encoder_of_tests_is_no_oracle() -> None:
    """Texts that share words are nearer than texts that share none."""
    a, b, c = HashingEncoder().encode_passages(["ferry quay", "ferry port", "bank rates"])
    assert a @ b > 0.3 > abs(a @ c)
