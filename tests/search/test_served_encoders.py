"""A service searches while its archive moves to another encoder: each query's vector says whose it
is, at every moment of the move.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.items import FloatMatrix
from core.retrieval import Retrieval, Retrieved
from search.encoders import ServedEncoders
from tests.indexing.conftest import HashingEncoder
from tests.search.room import Room, story


class NextEncoder(HashingEncoder):
    """Of another space: each vector backwards."""

    digest = "next"

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        return super().encode_queries(texts)[:, ::-1]


OLD, NEW = HashingEncoder(), NextEncoder()


@dataclass
class Moving:
    """An engine whose index comes to hold another encoder's vectors; `asked` are its retrievals."""

    engine: Any
    encoders: Mapping[str, str]
    asked: list[Retrieval] = field(default_factory=list)

    def retrieve(self, request: Retrieval) -> Retrieved:
        self.asked.append(request)
        found: Retrieved = self.engine.retrieve(request)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


@pytest.fixture
def room(folder: Path) -> Iterator[Room]:
    made = Room(folder, OLD)
    made.put(story("urn:a", "ferry aground"))
    yield made
    made.engine.close()


def test_a_query_s_vector_is_named_by_the_encoder_that_made_it(room: Room) -> None:
    moving = Moving(room.engine, {"text": OLD.digest})
    room.engine = moving
    pipeline = room.build(encoders=ServedEncoders({"text": OLD}, {"text": NEW}, moving))
    for number, served in enumerate((OLD, NEW, NEW, OLD)):
        moving.encoders = {"text": served.digest}
        room.ask(f"ferry {number}", profile="vector", pipeline=pipeline)
        (query,) = moving.asked[-1].vectors
        assert query.encoder == served.digest
        np.testing.assert_array_equal(query.encode(), served.encode_queries([f"ferry {number}"]))
