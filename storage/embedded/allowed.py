"""Keeps bitmaps of what callers may see within filters, until the archive changes."""

from __future__ import annotations

import threading
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from core.query_tree import Node
from storage.embedded.columns.facts import View

Mask = npt.NDArray[np.bool_]
Key = TypeVar("Key")
Value = TypeVar("Value")
_KEPT = 64


class AllowedMasks:
    """Bitmaps by products and filters, for the newest view. Bitmaps of older views are dropped,
    because each takes a byte per version. Thread-safe.
    """

    def __init__(self) -> None:
        self._generation = 0
        self._masks: dict[tuple[frozenset[str], Node], Mask] = {}
        self._whole: dict[int, tuple[Mask, Mask, bool]] = {}
        self._lock = threading.Lock()

    def of(self, view: View, products: frozenset[str], filters: Node) -> Mask:
        """Return what `products` may see within `filters`: bool by seq."""
        key = (products, filters)
        with self._lock:
            self._follow(view)
            mask = self._masks.get(key) if view.generation == self._generation else None
        if mask is None or len(mask) != len(view.visible):
            mask = view.allowed(products, filters)
            with self._lock:
                if view.generation == self._generation:
                    _keep(self._masks, key, mask)
        return mask

    def is_everything(self, view: View, mask: Mask) -> bool:
        """Return whether a bitmap from `of` includes all visible versions."""
        known = self._whole.get(id(mask))
        if known is not None and known[0] is mask and known[1] is view.visible:
            return known[2]
        whole = bool(np.array_equal(mask, view.visible))
        with self._lock:
            if view.generation == self._generation:
                _keep(self._whole, id(mask), (mask, view.visible, whole))
        return whole

    def _follow(self, view: View) -> None:
        if view.generation > self._generation:
            self._generation = view.generation
            self._masks.clear()
            self._whole.clear()


def _keep(kept: dict[Key, Value], key: Key, value: Value) -> None:
    if len(kept) >= _KEPT:
        kept.clear()
    kept[key] = value
