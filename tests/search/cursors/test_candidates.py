from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.callers import Caller
from core.errors import ExpiredError
from core.query_tree import EVERYTHING
from core.retrieval import Retrieved, TotalRelation
from search import kept_candidates
from search.answers import Understood
from search.candidates import CandidateSet
from search.cursors import read_cursor, write_cursor
from search.kept_candidates import CandidateStore
from search.ranking import Fused
from tests.search.room import BOTH, PHOTOS, READER, Room, story, uris

NO_IDS, NO_FLOATS = np.zeros(0, np.int64), np.zeros(0, np.float32)


def empty_set(caller: Caller) -> CandidateSet:
    found = Retrieved(NO_IDS, NO_FLOATS, np.zeros(0, np.int32), 0)
    fused = Fused(NO_FLOATS, NO_FLOATS, (), (1.0,), NO_FLOATS)
    return CandidateSet(
        caller=caller,
        profile="lexical",
        query=EVERYTHING,
        understood=Understood("", ""),
        ids=NO_IDS,
        scores=NO_FLOATS,
        places=NO_IDS,
        found=found,
        fused=fused,
        fused_ranks=NO_IDS,
        rerank_scores=NO_FLOATS,
        relation=TotalRelation.EXACT,
        degraded=(),
    )


@pytest.fixture
def full(room: Room) -> Room:
    """Twenty-three stories with one word in common, at different scores."""
    room.put(
        *(story(f"urn:{n:02}", "ferry " + "quay " * n, body=f"ferry number{n}") for n in range(23))
    )
    return room


@pytest.mark.parametrize("profile", ["lexical", "vector", "hybrid", "hybrid-rrf"])
@pytest.mark.parametrize("page_size", [1, 5, 22, 23, 24])
def test_all_pages_are_one_large_page(full: Room, profile: str, page_size: int) -> None:
    whole = uris(full.ask("ferry quay", page_size=200, profile=profile))
    assert len(whole) == len(set(whole)) == 23
    assert full.walk("ferry quay", page_size, profile=profile) == whole


def test_pages_by_number_are_the_pages_by_cursor(full: Room) -> None:
    by_number = [
        uri for page in (1, 2, 3) for uri in uris(full.ask("ferry", page=page, page_size=10))
    ]
    assert by_number == full.walk("ferry", 10)
    assert full.ask("ferry", page=3, page_size=10).cursor == ""


def test_the_page_size_may_change_on_the_way(full: Room) -> None:
    first = full.ask("ferry", page_size=3)
    rest = full.ask("ferry", page_size=200, cursor=first.cursor)
    assert uris(first) + uris(rest) == uris(full.ask("ferry", page_size=200))
    assert [hit.rank for hit in rest.hits] == list(range(4, 24))
    assert rest.page == 2


def test_a_walk_is_not_disturbed_by_ingest(full: Room) -> None:
    whole = uris(full.ask("ferry", page_size=200))
    answer = full.ask("ferry", page_size=4)
    seen, number = uris(answer), 0
    while answer.cursor:
        number += 1
        full.put(story(f"new:{number}", "ferry ferry ferry ferry", when=number))
        answer = full.ask("ferry", page_size=4, cursor=answer.cursor)
        seen += uris(answer)
    assert seen == whole
    assert len(uris(full.ask("ferry", page_size=200))) == 23 + number


def test_a_kill_between_pages_takes_the_story_out_of_every_later_page(full: Room) -> None:
    whole = uris(full.ask("ferry", page_size=200))
    first = full.ask("ferry", page_size=5)
    full.kill(whole[1])  # shown already
    full.kill(whole[7])  # on the next page
    second = full.ask("ferry", page_size=5, cursor=first.cursor)
    left = [uri for uri in whole[5:] if uri != whole[7]]
    assert uris(second) == left[:5]
    assert second.total.value == 21
    third = full.ask("ferry", page_size=200, cursor=second.cursor)
    assert uris(third) == left[5:]
    assert third.cursor == ""


def test_no_total_of_a_later_page_counts_what_was_hidden_beyond_the_window(full: Room) -> None:
    pipeline = full.build(lexical_depth=10)
    first = full.ask("", pipeline=pipeline, page_size=5)
    assert (first.total.value, first.total.relation) == (23, TotalRelation.EXACT)
    for uri in {hit.item.uri for hit in full.ask("", page_size=200).hits[10:]}:
        full.kill(uri)
    second = full.ask("", pipeline=pipeline, page_size=5, cursor=first.cursor)
    assert (second.total.value, second.total.relation) == (10, TotalRelation.EXACT)


