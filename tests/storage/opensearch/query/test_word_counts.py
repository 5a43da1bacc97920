"""Common words need no request while the log of changes says that they must still be common."""

from __future__ import annotations

from typing import Any, cast

import pytest

from core.callers import Caller
from core.query_tree import Node
from storage.opensearch.query import word_counts
from storage.opensearch.query.statistics import Statistics
from storage.opensearch.query.word_counts import WordCounts
from storage.opensearch.seen import Clause

WIRE, OTHER = Caller("wire", frozenset({"wire"})), Caller("other", frozenset({"photos"}))
FEW = 3


class NoStopWords:
    def is_common(self, word: str) -> bool:
        return word == "the"


class Index:
    """An index in which each word is in so many items, as of `generation`."""

    def __init__(self, **counts: int) -> None:
        self.counts, self.generation = counts, 100
        statistics = cast("Statistics", NoStopWords())
        self.words = WordCounts(self._clause, statistics, lambda: self.generation)

    def _clause(self, node: Node) -> Clause:
        return {"node": node}

    def asked(self, *words: str, caller: Caller = WIRE, field: str = "") -> tuple[str, ...]:
        """Count the words; return those that were asked for."""
        counting = self.words.counting(words, FEW, caller, 0, field)
        replies: list[dict[str, Any]] = [
            {"hits": {"total": {"value": min(self.counts[word], body["track_total_hits"])}}}
            for word, body in zip(counting.asked, counting.bodies, strict=True)
        ]
        found = counting.counts(replies)
        assert found == {word: min(FEW + 1, self.counts.get(word, FEW + 1)) for word in words}
        return counting.asked


def test_common_words_and_stop_words_are_not_asked_for_again() -> None:
    index = Index(ferry=5_000, rare=2, some=40)
    assert index.asked("the", "ferry", "rare", "some", "ferry") == ("ferry", "rare", "some")
    assert index.asked("the", "ferry", "rare", "some") == ("rare",)
    assert index.asked("ferry", caller=OTHER) == ("ferry",)
    assert index.asked("ferry", field="names") == ("ferry",)


@pytest.mark.parametrize(("items", "changes", "asks"), [(40, 18, False), (40, 19, True)])
def test_a_word_is_asked_for_again_when_changes_may_have_made_it_rare(
    items: int, changes: int, *, asks: bool
) -> None:
    index = Index(ferry=items)
    index.asked("ferry")
    index.generation += changes  # each hides two items at most
    assert bool(index.asked("ferry")) is asks


def test_an_index_that_was_made_again_is_asked() -> None:
    index = Index(ferry=5_000)
    index.asked("ferry")
    index.generation = -1
    assert index.asked("ferry") == ("ferry",)


def test_nothing_is_kept_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_counts, "_KEPT_S", -1.0)
    index = Index(ferry=5_000)
    index.asked("ferry")
    assert index.asked("ferry") == ("ferry",)


def test_a_failed_search_gives_no_counts() -> None:
    counting = Index(ferry=1).words.counting(("ferry",), FEW, WIRE, 0)
    assert counting.counts([{"error": {}, "status": 500}]) is None
