"""Which judged sets may choose what ships, and which only measure it.

A set that chose a weight can no longer say how good that weight is. So weights are chosen on the
training sets below, and all other sets with published figures only measure.
"""

from __future__ import annotations

from eval.sets.datasets import JudgedSet

TRAINING = ("reuters21578:test", "bbc_news:test", "checkthat2020:train", "scifact:train")
_PUBLISHED = frozenset(
    "bbc_news cacm checkthat2020 flickr8k_captions fnc1 reuters21578 scifact vaswani".split()  # noqa: SIM905
)


def measures_only(judged: JudgedSet) -> bool:
    """Return whether this set has published figures and is not a training set, so that nothing may
    be chosen on it.
    """
    return judged.name in _PUBLISHED and f"{judged.name}:{judged.split}" not in TRAINING
