"""An index that can't follow the record: what is hidden stays hidden, and the answer says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest

from core.entities import Entity, EntityLabel
from core.errors import BusyError
from core.items import Concept, PubStatus
from core.query_tree import EVERYTHING, Word
from core.retrieval import Retrieval
from core.writes import Outcome
from storage.embedded.record.archive import Record
from storage.opensearch.engine import OpenSearchEngine
from storage.opensearch.index.bulk import BulkSettings, BulkWriter, Operation
from storage.opensearch.index.documents import restated
from storage.record.item_rows import to_micros
from tests.storage.opensearch_world import lending, open_opensearch
from tests.storage.world import (
    ENCODER,
    NOW,
    WIRE,
    SetClock,
    ask,
    by_vector,
    change,
    lexical,
    make_item,
    nearest,
    unit,
    uris,
    write,
)

PROBE = 10**9
ANA = Entity("ana reyes", EntityLabel.PER, 0, 9, 0.9)


@pytest.fixture(scope="module", autouse=True)
def _on_the_node(opensearch: str) -> Iterator[None]:
    with lending(opensearch):
        yield


@pytest.fixture
def engine(folder: Path) -> Iterator[OpenSearchEngine]:
    engine = open_opensearch(folder, SetClock(), bulk=BulkSettings(tries=1))
    yield engine
    engine.close()


@contextmanager
def read_only(engine: OpenSearchEngine) -> Iterator[None]:
    """The index takes no writes, as where its disk is full."""
    path = f"/{engine.family.concrete}/_settings"
    engine.cluster.ask("PUT", path, {"index.blocks.write": True})
    try:
        yield
    finally:
        engine.cluster.ask("PUT", path, {"index.blocks.write": None})


def test_what_was_killed_is_on_no_surface(engine: OpenSearchEngine) -> None:
    ana: dict[str, Any] = {"person": (Concept("Ana Reyes"),), "headline": "zebra"}
    for uri in ("kept", "killed"):
        write(engine, make_item(uri, **ana), unit(1))
    request = Retrieval(Word("zebra"), WIRE, vectors=(by_vector(unit(1), 0.5),))
    assert {uri for uri, _ in ask(engine, request)} == {"kept", "killed"}
    with read_only(engine):
        assert change(engine, "killed", pubstatus=PubStatus.CANCELED) is Outcome.UPDATED
        found = engine.retrieve(request)
        assert [item.uri for item in engine.items(found.ids, WIRE) if item] == ["kept"]
        assert len(found.ids) == len(found.bm25) == len(found.vectors[0].cosines) == 1
        assert found.lexical_matches == 1
        (flag,) = found.degraded
        assert flag.startswith("index: 1 changes behind the record")
        assert engine.known([ANA], WIRE) == (None,)
        assert engine.suggest("ana", 5, WIRE) == ()
        assert engine.seen_counts(["zebra", "unheard"], 3, WIRE) == (4, 4), "none is doubted"
        assert engine.rarities(["zebra"], "en", WIRE).values.tolist() == [0.0]
        assert engine.pending == 1
    assert uris(engine, EVERYTHING) == {"kept"}
    assert engine.retrieve(request).degraded == ()
    assert engine.known([ANA], WIRE) != (None,)
    assert engine.seen_counts(["zebra", "unheard"], 3, WIRE) == (1, 0)


ASKED: dict[str, Callable[[OpenSearchEngine], object]] = {
    "known": lambda engine: engine.known([ANA], WIRE),
    "satisfies": lambda engine: engine.satisfies(1, [EVERYTHING]),
    "seen_counts": lambda engine: engine.seen_counts(["zebra"], 3, WIRE),
    "similar_words": lambda engine: engine.similar_words([("zebro", 1)], WIRE),
    "rarities": lambda engine: engine.rarities(["zebra"], "en", WIRE).values.tolist(),
    "suggest": lambda engine: engine.suggest("ana", 5, WIRE),
    "undescribed": lambda engine: engine.undescribed(5),
    "products": lambda engine: engine.products(),
    "status": lambda engine: engine.status()["visible"],
}


@pytest.mark.parametrize("kind", ASKED)
def test_what_was_made_searchable_is_what_is_asked(
    engine: OpenSearchEngine, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The alias moves between the two: the index that it is on by then may lack a kill."""
    write(engine, make_item("a", person=(Concept("Ana Reyes"),), headline="zebra"), unit(1))
    expected = ASKED[kind](engine)
    views, view = engine._views, engine._views.current
    really = view.projector.make_searchable

    def moved_meanwhile(patience_s: float) -> str:
        said = really(patience_s)
        monkeypatch.setattr(views, "current", None)
        return said

    monkeypatch.setattr(view.projector, "make_searchable", moved_meanwhile)
    assert ASKED[kind](engine) == expected
    monkeypatch.undo()


