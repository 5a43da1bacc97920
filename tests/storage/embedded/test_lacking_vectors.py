"""Vectors that come after their items: what lacks them is told, and is found once it has them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.callers import Caller
from core.items import FloatMatrix, PassageVectors, PubStatus
from core.query_tree import EVERYTHING
from core.retrieval import Retrieval, Retrieved, VectorQuery
from core.writes import Outcome, PutItem
from storage.embedded.engine import EmbeddedEngine
from tests.conftest import new_folder
from tests.storage.world import (
    ENCODER,
    FIELD,
    HOUR,
    NOW,
    WIRE,
    SetClock,
    by_vector,
    change,
    make_item,
    open_embedded,
    opened,
    vector_of,
    vectors,
    versions,
)

SECOND = "second"
BOTH = {FIELD: ENCODER, SECOND: "space-b"}
QUERY = vector_of("query")


def second_of(key: str, encoder: str = "space-b") -> PassageVectors:
    return vectors(vector_of(f"second {key}"), encoder=encoder, field=SECOND)


def asked(engine: EmbeddedEngine, caller: Caller = WIRE, field: str = SECOND) -> Retrieved:
    query = by_vector(QUERY, field=field)
    return engine.retrieve(Retrieval(EVERYTHING, caller, vectors=(query,), lexical_depth=0))


def found(engine: EmbeddedEngine, field: str = SECOND) -> set[tuple[str, int]]:
    return set(versions(engine, asked(engine, field=field), WIRE))


def embed_all(engine: EmbeddedEngine, batch: int = 100) -> int:
    """What `dateline embed` does, with vectors that the uri decides."""
    added, after = 0, 0
    while items := engine.lacking(SECOND, after, batch):
        added += engine.add_vectors({n: second_of(item.uri) for n, item in items.items()})
        after = max(items)
    return added


@pytest.fixture
def archive(folder: Path) -> Path:
    """Three stories and one without a text, recorded before there was a second field."""
    with opened(folder, SetClock()) as engine:
        items = [make_item(uri, body="word") for uri in ("a", "b", "c")]
        puts = [PutItem(item, (vectors(vector_of(item.uri)),)) for item in items]
        engine.put([*puts, PutItem(make_item("mute"), (vectors(),))])
    return folder


def test_what_is_embedded_during_a_search_is_found_by_it_or_said_to_be_lacking(
    archive: Path,
) -> None:
    with opened(archive, SetClock(), spaces=BOTH) as engine:

        def late() -> FloatMatrix:
            assert embed_all(engine) == 4
            return QUERY

        query = VectorQuery(SECOND, 1.0, late)
        answer = engine.retrieve(Retrieval(EVERYTHING, WIRE, vectors=(query,), lexical_depth=0))
        said = answer.degraded == (
            "vectors: field second lacks 4 of 4 items; `dateline embed` adds them",
        )
        assert said or len(answer.ids) == 4
        assert (len(found(engine)), asked(engine).degraded) == (4, ())


def test_what_is_embedded_while_it_is_hidden_is_found_later(archive: Path) -> None:
    with opened(archive, SetClock(), spaces=BOTH) as engine:
        change(engine, "a", pubstatus=PubStatus.WITHHELD)
        assert embed_all(engine) == 4
        engine.compact()  # which looks through what each field holds
        change(engine, "a", pubstatus=PubStatus.USABLE)
        assert ("a", 1) in found(engine)
        assert asked(engine).degraded == ()


def test_a_later_field_covers_nothing_and_says_so(archive: Path) -> None:
    with opened(archive, SetClock(), spaces=BOTH) as engine:
        assert found(engine) == set()
        assert asked(engine).degraded == (
            "vectors: field second lacks 4 of 4 items; `dateline embed` adds them",
        )
        assert asked(engine, field=FIELD).degraded == ()
        assert engine.status()["vectors"][SECOND]["lacking"] == 4
        assert engine.count_lacking(SECOND) == 4


def test_added_vectors_are_found_at_once_and_by_every_process(archive: Path) -> None:
    with (
        opened(archive, SetClock(), spaces=BOTH) as engine,
        opened(archive, SetClock(), spaces=BOTH) as other,
    ):
        before = engine.items(asked(engine, field=FIELD).ids, WIRE)
        assert embed_all(engine, batch=2) == 4
        assert engine.count_lacking(SECOND) == 0
        for each in (engine, other):
            assert {uri for uri, _ in found(each)} == {"a", "b", "c", "mute"}
            assert asked(each).degraded == ()
        assert engine.items(asked(engine, field=FIELD).ids, WIRE) == before
    with opened(archive, SetClock(), spaces=BOTH) as engine:
        engine.compact()
        assert len(found(engine)) == 4
        assert engine.status()["vectors"][SECOND]["segments"] == [4]


def test_segments_of_another_process_cover_what_was_lacking(archive: Path) -> None:
    with (
        opened(archive, SetClock(), spaces=BOTH) as owner,
        opened(archive, SetClock(), spaces=BOTH) as other,
    ):
        assert asked(other).degraded
        embed_all(owner)
        owner.compact()
        other.projections.projector.follow_segments()  # before it has read what was written
        assert other.status()["vectors"][SECOND]["lacking"] == 0
        assert len(found(other)) == 4
        assert other.status()["vectors"][SECOND]["tail"] == 0


def test_an_item_without_passages_lacks_nothing_once_it_was_looked_at(archive: Path) -> None:
    with opened(archive, SetClock(), spaces=BOTH) as engine:
        nothing = vectors(encoder="space-b", field=SECOND)
        engine.add_vectors(dict.fromkeys(engine.lacking(SECOND, 0, 9), nothing))
        assert (found(engine), asked(engine).degraded) == (set(), ())


def test_only_what_a_caller_may_see_is_counted(folder: Path) -> None:
    with opened(folder, SetClock(), spaces=BOTH) as engine:
        mine, secret = make_item("a"), make_item("b", products=("secret",))
        engine.put([PutItem(mine, (second_of("a"),)), PutItem(secret)])
        assert asked(engine).degraded == ()
        told = asked(engine, Caller("desk", frozenset({"wire", "secret"}))).degraded
        assert told[0].startswith("vectors: field second lacks 1 of 2 items")


def test_a_field_that_is_left_out_for_a_while_keeps_its_vectors(archive: Path) -> None:
    with opened(archive, SetClock(), spaces=BOTH) as engine:
        embed_all(engine)
        engine.compact()
    with opened(archive, SetClock()) as engine:  # turned off: another item, other products
        engine.put([PutItem(make_item("d", body="word"), (vectors(vector_of("d")),))])
        again = make_item("a", body="word", products=("wire", "extra"))
        (written,) = engine.put([PutItem(again, (vectors(vector_of("a")),))])
        assert written.outcome is Outcome.UPDATED
    with opened(archive, SetClock(), spaces=BOTH) as engine:
        assert {uri for uri, _ in found(engine)} == {"a", "b", "c", "mute"}
        assert [item.uri for item in engine.lacking(SECOND, 0, 9).values()] == ["d"]


def test_vectors_of_another_encoder_count_as_lacking_and_are_replaced(archive: Path) -> None:
    with opened(archive, SetClock(), spaces=BOTH) as engine:
        embed_all(engine)
    other = {FIELD: ENCODER, SECOND: "space-c"}
    with opened(archive, SetClock(), spaces=other) as engine:
        assert found(engine) == set()
        lacking = engine.lacking(SECOND, 0, 9)
        assert engine.add_vectors({n: second_of("x", "space-c") for n in lacking}) == 4
        assert engine.add_vectors({n: second_of("y", "space-c") for n in lacking}) == 0
        assert len(found(engine)) == 4


def test_what_is_gone_meanwhile_is_passed_over(archive: Path) -> None:
    with opened(archive, SetClock(), spaces=BOTH) as engine:
        lacking = engine.lacking(SECOND, 0, 9)
        again = make_item("a", body="word", products=("wire", "extra"))
        engine.put([PutItem(again, (vectors(vector_of("a")),))])  # recorded anew, by another id
        assert engine.add_vectors({n: second_of("x") for n in lacking}) == 3
        assert [item.uri for item in engine.lacking(SECOND, 0, 9).values()] == ["a"]


def test_what_an_embargo_leaves_visible_is_embedded_too(folder: Path) -> None:
    clock = SetClock()
    with opened(folder, clock) as engine:
        for version, until in ((1, None), (2, NOW + HOUR)):
            item = make_item("a", version, body="word", embargoed=until)
            engine.put([PutItem(item, (vectors(vector_of(f"a/{version}")),))])
    with opened(folder, clock, spaces=BOTH) as engine:
        assert embed_all(engine) == 2
        assert found(engine) == {("a", 1)}
        clock.advance(2 * HOUR)
        assert found(engine) == {("a", 2)}
        assert asked(engine).degraded == ()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put bare", "embed", "kill", "revive", "seal", "reopen"]),
        st.sampled_from("abcde"),
    ),
    max_size=14,
)


@given(STEPS)
def test_in_any_order_of_events_the_field_is_what_a_dict_says(steps: list[tuple[str, str]]) -> None:
    check_steps(steps)


def check_steps(steps: list[tuple[str, str]]) -> None:
    embedded: dict[str, bool] = {}
    newest: dict[str, int] = {}
    killed: set[str] = set()
    folder = new_folder()
    engine = open_embedded(folder, SetClock(), spaces=BOTH)
    try:
        for step, uri in steps:
            if step.startswith("put"):
                newest[uri] = newest.get(uri, 0) + 1
                own = (second_of(uri),) if step == "put" else ()
                engine.put([PutItem(make_item(uri, newest[uri]), own)])
                embedded[uri] = step == "put"
            elif step == "embed":
                embed_all(engine)
                embedded = dict.fromkeys(embedded, True)
            elif step == "kill" and uri in newest:
                change(engine, uri, pubstatus=PubStatus.CANCELED)
                killed.add(uri)
            elif step == "revive" and uri in newest:
                change(engine, uri, pubstatus=PubStatus.USABLE)
                killed.discard(uri)
            elif step == "seal":
                engine.compact()
            elif step == "reopen":
                engine.close()
                engine = open_embedded(folder, SetClock(), spaces=BOTH)
            visible = newest.keys() - killed
            assert found(engine) == {(u, newest[u]) for u in visible if embedded[u]}
            lacking = sum(not embedded[u] for u in visible)
            assert engine.status()["vectors"][SECOND]["lacking"] == lacking
    finally:
        engine.close()
        shutil.rmtree(folder)
