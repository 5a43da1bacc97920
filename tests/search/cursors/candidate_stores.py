"""What every store of candidate sets promises: subclass, say how to make one, get the tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from core.callers import Caller
from core.errors import ExpiredError
from core.query_tree import Bool, DateRange, Keyword, Phrase, Prefix, Word
from core.retrieval import Retrieved, TotalRelation, VectorScores
from rerank.deadline import Mixing
from search.answers import DateSpan, FoundName, Understood
from search.candidates import CandidateSet, OpenFacet
from search.kept_candidates import KeptCandidates
from search.ranking import Fused
from tests.search.room import BOTH, PHOTOS, READER, START


def full_set(caller: Caller = READER, count: int = 5) -> CandidateSet:
    """A set with something in every member that a later page reads."""
    ids = np.arange(count, dtype=np.int64) + 2**40
    floats = np.linspace(0, 1, count, dtype=np.float32)
    holes = np.where(ids % 2, np.float32("nan"), floats).astype(np.float32)
    ranks = np.arange(count, dtype=np.int32)
    part = VectorScores("text", 0.5, holes, ranks - 1, ranks, 0.25)
    return CandidateSet(
        caller=caller,
        profile="hybrid",
        query=Bool(
            must=(Phrase("märz 🌍", slop=2), Keyword("type", ("text", 'quo"ted'))),
            should=(Word("ferry", boost=2.0), Prefix("qua", "headline")),
            must_not=(DateRange("versioncreated", START, None),),
        ),
        understood=Understood(
            "ferry",
            "ferry quay",
            (FoundName("Ana", "PER", 0, 3, 0.75),),  # type: ignore[arg-type]
            (DateSpan("march", 0, 5, "2024-03-01", ""),),
            ("a note",),
        ),
        ids=ids,
        scores=floats,
        places=np.arange(count, dtype=np.int64)[::-1],
        found=Retrieved(ids, holes, ranks, 7, (part,), {"lexical": 1.5}, ("flag",), 12.5),
        fused=Fused(floats, floats, (floats,), (0.5, 0.5), floats, 0.1, recency=holes),
        fused_ranks=ids,
        rerank_scores=holes,
        relation=TotalRelation.WINDOW,
        degraded=("rerank: partly",),
        pinned=1,
        similar_to="urn:é",
        mixing=Mixing(0.5, float("-inf"), (0.0, 1.0), (0.0, 1.0)),
        groups=ids,
        open_facets={"place": OpenFacet(ids[:2], None), "type": OpenFacet(ids, ids)},
    )


def assert_same(one: object, other: object) -> None:
    """Equality that looks into arrays."""
    assert type(one) is type(other), (one, other)
    if isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, tuple):
        assert isinstance(other, tuple)
        for ours, theirs in zip(one, other, strict=True):
            assert_same(ours, theirs)
    elif isinstance(one, dict):
        assert isinstance(other, dict)
        assert_same(tuple(one.items()), tuple(other.items()))
    elif names := getattr(one, "__dataclass_fields__", None):
        for name in names:
            assert_same(getattr(one, name), getattr(other, name))
    else:
        assert one == other


Make = Callable[[float], KeptCandidates]


class StoreConformance:
    """The tests. `make` gives a store whose sets live so many seconds by `self.clock`."""

    clock: list[float]

    @pytest.fixture
    def make(self) -> Make:
        raise NotImplementedError

    def test_a_set_comes_back_as_it_was(self, make: Make) -> None:
        kept = full_set()
        store = make(600)
        assert_same(store.find(store.keep(kept), READER), kept)

    def test_an_empty_set_comes_back(self, make: Make) -> None:
        kept, store = full_set(count=0), make(600)
        assert_same(store.find(store.keep(kept), READER), kept)

    def test_only_its_caller_gets_a_set(self, make: Make) -> None:
        store = make(600)
        token = store.keep(full_set())
        richer = replace(READER, products=READER.products | {"photos"})
        for stranger in (PHOTOS, BOTH, richer, replace(READER, may_inspect=True)):
            with pytest.raises(ExpiredError):
                store.find(token, stranger)
        assert store.find(token, READER).caller == READER

    def test_sets_expire(self, make: Make) -> None:
        store = make(600)
        token = store.keep(full_set())
        self.clock[0] += 599
        assert store.find(token, READER)
        self.clock[0] += 2
        with pytest.raises(ExpiredError) as caught:
            store.find(token, READER)
        assert caught.value.mend

    @pytest.mark.parametrize("token", ["", "x", "\x00", "'; DROP TABLE lists; --", "é" * 40])
    def test_an_unknown_token_is_expired(self, make: Make, token: str) -> None:
        with pytest.raises(ExpiredError):
            make(600).find(token, READER)

    def test_tokens_are_long_and_differ(self, make: Make) -> None:
        store = make(600)
        tokens = {store.keep(full_set(count=1)) for _ in range(40)}
        assert len(tokens) == 40
        assert min(map(len, tokens)) >= 16
        assert all("." not in token for token in tokens)
