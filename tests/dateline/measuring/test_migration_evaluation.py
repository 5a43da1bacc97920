"""The verdict on which a migration flips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.callers import Caller
from core.errors import BusyError
from dateline.build.service import Service
from dateline.measuring.migration_evaluation import evaluated
from eval.sets.judged import Conventions, Doubts, JudgedSet
from search.answers import SearchRequest

FLAG = "vectors: not searched"


@dataclass(frozen=True)
class Answering:
    """A pipeline that finds one story for every query, and answers some in part."""

    in_part: Sequence[str] = ()

    def search(self, request: SearchRequest, caller: Caller) -> Any:
        hits = (SimpleNamespace(item=SimpleNamespace(uri="ferry")),)
        degraded = (FLAG,) if request.q in self.in_part else ()
        return SimpleNamespace(hits=hits, cursor="", degraded=degraded)


def service(*in_part: str) -> Service:
    engine = SimpleNamespace(products=frozenset)
    settings = SimpleNamespace(profile="hybrid")
    made = SimpleNamespace(pipeline=Answering(in_part), engine=engine, settings=settings)
    return cast("Service", made)


JUDGED = JudgedSet(
    name="ferries",
    split="test",
    corpus=Path("none"),
    documents=1,
    queries={"1": "ferry", "2": "aground"},
    qrels={"1": {"ferry": 1}, "2": {"ferry": 1}},
    uri_prefix="",
    conventions=Conventions(),
    doubts=Doubts(),
)


@pytest.mark.parametrize("degraded", ["served", "shadow"])
def test_answers_in_part_are_no_ground_to_flip(degraded: str) -> None:
    which = [service("aground" if degraded == name else "") for name in ("served", "shadow")]
    with pytest.raises(BusyError, match=f"1 answers are degraded: {FLAG}"):
        evaluated(which[0], which[1], [JUDGED], (), 0.01)
    assert evaluated(service(), service(), [JUDGED], (), 0.01).passed


def test_sampled_queries_answered_in_part_do_not_count() -> None:
    found = evaluated(service(), service("ferry"), (), ["ferry", "quay"], 0.01)
    assert (found.sampled, found.overlap) == (1, 1.0)
