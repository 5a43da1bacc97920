"""Which judged sets may choose what ships, and which only measure it.

A set that chose a weight can't say any more how good that weight is. So weights are chosen on the
training data below, and every other set that figures are published of is left to measure.
"""

from __future__ import annotations

from eval.sets.datasets import JudgedSet

TRAINING = ("reuters21578:test", "bbc_news:test", "checkthat2020:train", "scifact:train")
_PUBLISHED = frozenset(
    "bbc_news cacm checkthat2020 flickr8k_captions fnc1 reuters21578 scifact vaswani".split()  # noqa: SIM905
)


def measures_only(judged: JudgedSet) -> bool:
    """Whether published figures come from this set, so that nothing may be chosen on it."""
    return judged.name in _PUBLISHED and f"{judged.name}:{judged.split}" not in TRAINING