def test_what_was_recorded_meanwhile_comes_later(engine: OpenSearchEngine) -> None:
    write(engine, make_item("before", body="zebra"))
    engine.catch_up()
    with read_only(engine):
        assert write(engine, make_item("after", body="zebra")) is Outcome.CREATED
        assert engine.item("after", WIRE) is not None
        assert uris(engine, Word("zebra")) == {"before"}
        assert "takes no writes" in " ".join(engine.status()["failures"])
    assert uris(engine, Word("zebra")) == {"before", "after"}


def test_a_lost_point_in_time_is_taken_again(engine: OpenSearchEngine) -> None:
    write(engine, make_item("a", body="zebra"))
    assert uris(engine, Word("zebra")) == {"a"}
    engine.cluster.ask("DELETE", "/_search/point_in_time/_all")
    found = engine.retrieve(lexical(Word("zebra")))
    assert (len(found.ids), found.degraded) == (1, ())


def test_a_lost_index_is_made_anew(engine: OpenSearchEngine) -> None:
    for number in range(3):
        write(engine, make_item(f"{number}", body="zebra"), unit(1, number))
    write(engine, make_item("0", 2, body="crocodile"), unit(1))
    engine.catch_up()
    before = engine.retrieve(lexical(EVERYTHING)).ids
    engine.cluster.ask("DELETE", f"/{engine.family.concrete}")
    write(engine, make_item("new", body="zebra"))
    engine.catch_up()
    assert uris(engine, Word("zebra")) == {"1", "2", "new"}
    assert np.isin(before, engine.retrieve(lexical(EVERYTHING)).ids).all()


@pytest.mark.parametrize("has_searched", [True, False])
def test_an_index_that_somebody_makes_anew_is_not_taken_for_the_lost_one(
    engine: OpenSearchEngine, folder: Path, has_searched: bool
) -> None:
    """Another process has written nothing since, and searches while the new one is half made."""
    written = {f"{number}" for number in range(3)}
    for uri in sorted(written):
        write(engine, make_item(uri, body="zebra"))
    engine.catch_up()
    other = open_opensearch(folder, SetClock())
    if has_searched:
        assert uris(other, Word("zebra")) == written
    engine.cluster.ask("DELETE", f"/{engine.family.concrete}")
    engine.family.open()  # made anew, and empty as yet
    with suppress(BusyError):
        found = other.retrieve(lexical(Word("zebra")))
        assert found.degraded, "an answer from a part of it says so"
    other.catch_up()  # which makes nothing anew that nobody has missed
    assert uris(other, Word("zebra")) == written, "and it has been noticed"
    assert any("lost" in failure for failure in other.status()["failures"])
    other.close()


def test_terms_of_a_lost_index_are_not_looked_up_in_vain(engine: OpenSearchEngine) -> None:
    write(engine, make_item("a", body="zebra"))
    engine.catch_up()
    assert uris(engine, Word("zebra")) == {"a"}
    engine.cluster.ask("DELETE", f"/{engine.family.concrete}")
    with pytest.raises(BusyError, match="lost"):
        engine.retrieve(lexical(Word("crocodile")))
    engine.catch_up()
    assert uris(engine, Word("zebra")) == {"a"}


