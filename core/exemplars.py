"""The item of a "more like this" search, and how rare its words are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.items import FloatMatrix, Item, Passage
from core.retrieval import Floats


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A visible item whose like is searched for.

    `story` is the number of its story (`core.ports.Catalogue.chains`). `vectors` are its passages'
    vectors by vector field, float32 [n, d], unit rows; a field without vectors is left out.
    `passages` says where each row stands in the item, and `encoders` has the digest of each field's
    encoder.
    """

    item: Item
    story: int
    vectors: Mapping[str, FloatMatrix]
    passages: Mapping[str, tuple[Passage, ...]] = field(default_factory=dict)
    encoders: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rarities:
    """BM25's idf of some words, float32 [n]. `lacking` says why the counts behind it leave out a
    part of the archive, "" where they have all of it.
    """

    values: Floats
    lacking: str = ""
