"""The sums of an index's vectors are those of what it holds, however often that is hidden and shown
again; and where they are not, a repair counts anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.items import PubStatus
from core.query_tree import Word
from core.retrieval import Retrieval
from core.writes import Outcome, PutItem, SetStatus
from storage.opensearch.engine import OpenSearchEngine
from storage.opensearch.following import projector
from storage.opensearch.index.bulk import BulkSettings, BulkWriter
from storage.opensearch.index.check import IndexCheck, expected_of
from storage.opensearch.index.documents import MOST_PASSAGES
from storage.opensearch.index.vector_sums import Sum, sums_of
from storage.record.item_rows import to_micros
from tests.conftest import new_folder
from tests.storage.conformance.engine_under_test import PROPERTY
from tests.storage.opensearch_world import lending, open_opensearch
from tests.storage.world import (
    NOW,
    WIDTH,
    WIRE,
    SetClock,
    by_vector,
    make_item,
    unit,
    vector_of,
    vectors,
    write,
)

STATES = (PubStatus.USABLE, PubStatus.WITHHELD, PubStatus.CANCELED, PubStatus.USABLE)
HISTORIES = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(("version", "unembedded", *STATES))),
    max_size=8,
)
_numbers = count()


@pytest.fixture(scope="module", autouse=True)
def _on_the_node(opensearch: str) -> Iterator[None]:
    with lending(opensearch):
        yield


@pytest.fixture(scope="module")
def long_lived() -> Iterator[OpenSearchEngine]:
    engine = open_opensearch(new_folder(), SetClock())
    yield engine
    engine.close()


@pytest.fixture
def engine(folder: Path) -> Iterator[OpenSearchEngine]:
    engine = open_opensearch(folder, SetClock())
    yield engine
    engine.close()


def exact(engine: OpenSearchEngine) -> Sum:
    """From the record: of all that the index is to hold."""
    with engine.record.moment() as reads:
        seqs = [*expected_of(reads, to_micros(NOW))]
        found = sums_of(reads, engine.family.spaces, seqs)
    return found.get("text", Sum(0, np.zeros(WIDTH)))


def noted(engine: OpenSearchEngine) -> Sum:
    return engine.family.note().sums.get("text", Sum(0, np.zeros(WIDTH)))


@settings(PROPERTY, max_examples=25)
@given(HISTORIES, st.sampled_from(("each", "pages", "at once")))
def test_the_sum_is_of_what_the_index_holds(
    long_lived: OpenSearchEngine, history: list[tuple[str, str]], followed: str
) -> None:
    """Also where several changes are followed at once, where each is a page of its own that is read
    when all have happened, or where vectors come after their version.
    """
    engine, example, versions = long_lived, next(_numbers), dict.fromkeys("ab", 0)
    for item, event in history:
        uri = f"{example}/{item}"
        if event in ("version", "unembedded"):
            versions[item] += 1
            new = make_item(uri, versions[item], headline=f"ferry {versions[item]}")
            own = vectors(vector_of(f"{uri} {versions[item]}"), unit(1, example))
            engine.record.put([PutItem(new, (own,) if event == "version" else ())])
            if event == "unembedded":
                seq = engine.record.reads.seq_of(uri, versions[item])
                assert seq is not None
                engine.record.add_vectors({seq: own})
        elif versions[item]:
            engine.record.set_status([SetStatus(uri, PubStatus(event))])
        if followed == "each":
            engine.catch_up()
    with pytest.MonkeyPatch.context() as patched:
        if followed == "pages":
            patched.setattr(projector, "_PAGE", 1)
            patched.setattr(projector, "_SHORT_PAGE", 1)
        engine.catch_up()
    found, wanted = noted(engine), exact(engine)
    assert found.count == wanted.count
    assert np.allclose(found.total, wanted.total, atol=1e-4)


def test_what_is_recorded_again_is_counted_anew_by_a_repair(engine: OpenSearchEngine) -> None:
    """With other products it is another version in the place of one that is gone: so the sum has
    its vectors twice, which the index's own number of passages shows.
    """
    write(engine, make_item("a", headline="ferry"), unit(1), unit(2))
    write(engine, make_item("b", headline="storm"), unit(3))
    again = make_item("a", headline="ferry", products=("wire", "photos"))
    assert write(engine, again, unit(1), unit(2)) is Outcome.UPDATED
    assert noted(engine).count == 5
    writer = BulkWriter(engine.cluster, engine.family.writes_to, BulkSettings())
    check = IndexCheck(engine.record, engine.family, writer, SetClock())
    drift = check.look()
    assert drift.is_sound, "no search finds anything else for it"
    assert drift.miscounted == {"text": 2}
    check.repair(drift)
    assert check.look().miscounted == {}
    assert noted(engine).count == 3
    assert np.allclose(noted(engine).total, exact(engine).total)
    write(engine, make_item("c", headline="fog"), unit(4))
    assert noted(engine).count == 4, "what comes later counts once"


def test_sums_are_not_noted_for_an_index_that_is_elsewhere(engine: OpenSearchEngine) -> None:
    write(engine, make_item("a", headline="ferry"), unit(1))
    before, applied = engine.family.note(), engine.projector.applied
    assert not engine.family.note_sums({}, applied - 1)
    more = {"text": Sum(1, np.ones(WIDTH))}
    after = engine.family.advance(applied - 1, applied + 1, ("late",), before.record, more)
    assert after.applied == engine.family.note().applied == applied, "another one has noted before"
    assert noted(engine).count == 1


def test_an_item_with_more_passages_than_a_document_takes_is_found(folder: Path) -> None:
    engine = open_opensearch(folder, SetClock(), patience_s=30.0)  # a slow node's refresh
    try:
        _found_by_its_first_passages(engine)
    finally:
        engine.close()


def _found_by_its_first_passages(engine: OpenSearchEngine) -> None:
    last = unit(1)
    many = [vector_of(str(number)) for number in range(10_050)]
    assert write(engine, make_item("long", headline="zebra"), *many, last) is Outcome.CREATED
    found = engine.retrieve(Retrieval(Word("zebra"), WIRE, vectors=(by_vector(last),)))
    assert (found.degraded, engine.projector.failures) == ((), [])
    assert found.vectors[0].cosines.tolist() == pytest.approx([1.0]), "of all its passages"
    assert engine.projector.note.sums["text"].count == MOST_PASSAGES
    writer = BulkWriter(engine.cluster, engine.family.writes_to, BulkSettings())
    drift = IndexCheck(engine.record, engine.family, writer, SetClock()).look()
    assert (drift.is_sound, drift.held, drift.miscounted) == (True, 1, {})
    assert engine.set_status([SetStatus("long", PubStatus.CANCELED)])[0].outcome is Outcome.UPDATED
    engine.catch_up()
    assert engine.projector.note.sums["text"].count == 0
