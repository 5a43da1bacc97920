"""An item to find the like of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.items import FloatMatrix, Item


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A visible item, the number of its story (`core.ports.Catalogue.chains`), and its passages'
    vectors by vector field: float32 [n, d], unit rows; a field without any is left out.
    """

    item: Item
    story: int
    vectors: Mapping[str, FloatMatrix]