def forget_deletions(engine: OpenSearchEngine) -> None:
    """The node remembers deletions for a second, and has forgotten those until now."""
    path = f"/{engine.family.concrete}/_settings"
    engine.cluster.ask("PUT", path, {"index.gc_deletes": "1s"})
    writer = BulkWriter(engine.cluster, engine.family.writes_to, BulkSettings())
    writer.write([Operation(PROBE, 5, b"{}"), Operation(PROBE, 6)])
    deadline = monotonic() + 240
    while writer.write([Operation(PROBE, 1, b"{}")]).outdated:
        assert monotonic() < deadline, "the node remembers what was deleted"
        engine.family.refresh()
        sleep(0.1)
    writer.write([Operation(PROBE, 2)])
    engine.family.refresh()


def test_an_old_write_brings_nothing_back_however_late_it_is(engine: OpenSearchEngine) -> None:
    """One process reads what is shown and is held up; the others kill it, replace it, go on."""
    for uri in ("killed", "replaced", "kept"):
        write(engine, make_item(uri, headline="zebra"), unit(1))
    engine.catch_up()
    with engine.record.moment() as reads:
        now, newest = to_micros(NOW), engine.record.last_change()
        chains = ["killed", "replaced", "kept"]
        old = restated(reads, chains, engine.family.spaces, now, newest).operations
    change(engine, "killed", pubstatus=PubStatus.CANCELED)
    write(engine, make_item("replaced", 2, headline="crocodile"), unit(2))
    engine.catch_up()
    assert uris(engine, Word("zebra")) == {"kept"}
    assert engine.family.count() == 2
    forget_deletions(engine)
    writer = BulkWriter(engine.cluster, engine.family.writes_to, BulkSettings())
    assert writer.write(old).outdated == 2
    engine.family.refresh()
    zebras = {"query": {"term": {"headline": "zebra"}}}
    found = engine.cluster.ask("POST", f"/{engine.family.concrete}/_search", zebras)
    assert [hit["_source"]["uri"] for hit in found["hits"]["hits"]] == ["kept"]
    assert engine.family.count() == 2
    assert engine.status()["lexical"]["documents"] == 2
    change(engine, "killed", pubstatus=PubStatus.USABLE)
    assert uris(engine, Word("zebra")) == {"kept", "killed"}, "it may come back"


def test_the_vectors_of_what_is_shown_at_last_are_counted(engine: OpenSearchEngine) -> None:
    """Among those that cosines are measured against: an index has them that it shows."""
    write(engine, make_item("late", pubstatus=PubStatus.WITHHELD), unit(1), unit(2))
    write(engine, make_item("early"), unit(3))
    engine.catch_up()
    assert engine.projector.note.sums["text"].count == 1
    change(engine, "late", pubstatus=PubStatus.USABLE)
    assert engine.projector.note.sums["text"].count == 3
    assert len(engine.retrieve(nearest(unit(1), depth=5)).ids) == 2


def test_a_second_archive_that_began_on_the_same_empty_index_is_told(
    engine: OpenSearchEngine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clock = SetClock()
    record = Record(tmp_path_factory.mktemp("other"), {"text": ENCODER}, clock)
    other = OpenSearchEngine(engine._settings, clock, record)
    try:
        write(engine, make_item("first", headline="zebra"), unit(1))
        for uri in ("second", "third"):
            write(other, make_item(uri, headline="zebra"), unit(1))
        found = other.retrieve(Retrieval(Word("zebra"), WIRE))
        assert "follows another record" in " ".join(found.degraded)
        assert "follows another record" in " ".join(other.projector.failures)
        assert other.projector.applied == 0
        assert engine.projector.applied == engine.record.last_change()
        assert not engine.retrieve(Retrieval(Word("zebra"), WIRE)).degraded
    finally:
        other.close()
