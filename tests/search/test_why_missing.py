"""Why an item is not among the hits: each stage, and who is told what."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.callers import Caller
from core.errors import QueryError
from core.items import Concept, ItemType, PubStatus
from core.query_tree import Bool, DateRange, Keyword, Word
from core.writes import SetStatus
from search.answers import Fold, Missing, MissingStage
from search.pipeline import SearchPipeline
from search.understanding.editorial import Editorial
from tests.search.room import READER, START, FailingEncoder, Room, story, uris

OPERATOR = replace(READER, name="operator", may_inspect=True)
STRANGER = Caller("photo desk", frozenset({"photos"}))
UNKNOWN = (MissingStage.ARCHIVE, "there is no such item, for this key")


@pytest.fixture
def desk(room: Room) -> Room:
    """One item for each fate."""
    room.put(
        story("ferry", "Ferry aground", body="The ferry is aground.", place=(Concept("Oslo"),)),
        story("storm", "Storm closes port", body="A storm closed the port.", when=1),
        story("killed", "Ferry hoax"),
        story("withheld", "Ferry rumour"),
        story("embargoed", "Ferry prize", embargoed=START + timedelta(hours=6)),
        story("expired", "Ferry offer", expires=START + timedelta(hours=2)),
        story("photo", "Ferry at the quay", type=ItemType.PICTURE, products=("photos",)),
        story("nobodys", "Ferry draft", products=()),
        story("first", "Fire on a quay", chain="fire"),
        story("second", "Fire on a quay is out", chain="fire", when=2),
    )
    room.engine.set_status(
        [SetStatus("killed", PubStatus.CANCELED), SetStatus("withheld", PubStatus.WITHHELD)]
    )
    room.now = START + timedelta(hours=3)
    room.engine.catch_up()
    return room


def why(room: Room, uri: str, q: str = "ferry", caller: Caller = READER, **members: Any) -> Missing:
    missing = room.ask(q, caller, why_missing=uri, **members).missing
    assert missing is not None
    assert missing.uri == uri
    assert missing.reason
    assert missing.mend
    return missing


def test_an_answer_says_nothing_unasked(desk: Room) -> None:
    assert desk.ask("ferry", explain=True).missing is None


# --- who is told


@pytest.mark.parametrize(
    ("uri", "stage", "says"),
    [
        ("killed", MissingStage.STATUS, "it is killed"),
        ("withheld", MissingStage.STATUS, "it is withheld"),
        ("embargoed", MissingStage.STATUS, "it is embargoed until 2024-03-01 18:00 UTC"),
        ("expired", MissingStage.STATUS, "it expired at 2024-03-01 14:00 UTC"),
        ("photo", MissingStage.ENTITLEMENT, "the key holds none of its products: photos"),
        ("nobodys", MissingStage.ENTITLEMENT, "it is in no product"),
        ("first", MissingStage.STORY, "a newer item of its story stands for it: second"),
    ],
)
def test_an_operator_is_told_what_hides_an_item(
    desk: Room, uri: str, stage: MissingStage, says: str
) -> None:
    missing = why(desk, uri, caller=OPERATOR)
    assert (missing.stage, missing.reason) == (stage, says)


@pytest.mark.parametrize(
    "uri", ["killed", "withheld", "embargoed", "expired", "photo", "nobodys", "", "zzz", "urn:ü'--"]
)
def test_everyone_else_gets_the_answer_of_an_unknown_uri(desk: Room, uri: str) -> None:
    if not uri:
        assert desk.ask("ferry", why_missing=uri).missing is None
        return
    missing = why(desk, uri)
    assert (missing.stage, missing.reason) == UNKNOWN
    assert replace(missing, uri="zzz") == why(desk, "zzz")


def test_a_kill_is_not_told_from_one_request_to_the_next(desk: Room) -> None:
    assert why(desk, "ferry").stage is MissingStage.NONE
    desk.kill("ferry")
    assert replace(why(desk, "ferry"), uri="zzz") == why(desk, "zzz")
    assert why(desk, "ferry", caller=OPERATOR).reason == "it is killed"


def test_an_older_item_of_a_story_is_told_to_those_who_see_the_chain(desk: Room) -> None:
    assert why(desk, "first").reason == "a newer item of its story stands for it: second"
    assert (
        why(desk, "first", caller=STRANGER).stage,
        why(desk, "first", caller=STRANGER).reason,
    ) == UNKNOWN


def test_an_older_item_with_a_hidden_head_is_unknown(desk: Room) -> None:
    desk.put(story("third", "Fire inquiry", chain="fire", when=3, products=("photos",)))
    assert (why(desk, "first").stage, why(desk, "first").reason) == UNKNOWN
    assert (why(desk, "second").stage, why(desk, "second").reason) == UNKNOWN
    assert "third" in why(desk, "second", caller=OPERATOR).reason


def test_an_embargoed_version_leaves_its_predecessor_to_be_asked_about(desk: Room) -> None:
    embargo = desk.now + timedelta(hours=5)
    desk.put(story("ferry", "Ferry sold", version=2, when=2, embargoed=embargo))
    assert why(desk, "ferry", "ferry").stage is MissingStage.NONE


# --- what dropped it


def test_an_item_that_is_there_has_its_rank_and_page(desk: Room) -> None:
    walked = desk.walk("ferry", 1)
    for rank, uri in enumerate(walked, start=1):
        missing = why(desk, uri, page_size=1)
        assert (missing.stage, missing.rank, missing.page) == (MissingStage.NONE, rank, rank)
    assert why(desk, walked[0], page_size=1).mend == "nothing: it is on this page"
    assert why(desk, walked[1], page_size=1).mend == "page 2"


@pytest.mark.parametrize(
    ("members", "excluded"),
    [
        ({"filters": Keyword("place", ("Rome",))}, ("place is Rome",)),
        ({"filters": Keyword("place", ("oslo",))}, ()),
        ({"q": "ferry place:rome"}, ("place is rome",)),
        (
            {"filters": Bool(must=(Keyword("place", ("Oslo",)), Keyword("type", ("video",))))},
            ("type is video",),
        ),
        (
            {"filters": Bool(must=(Keyword("place", ("Rome",)), Keyword("type", ("video",))))},
            ("place is Rome", "type is video"),
        ),
        (
            {"filters": DateRange("versioncreated", START + timedelta(hours=1), None)},
            ("versioncreated in [2024-03-01T13:00:00+00:00, …)",),
        ),
        ({"q": "ferry -place:oslo"}, ("(-place is oslo)",)),
    ],
)
def test_the_filters_that_exclude_it_are_named(
    desk: Room, members: dict[str, Any], excluded: tuple[str, ...]
) -> None:
    missing = why(desk, "ferry", str(members.pop("q", "ferry")), **members)
    assert missing.excluded_by == excluded
    assert missing.stage is (MissingStage.FILTERS if excluded else MissingStage.NONE)


@pytest.mark.parametrize("profile", ["lexical", "vector", "hybrid"])
@pytest.mark.parametrize(
    ("query", "excluded"),
    [
        ("+storm", ("storm",)),
        ("ferry AND storm", ("storm",)),
        ("ferry AND storm AND port", ("storm", "port")),
        ('"aground ferry"', ('"aground ferry"',)),
        ("headline:port", ("headline:port",)),
        ("sto*", ("sto*",)),
        ("port NOT ferry", ("(-ferry)",)),
        ('"the port" OR "a storm"', ('("the port" "a storm")',)),
    ],
)
def test_the_part_of_the_query_that_excludes_it_is_named(
    desk: Room, profile: str, query: str, excluded: tuple[str, ...]
) -> None:
    missing = why(desk, "ferry", query, profile=profile)
    assert (missing.stage, missing.excluded_by) == (MissingStage.QUERY, excluded)


def test_words_that_do_not_match_are_named(desk: Room) -> None:
    missing = why(desk, "ferry", "storm port", profile="lexical")
    assert missing.stage is MissingStage.RETRIEVAL
    assert missing.reason == "no word matches it (storm, port)"
    assert (missing.words, missing.words_missing) == ((), ("storm", "port"))
    assert missing.retrievers[0].rank == 0


def test_what_lies_below_a_list_is_told_with_rank_and_scores(desk: Room) -> None:
    """BM25 gives one item here, vectors one: the second of each says where it is."""
    desk.put(*(story(f"f-{n}", "Ferry " + "calm " * n) for n in range(4)))
    pipeline = desk.build(lexical_depth=1, vector_depth=1)
    listed = uris(desk.ask("ferry calm", pipeline=pipeline))
    lost = next(uri for uri in ("f-0", "f-1", "f-2", "f-3", "ferry") if uri not in listed)
    missing = why(desk, lost, "ferry calm", pipeline=pipeline)
    assert missing.stage is MissingStage.RETRIEVAL
    assert "ferry" in missing.words
    bm25, vectors = missing.retrievers
    assert (bm25.retriever, bm25.depth) == ("bm25", 1)
    assert (vectors.retriever, vectors.depth) == ("vectors text", 1)
    for miss in (bm25, vectors):
        assert miss.rank > 1
        assert miss.score is not None
        assert miss.last is not None
        assert miss.score <= miss.last
    assert f"rank {bm25.rank} by bm25, which gives the best 1" in missing.reason


def test_a_list_by_date_ends_nowhere_and_what_is_folded_of_it_does(desk: Room) -> None:
    shallow = desk.build(lexical_depth=2)
    missing = why(desk, "ferry", "", pipeline=shallow)
    assert (missing.stage, missing.rank) == (MissingStage.NONE, 3)
    folded = why(desk, "ferry", "", pipeline=shallow, fold=Fold.NEAR_DUPLICATES)
    assert folded.stage is MissingStage.RETRIEVAL


def test_a_failing_encoder_does_not_fail_the_explanation(desk: Room) -> None:
    pipeline = desk.build(encoders={"text": FailingEncoder()})
    missing = why(desk, "ferry", "storm", pipeline=pipeline)
    assert missing.reason == "no word matches it (storm)"
    assert [miss.retriever for miss in missing.retrievers] == ["bm25"]


def test_synonyms_count_as_words(desk: Room) -> None:
    rules = Editorial({("boat",): ("ferry",)}, {})
    pipeline = SearchPipeline(replace(desk.pipeline._parts, editorial=lambda: rules))
    assert why(desk, "ferry", "boat", profile="lexical").words_missing == ("boat",)
    found = why(desk, "ferry", "boat", profile="lexical", pipeline=pipeline)
    assert found.stage is MissingStage.NONE


def test_a_later_page_is_not_asked(desk: Room) -> None:
    first = desk.ask("ferry", page_size=1)
    with pytest.raises(QueryError, match="later page") as caught:
        desk.ask("ferry", page_size=1, cursor=first.cursor, why_missing="ferry")
    assert caught.value.mend


@pytest.mark.parametrize("query", ["pilot", '"pilot strike"', "+pilot +strike", "headline:pilot"])
def test_no_word_excludes_an_item_that_is_not_indexed_yet(desk: Room, query: str) -> None:
    desk.put(story("late", "Pilot strike"), vectors=False, index=False)
    assert not desk.engine.satisfies(desk.engine.standing("late").id, [Word("pilot")])[0]
    missing = why(desk, "late", query, profile="lexical")
    assert (missing.stage, missing.excluded_by) == (MissingStage.RETRIEVAL, ())
    assert (missing.words_missing, missing.retrievers) == ((), ())
    desk.engine.catch_up()
    assert why(desk, "late", query, profile="lexical").stage is MissingStage.NONE
    assert why(desk, "late", '"pilot error"', profile="lexical").stage is MissingStage.QUERY