def test_a_correction_between_pages_shows_no_old_version(full: Room) -> None:
    whole = uris(full.ask("ferry", page_size=200))
    first = full.ask("ferry", page_size=5)
    full.put(story(whole[6], "ferry corrected", version=2))
    second = full.ask("ferry", page_size=200, cursor=first.cursor)
    shown = {hit.item.uri: hit.item.version for hit in second.hits}
    assert shown.get(whole[6]) is None
    assert set(shown) == set(whole[5:]) - {whole[6]}


def test_a_killed_candidate_that_the_cursor_points_at(full: Room) -> None:
    whole = uris(full.ask("ferry", page_size=200))
    first = full.ask("ferry", page_size=5)
    full.kill(whole[5])
    assert uris(full.ask("ferry", page_size=2, cursor=first.cursor)) == whole[6:8]


def test_only_the_caller_it_was_made_for_can_use_a_cursor(full: Room) -> None:
    cursor = full.ask("ferry", page_size=5).cursor
    richer = Caller(READER.name, frozenset({"wire", "photos"}))
    for stranger in (PHOTOS, BOTH, richer, Caller("other", READER.products)):
        with pytest.raises(ExpiredError):
            full.ask("ferry", stranger, cursor=cursor)
    assert uris(full.ask("ferry", cursor=cursor))


def test_a_cursor_of_another_process_is_expired(full: Room) -> None:
    cursor = full.ask("ferry", page_size=5).cursor
    with pytest.raises(ExpiredError) as caught:
        full.ask("ferry", cursor=cursor, pipeline=full.build())
    assert caught.value.mend


def test_a_cursor_beyond_the_end_is_an_empty_page(full: Room) -> None:
    token, _, _ = read_cursor(full.ask("ferry", page_size=5).cursor)
    for start in (23, 10**9, 10**17):
        answer = full.ask("ferry", cursor=write_cursor(token, start, 2))
        assert (answer.hits, answer.cursor, answer.total.value) == ((), "", 23)


def test_a_page_number_beyond_the_end_is_an_empty_page(full: Room) -> None:
    for page in (4, 10**9, 10**40):
        answer = full.ask("ferry", page=page, page_size=10)
        assert (answer.hits, answer.cursor, answer.total.value) == ((), "", 23)


@pytest.mark.parametrize(
    "garbage",
    ["x", ".", "..", "a.b.c", "a.1", "a.1.", "a.-1.2", "a.1.2.3", ".1.2", "a.1e3.2", "a.²." * 2,
     "a" * 100 + ".1.2", "\x00", "😀.1.2", "a.1.2", "a.1." + "9" * 20, f"a.{2**63}.1"],
)  # fmt: skip
def test_garbage_is_an_expired_cursor(full: Room, garbage: str) -> None:
    with pytest.raises(ExpiredError):
        full.ask("ferry", cursor=garbage)


@given(st.text(max_size=70))
def test_any_text_is_a_cursor_or_expired(text: str) -> None:
    try:
        token, start, page = read_cursor(text)
    except ExpiredError:
        return
    assert token
    assert 0 <= min(start, page) <= max(start, page) < 2**63  # JSON carries no more


@given(st.integers(0, 10**12), st.integers(1, 10**12))
def test_cursors_are_read_as_written(start: int, page: int) -> None:
    assert read_cursor(write_cursor("aB-_9", start, page)) == ("aB-_9", start, page)


def test_sets_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(kept_candidates, "monotonic", lambda: now)
    store = CandidateStore(lifetime_s=600)
    token = store.keep(empty_set(READER))
    now = 1599.0
    assert store.find(token, READER).caller == READER
    now = 1601.0
    with pytest.raises(ExpiredError):
        store.find(token, READER)


def test_the_oldest_sets_go_first() -> None:
    store = CandidateStore(kept=3)
    tokens = [store.keep(empty_set(READER)) for _ in range(5)]
    for token in tokens[:2]:
        with pytest.raises(ExpiredError):
            store.find(token, READER)
    assert all(store.find(token, READER) for token in tokens[2:])


def test_a_stranger_does_not_end_the_owner_s_set() -> None:
    store = CandidateStore()
    token = store.keep(empty_set(READER))
    with pytest.raises(ExpiredError):
        store.find(token, PHOTOS)
    assert store.find(token, READER)


def test_tokens_differ() -> None:
    store = CandidateStore()
    assert len({store.keep(empty_set(READER)) for _ in range(100)}) == 100
