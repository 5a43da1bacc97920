"""The best well-formed labels are those that trying all sequences finds."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.texts.labels import Transitions

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def well_formed(names: list[str]) -> bool:
    """Whether each I- goes on with its type."""
    return not names[0].startswith("I-") and all(
        not after.startswith("I-") or before[2:] == after[2:] for before, after in pairwise(names)
    )


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(0, 10_000))
def test_it_is_the_best_of_all_that_are_well_formed(words: int, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(size=(words, len(LABELS))).astype(np.float32)
    found = Transitions.of(LABELS).best(logits.tolist())
    names = [LABELS[place] for place in found]
    assert well_formed(names)
    assert Transitions.of(LABELS).well_formed(found)
    alone = logits.argmax(axis=1).tolist()
    assert Transitions.of(LABELS).well_formed(alone) == well_formed([LABELS[n] for n in alone])
    best = max(
        sum(logits[n, place] for n, place in enumerate(classes))
        for classes in product(range(len(LABELS)), repeat=words)
        if well_formed([LABELS[place] for place in classes])
    )
    assert sum(logits[n, place] for n, place in enumerate(found)) == np.float32(best) or np.isclose(
        sum(logits[n, place] for n, place in enumerate(found)), best, atol=1e-4
    )


def test_labels_without_beginnings_may_start_anywhere() -> None:
    logits = np.array([[0, 9], [9, 0], [0, 9]], np.float32)
    assert Transitions.of(("O", "I-PER")).best(logits.tolist()) == [1, 0, 1]


@given(st.lists(st.sampled_from(range(len(LABELS))), min_size=1, max_size=6))
def test_what_is_well_formed(classes: list[int]) -> None:
    names = [LABELS[place] for place in classes]
    assert Transitions.of(LABELS).well_formed(classes) == well_formed(names)


def test_no_words_have_no_labels() -> None:
    assert Transitions.of(LABELS).best([]) == []
