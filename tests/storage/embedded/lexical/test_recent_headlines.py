"""Only the newest headlines complete typed words, and the same ones in every process."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.retrieval import Suggestion, SuggestionKind
from storage.embedded.columns.facts import Columns
from storage.embedded.lexical.suggestions import ColumnsSuggestions

FEWEST = 4
WIRE = frozenset({"wire"})


def headlines(since: int, until: int) -> Iterator[tuple[int, str]]:
    """Two versions have each headline; seq 0 is never given."""
    return ((seq, f"storm {seq // 2}") for seq in range(max(1, since), until))


def found(suggestions: ColumnsSuggestions, size: int, hidden: int = 0) -> tuple[Suggestion, ...]:
    allowed = np.ones(size, np.bool_)
    allowed[[0, hidden]] = False
    return suggestions.suggest("storm", 100, WIRE, allowed)


def columns(size: int) -> Columns:
    """Columns of versions without any value."""
    found = Columns()
    for column in found.values.values():
        column.extend([size - 1], [[]])
    return found


def recent(size: int) -> tuple[Suggestion, ...]:
    """What should be found: the last four to eight versions, the newest first within a count."""
    first = max(1, (size // FEWEST - 1) * FEWEST)
    counts: dict[str, int] = {}
    for seq in reversed(range(first, size)):
        counts[f"storm {seq // 2}"] = counts.get(f"storm {seq // 2}", 0) + 1
    ranked = sorted(counts.items(), key=lambda pair: -pair[1])
    return tuple(Suggestion(text, SuggestionKind.HEADLINE, count) for text, count in ranked)


def test_the_newest_headlines_are_completed_in_every_process_alike() -> None:
    long_running = ColumnsSuggestions(columns(40), headlines, FEWEST)
    for size in range(2, 40):
        just_started = ColumnsSuggestions(columns(size), headlines, FEWEST)
        assert found(just_started, size) == found(long_running, size) == recent(size)


def test_a_hidden_version_is_not_counted_behind_the_first_ones() -> None:
    suggestions = ColumnsSuggestions(columns(40), headlines, FEWEST)
    assert Suggestion("storm 18", SuggestionKind.HEADLINE, 2) in found(suggestions, 38)
    assert Suggestion("storm 18", SuggestionKind.HEADLINE, 1) in found(suggestions, 38, hidden=36)
