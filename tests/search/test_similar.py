"""More like this: an item for a query, through every stage of the same path."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from core.callers import NOBODY, Caller
from core.errors import NotFoundError, QueryError
from core.items import Concept, ItemType
from core.query_tree import Keyword
from core.retrieval import Rarities, SortOrder, TotalRelation
from core.writes import PutItem
from search.similar import MOST_HEADLINE_WORDS, MOST_WORDS, mean_passage, telling_words
from storage.words.text_analysis import Analysis
from tests.search.room import BOTH, PHOTOS, READER, Room, story, uris

FERRY = "The ferry to the islands sails again after the storm, the harbour office says."


@pytest.fixture
def quay(room: Room) -> Room:
    """Four stories about a ferry, one of them a picture, and two that are not."""
    room.put(
        story("ferry", "Ferry resumes after storm", body=FERRY, place=(Concept("Porto Alto"),)),
        story("storm", "Storm stops island ferry", body="The ferry stays in the harbour. Storm."),
        story("photo", "Ferry at the quay", type=ItemType.PICTURE, description="Islands ferry."),
        story("fares", "Ferry fares rise", body="The ferry to the islands costs more."),
        story("bank", "Bank raises rates", body="Interest rates rise by half a point."),
        story("match", "Rovers win the cup", body="Rovers beat United after extra time."),
    )
    return room


def like(room: Room, uri: str, caller: Caller = READER, **members: Any) -> list[str]:
    return uris(room.ask("", caller, similar_to=uri, **members))


def test_the_nearest_come_first_and_the_item_itself_is_not_there(quay: Room) -> None:
    found = like(quay, "ferry")
    assert set(found[:3]) == {"storm", "photo", "fares"}
    assert found[0] == "storm"
    assert "ferry" not in found
    assert like(quay, "photo")[0] in {"ferry", "storm", "fares"}


@pytest.mark.parametrize("profile", ["hybrid", "hybrid-rrf", "lexical", "vector"])
def test_ranks_scores_and_totals_are_those_of_the_others(quay: Room, profile: str) -> None:
    answer = quay.ask("", similar_to="ferry", profile=profile, explain=True, facets=("type",))
    assert uris(answer)[0] == "storm"
    best = answer.hits[0].explanation
    assert best is not None
    assert profile == "vector" or best.lexical_rank == 1
    assert profile in ("lexical", "vector", "hybrid-rrf") or best.bm25_normalized == 1.0
    ranks = sorted(hit.explanation.lexical_rank for hit in answer.hits if hit.explanation)
    assert [rank for rank in ranks if rank] == list(range(1, sum(map(bool, ranks)) + 1))
    assert answer.total.value == len(answer.hits)
    assert answer.total.relation is TotalRelation.WINDOW
    assert sum(count.count for count in answer.facets["type"]) == len(answer.hits)
    assert answer.degraded == ()


def test_its_words_are_said_and_marked(quay: Room) -> None:
    answer = quay.ask("", similar_to="ferry")
    for word in ("Ferry", "storm", "islands", "harbour"):
        assert word in answer.understood.lexical
    assert "\ue000ferry\ue001" in answer.hits[0].highlights["headline"]


def test_its_whole_story_is_left_out(quay: Room) -> None:
    quay.put(story("ferry", "Ferry resumes again after storm", version=2, chain="one", body=FERRY))
    quay.put(story("ferry2", "Ferry resumes after the storm", chain="one", body=FERRY, when=1))
    found = like(quay, "ferry2")
    assert found[0] == "storm"
    assert not {"ferry", "ferry2"} & set(found)
    with pytest.raises(NotFoundError):  # what a write-through took the place of is not shown
        like(quay, "ferry")


def test_filters_hold(quay: Room) -> None:
    pictures = Keyword("type", ("picture",))
    assert like(quay, "ferry", filters=pictures) == ["photo"]
    assert like(quay, "ferry", filters=Keyword("place", ("Porto Alto",))) == []


def test_what_a_caller_may_not_see_is_as_unknown_as_what_is_not_there(quay: Room) -> None:
    quay.put(
        story("secret", "Ferry secret", products=("photos",)),
        story("later", "Ferry later", embargoed=quay.now + timedelta(hours=1)),
        story("over", "Ferry over", expires=quay.now - timedelta(hours=1)),
        story("killed", "Ferry killed"),
    )
    quay.kill("killed")
    said = set()
    for uri in ("secret", "later", "over", "killed", "none"):
        with pytest.raises(NotFoundError) as error:
            like(quay, uri)
        said.add((error.value.what.replace(uri, "URI"), error.value.where, error.value.mend))
    assert len(said) == 1
    with pytest.raises(NotFoundError):
        like(quay, "ferry", NOBODY)
    assert like(quay, "secret", PHOTOS) == []
    assert "storm" in like(quay, "secret", BOTH)
    quay.now += timedelta(hours=1)
    assert "storm" in like(quay, "later")
    for answers in (like(quay, "ferry"), like(quay, "storm")):
        assert not {"secret", "over", "killed"} & set(answers)


def test_an_answer_ends_with_its_item(quay: Room) -> None:
    first = quay.ask("", similar_to="ferry", page_size=2)
    assert first.cursor
    second = quay.ask("", similar_to="ferry", page_size=2, cursor=first.cursor)
    assert not set(uris(first)) & set(uris(second))
    quay.kill("ferry")
    with pytest.raises(NotFoundError):
        quay.ask("", page_size=2, cursor=first.cursor)


def test_pages_show_each_once(quay: Room) -> None:
    whole = like(quay, "ferry")
    assert quay.walk("", 2, similar_to="ferry") == whole


def test_a_query_or_an_order_beside_it_is_an_error(quay: Room) -> None:
    with pytest.raises(QueryError, match="both given"):
        quay.ask("storm", similar_to="ferry")
    with pytest.raises(QueryError, match="likeness"):
        quay.ask("", similar_to="ferry", order=SortOrder.NEWEST)
    with pytest.raises(QueryError, match="not among"):
        quay.ask("", similar_to="ferry", why_missing="ferry")
    with pytest.raises(QueryError):  # also where it does not exist
        quay.ask("storm", similar_to="none")


def test_no_encoder_is_needed(quay: Room) -> None:
    answer = quay.ask("", similar_to="ferry", pipeline=quay.build(encoders={}))
    assert answer.degraded == ()
    assert uris(answer) == like(quay, "ferry")


def test_an_item_without_vectors_has_its_words(quay: Room) -> None:
    quay.put(story("bare", "Ferry storm"), vectors=False)
    answer = quay.ask("", similar_to="bare")
    assert uris(answer)[0] in {"ferry", "storm"}
    assert answer.degraded == ("vectors: the item has no passage under field text",)


def test_an_item_without_words_has_its_vectors(quay: Room) -> None:
    mute = story("mute", "", type=ItemType.PICTURE)
    quay.engine.put([PutItem(mute, (quay.embedded(story("mute", "ferry islands storm")),))])
    quay.engine.catch_up()
    assert set(like(quay, "mute")[:2]) <= {"ferry", "storm", "photo", "fares"}
    assert like(quay, "mute", profile="lexical") == []


def test_likeness_is_not_reranked_and_that_is_said(quay: Room) -> None:
    answer = quay.ask("", similar_to="ferry", profile="hybrid-rerank")
    assert "items that are like an item are not reranked" in answer.understood.notes
    assert uris(answer) == like(quay, "ferry")


def test_the_words_that_tell(room: Room) -> None:
    item = story("a", "The ferry and the storm", body="Tunnel tunnel tunnel bridge 1987. Unheard.")
    room.put(item, *(story(f"n{n}", "Ferry storm", body="bridge 1987") for n in range(9)))
    room.put(story("t", "The tunnel"))
    found, lacking = telling_words(item, room.engine, Analysis(), READER)
    assert lacking == ""
    assert found == ("ferry", "storm", "Tunnel", "bridge")
    # the headline in its order, then by tf-idf; no stop word, no number, no word of its own


def test_words_that_a_part_of_the_archive_chose_are_said_to_be(
    quay: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = quay.engine.rarities

    def rarities(*asked: Any) -> Rarities:
        return replace(whole(*asked), lacking="1 parts of the index do not answer")

    monkeypatch.setattr(quay.engine, "rarities", rarities)
    answer = quay.ask("", similar_to="ferry")
    assert uris(answer)[0] == "storm"
    (flag,) = answer.degraded
    assert "chosen by a part of the archive: 1 parts" in flag


@pytest.mark.parametrize("hidden", ["photos", "killed", "embargoed"])
def test_hidden_items_have_no_say_in_which_words_tell(room: Room, hidden: str) -> None:
    item = story("a", "Ferry", body="Tunnel bridge tunnel lamp.")
    room.put(item, story("b", "Ferry bridge"), story("c", "A bridge, a lamp"))
    before = room.ask("", similar_to="a", profile="lexical")
    members = {
        "photos": {"products": ("photos",)},
        "embargoed": {"embargoed": room.now + timedelta(hours=1)},
        "killed": {},
    }[hidden]
    room.put(*(story(f"h{n}", "Tunnel lamp", **members) for n in range(5)))
    if hidden == "killed":
        for number in range(5):
            room.kill(f"h{number}")
    assert "unnel" not in before.understood.lexical
    assert room.ask("", similar_to="a", profile="lexical").understood == before.understood
    room.put(story("t", "A tunnel"))
    assert "Tunnel" in room.ask("", similar_to="a", profile="lexical").understood.lexical


def test_there_is_an_end_to_words(room: Room) -> None:
    many = " ".join(f"word{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(60))
    items = [story(uri, many, body=many[::-1]) for uri in "ab"]
    room.put(*items)
    assert len(telling_words(items[0], room.engine, Analysis(), READER)[0]) == MOST_WORDS
    head, _ = telling_words(story("c", many), room.engine, Analysis(), READER)
    assert head[:MOST_HEADLINE_WORDS] == tuple(many.split()[:MOST_HEADLINE_WORDS])


def test_the_mean_has_unit_norm_and_cancelling_passages_leave_the_first() -> None:
    rows = np.eye(3, dtype=np.float32)[:2]
    mean = mean_passage(rows)
    assert mean.shape == (1, 3)
    np.testing.assert_allclose(mean, [[0.5**0.5, 0.5**0.5, 0]], rtol=1e-6)
    np.testing.assert_array_equal(mean_passage(np.stack([rows[0], -rows[0]])), rows[:1])
