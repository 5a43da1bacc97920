"""What a long question changes for BM25: repeated words, and the share of the headline.

A text of several sentences repeats what it is about, and its other words count too. So a word that
is typed n times in a long question counts 1 + ln n times and not n times, as the logarithm of
Salton and Buckley (1988) does for documents. Who types a word twice in a short query means it. A
headline holds few of many words: its own score is left out. The first begins at 20 words and is
complete at 32, the second at as many different words. docs/evaluation.md has the figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from math import log

from core.query_tree import Bool, Node, Word

_WHOLE, _NOTHING, _STEPS = 20, 32, 4  # words of a question; steps between the two


def of_length(tree: Node, words: Iterable[Word]) -> tuple[Node, float]:
    """Return the tree for a question of its length, and the share of the weights of single fields;
    `words` are the tree's scored words.
    """
    typed = [*words]
    return damped(tree, _left(len(typed))), field_share(typed)


def damped(tree: Node, kept: float = 0.0) -> Node:
    """Return the tree with less weight for optional words that are repeated. A word that is there n
    times weighs 1 + ln n if `kept` is 0, n if it is 1, and something between for other values.
    """
    if kept == 1 or not isinstance(tree, Bool):
        return tree
    counts = Counter(_key(child) for child in tree.should if isinstance(child, Word))
    if max(counts.values(), default=0) < 2:
        return tree
    each = {key: kept + (1 - kept) * (1 + log(count)) / count for key, count in counts.items()}
    should = tuple(
        replace(child, boost=child.boost * each[_key(child)]) if isinstance(child, Word) else child
        for child in tree.should
    )
    return Bool(tree.must, should, tree.must_not)


def field_share(words: Iterable[Word]) -> float:
    """Return the share, 0 to 1, of the weights of single fields that a query of these words
    keeps.
    """
    return _left(len({_key(word) for word in words}))


def _left(count: int) -> float:
    """Return the share, 1 to 0, that a question of so many words keeps of what long ones lose."""
    left = (_NOTHING - count) / (_NOTHING - _WHOLE)
    return round(_STEPS * min(1.0, max(0.0, left))) / _STEPS


def _key(word: Word) -> tuple[str, str]:
    return word.field, word.text.casefold()
