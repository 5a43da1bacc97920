"""An item to find the like of, and how telling its words are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.items import FloatMatrix, Item, Passage
from core.retrieval import Floats


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A visible item, the number of its story (`core.ports.Catalogue.chains`), and its passages'
    vectors by vector field: float32 [n, d], unit rows; a field without any is left out. `passages`
    are where those rows stand in the item, `encoders` the digest of each field's encoder.
    """

    item: Item
    story: int
    vectors: Mapping[str, FloatMatrix]
    passages: Mapping[str, tuple[Passage, ...]] = field(default_factory=dict)
    encoders: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rarities:
    """BM25's idf of some words, float32 [n]. `lacking` says why a part of the archive is not in
    the counts that they are reckoned from, "" where all is.
    """

    values: Floats
    lacking: str = ""
