"""Both stores of candidate sets, and the bytes between processes."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ExpiredError
from core.query_tree import EVERYTHING, Bool, Keyword, Node, Word
from core.retrieval import Retrieval, VectorQuery
from search import kept_candidates
from search.kept_candidates import (
    CandidateStore,
    FormatError,
    SharedCandidateStore,
    from_bytes,
    to_bytes,
)
from storage.embedded.record.archive import Record
from storage.embedded.record.candidate_lists import CandidateLists
from tests.search.cursors.candidate_stores import Make, StoreConformance, assert_same, full_set
from tests.search.room import READER, START, Room, story, uris


class TestInMemory(StoreConformance):
    @pytest.fixture
    def make(self, monkeypatch: pytest.MonkeyPatch) -> Make:
        self.clock = [1000.0]
        monkeypatch.setattr(kept_candidates, "monotonic", lambda: self.clock[0])
        return lambda lifetime: CandidateStore(lifetime_s=lifetime)


class TestShared(StoreConformance):
    """What another process sees: nothing is in its memory."""

    @pytest.fixture
    def make(self, tmp_path: Path) -> Iterator[Make]:
        self.clock = [1000.0]
        opened = [Record(tmp_path, {}, lambda: START)]
        shelves: list[CandidateLists] = []

        def made(lifetime: float) -> SharedCandidateStore:
            shelf = CandidateLists(
                tmp_path, opened[0], lifetime_s=lifetime, now=lambda: self.clock[0]
            )
            shelves.append(shelf)
            return SharedCandidateStore(shelf, CandidateStore(kept=0))

        yield made
        for shelf in shelves:
            shelf.close()
        opened[0].close()


class Shelf:
    """A shelf in memory, to look at what lies there."""

    def __init__(self, *, broken: bool = False) -> None:
        self.kept: dict[str, bytes] = {}
        self.broken = broken

    def put(self, key: str, value: bytes) -> bool:
        if not self.broken:
            self.kept[key] = value
        return not self.broken

    def get(self, key: str) -> bytes | None:
        return self.kept.get(key)


def test_a_shelf_that_fails_leaves_memory() -> None:
    store = SharedCandidateStore(Shelf(broken=True))
    token = store.keep(full_set())
    assert_same(store.find(token, READER), full_set())


def test_a_set_that_can_t_be_written_stays_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()
    store = SharedCandidateStore(shelf)
    odd = replace(full_set(), scores=np.zeros((2, 2), np.float32))
    assert store.find(store.keep(odd), READER) is odd
    assert shelf.kept == {}
    assert "not shared" in caplog.text


def test_what_lies_on_the_shelf_is_no_pickle_and_no_executable_thing() -> None:
    data = to_bytes(full_set())
    assert b"builtins" not in data
    size = struct.unpack_from("<I", data, 13)[0]
    assert json.loads(data[17 : 17 + size])["~"] == "CandidateSet"


def test_a_retrieval_with_an_encoder_stays_behind() -> None:
    plain = Retrieval(EVERYTHING, READER, Keyword("place", ("Coast",)))
    kept = replace(full_set(), retrieval=plain)
    assert from_bytes(to_bytes(kept)).retrieval == plain
    query = VectorQuery("text", 1.0, lambda: np.zeros((1, 2), np.float32))
    kept = replace(full_set(), retrieval=replace(plain, vectors=(query,)))
    assert from_bytes(to_bytes(kept)).retrieval is None


def changed(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]


@given(st.data())
def test_any_damage_is_seen(data: st.DataObject) -> None:
    whole = to_bytes(full_set())
    place = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(FormatError):
        from_bytes(changed(whole, place))
    with pytest.raises(FormatError):
        from_bytes(whole[:place])


@given(st.binary(max_size=60))
def test_anything_else_is_no_set(data: bytes) -> None:
    with pytest.raises(FormatError):
        from_bytes(data)


def sealed(tree: object, version: int = 1) -> bytes:
    text = json.dumps(tree).encode()
    body = struct.pack("<I", len(text)) + text
    return struct.pack("<4sBII", b"DLCS", version, zlib.crc32(body), len(body)) + body


@pytest.mark.parametrize(
    "tree",
    [
        None,
        [],
        {"~": "Caller", "name": "x", "products": []},
        {"~": "CandidateSet"},
        {"~": "CandidateSet", "more": 1},
        {"~": "Path", "x": "/etc"},
        {"~": "system", "of": "ls"},
        {"~": "array", "type": "O", "at": 0, "count": 1},
        {"~": "array", "type": "<i8", "at": 0, "count": 9},
        {"~": "array", "type": "<i8", "at": -8, "count": 1},
        {"no": "kind"},
    ],
)
def test_only_our_types_are_made(tree: object) -> None:
    with pytest.raises(FormatError):
        from_bytes(sealed(tree))


def test_a_later_format_is_an_expired_cursor() -> None:
    shelf = Shelf()
    token = SharedCandidateStore(shelf).keep(full_set())
    shelf.kept[token] = shelf.kept[token][:4] + b"\x02" + shelf.kept[token][5:]
    with pytest.raises(ExpiredError):
        SharedCandidateStore(shelf).find(token, READER)


@pytest.fixture
def full(room: Room) -> Room:
    room.put(*(story(f"urn:{n:02}", "ferry " + "quay " * n, body=f"n{n}") for n in range(23)))
    return room


@pytest.mark.parametrize("profile", ["lexical", "vector", "hybrid", "hybrid-rrf"])
def test_a_later_page_says_the_same_wherever_it_is_asked(full: Room, profile: str) -> None:
    """Hits, scores, marks, explanations, totals, facets and notes of a real answer."""
    shelf = Shelf()
    asked: dict[str, Any] = {
        "profile": profile,
        "page_size": 5,
        "explain": True,
        "facets": ("type",),
    }
    pipelines = [full.build(candidates=SharedCandidateStore(shelf)) for _ in range(2)]
    first = full.ask("ferry quay", pipeline=pipelines[0], **asked)
    pages = [
        full.ask("ferry quay", pipeline=pipeline, cursor=first.cursor, **asked)
        for pipeline in pipelines
    ]
    here, there = (replace(page, milliseconds={}) for page in pages)
    assert here == there
    assert len(uris(here)) == 5
    assert here.hits[0].explanation is not None


def test_a_query_of_very_many_levels_is_kept_in_memory_alone() -> None:
    deep: Node = Word("ferry")
    for _ in range(2000):
        deep = Bool(must_not=(deep,))
    candidates = replace(full_set(), query=deep)
    with pytest.raises(FormatError, match="can't be written"):
        to_bytes(candidates)

    class Unused:
        def put(self, key: str, value: bytes) -> bool:
            raise AssertionError("there is nothing to keep")

        def get(self, key: str) -> bytes | None:
            return None

    store = SharedCandidateStore(Unused())
    assert store.find(store.keep(candidates), candidates.caller) is candidates
