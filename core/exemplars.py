"""An item to find the like of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.items import FloatMatrix, Item, Passage


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
