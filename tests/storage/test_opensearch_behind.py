"""An index that can't follow the record: what is hidden stays hidden, and the answer says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.entities import Entity, EntityLabel
from core.items import Concept, PubStatus
from core.query_tree import EVERYTHING, Word
from core.retrieval import Retrieval
from core.writes import Outcome
from storage.opensearch.bulk import BulkSettings
from storage.opensearch.engine import OpenSearchEngine
from tests.opensearch_node import opensearch  # noqa: F401 - a fixture
from tests.storage.opensearch_world import lending, open_opensearch
from tests.storage.world import (
    WIRE,
    SetClock,
    ask,
    by_vector,
    change,
    lexical,
    make_item,
    unit,
    uris,
    write,
)

ANA = Entity("ana reyes", EntityLabel.PER, 0, 9, 0.9)


@pytest.fixture(scope="module", autouse=True)
def _on_the_node(opensearch: str) -> Iterator[None]:  # noqa: F811
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
        assert engine.pending == 1
    assert uris(engine, EVERYTHING) == {"kept"}
    assert engine.retrieve(request).degraded == ()
    assert engine.known([ANA], WIRE) != (None,)


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
