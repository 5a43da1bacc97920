"""An archive on OpenSearch from before there was a second vector field, on a real node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from core.items import FloatMatrix, PassageVectors
from core.query_tree import EVERYTHING
from core.retrieval import Retrieval, Retrieved, VectorQuery
from core.writes import PutItem
from storage.embedded.record.archive import Record
from storage.opensearch.engine import OpenSearchEngine, OpenSearchSettings
from storage.opensearch.index.body import IndexSettings, VectorSpace
from storage.opensearch.nodes.connection import ClusterSettings
from storage.opensearch.nodes.nodes import NodeSettings
from tests.opensearch_node import new_name
from tests.storage.opensearch_world import SPACES, remove_index
from tests.storage.world import (
    ENCODER,
    FIELD,
    WIDTH,
    WIRE,
    SetClock,
    by_vector,
    make_item,
    vector_of,
    vectors,
    versions,
)

SECOND = "second"
BOTH = {**SPACES, SECOND: VectorSpace("space-b", WIDTH)}
QUERY = vector_of("query")
PATIENT = NodeSettings(connect_s=60.0, timeout_s=120.0)  # other work may have the processor


def second_of(key: str) -> PassageVectors:
    return vectors(vector_of(f"second {key}"), encoder="space-b", field=SECOND)


def never() -> FloatMatrix:
    raise AssertionError("a field that is left out is not encoded for")


def asked(engine: OpenSearchEngine, second: VectorQuery) -> Retrieved:
    first = by_vector(QUERY, 0.25)
    request = Retrieval(
        EVERYTHING, WIRE, vectors=(first, replace(second, weight=0.25)), lexical_depth=0
    )
    return engine.retrieve(request)


@pytest.fixture
def name(opensearch: str) -> Iterator[str]:
    name = new_name()
    yield name
    remove_index(opensearch, name)


def test_the_index_gets_a_second_field_in_place(opensearch: str, name: str, folder: Path) -> None:
    @contextmanager
    def opened(spaces: dict[str, VectorSpace]) -> Iterator[OpenSearchEngine]:
        encoders = {field: space.encoder for field, space in spaces.items()}
        clock = SetClock()
        engine = OpenSearchEngine(
            OpenSearchSettings(
                spaces,
                name,
                ClusterSettings((opensearch,), nodes=PATIENT),
                IndexSettings(),
                patience_s=120.0,
                background=False,
            ),
            clock,
            Record(folder, encoders, clock),
        )
        try:
            yield engine
        finally:
            engine.close()

    with opened(SPACES) as engine:
        items = [make_item(uri, body="word") for uri in ("a", "b", "c")]
        engine.put([PutItem(item, (vectors(vector_of(item.uri)),)) for item in items])
        engine.catch_up()
    with opened(BOTH) as engine, opened(SPACES) as one:
        assert set(engine.encoders) == {FIELD, SECOND}
        found = asked(engine, VectorQuery(SECOND, 1.0, never))
        assert [scores.field for scores in found.vectors] == [FIELD]
        assert [scores.weight for scores in found.vectors] == [0.5]
        (flag,) = found.degraded
        assert flag.startswith("vectors: field second lacks 3 of 3 items")
        lacking = engine.lacking(SECOND, 0, 9)
        assert engine.add_vectors({n: second_of(item.uri) for n, item in lacking.items()}) == 3
        engine.catch_up()
        whole = asked(engine, by_vector(vector_of("second b"), field=SECOND))
        assert whole.degraded == ()
        assert [scores.field for scores in whole.vectors] == [FIELD, SECOND]
        best = whole.vectors[1].ranks.tolist().index(1)
        assert versions(engine, whole, WIRE)[best] == ("b", 1)
        assert whole.vectors[1].cosines[best] == pytest.approx(1.0, abs=1e-3)
        found = one.retrieve(
            Retrieval(EVERYTHING, WIRE, vectors=(by_vector(QUERY),), lexical_depth=0)
        )
        assert (len(found.ids), found.degraded) == (3, ())  # a process with one encoder goes on
    with opened(BOTH) as engine:
        late = make_item("d", body="word")
        engine.put([PutItem(late, (vectors(vector_of("d"), encoder=ENCODER), second_of("d")))])
        engine.catch_up()
        whole = asked(engine, by_vector(vector_of("second d"), field=SECOND))
        assert (len(whole.ids), whole.degraded) == (4, ())
