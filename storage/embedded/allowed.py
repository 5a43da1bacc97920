"""Bitmaps of what callers may see within filters, kept while the archive stays as it is."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from core.query_tree import Node
from storage.embedded.columns.facts import View

Mask = npt.NDArray[np.bool_]
_KEPT = 64


class AllowedMasks:
    """The latest bitmaps by products, filters and generation of the view. Thread-safe."""

    def __init__(self) -> None:
        self._masks: dict[tuple[frozenset[str], Node, int], Mask] = {}
        self._whole: dict[int, tuple[Mask, Mask, bool]] = {}
        self._lock = threading.Lock()

    def of(self, view: View, products: frozenset[str], filters: Node) -> Mask:
        """Bool by item id: what `products` may see within `filters`."""
        key = (products, filters, view.generation)
        with self._lock:
            mask = self._masks.get(key)
        if mask is None or len(mask) != len(view.visible):
            mask = view.allowed(products, filters)
            with self._lock:
                if len(self._masks) >= _KEPT:
                    self._masks.clear()
                self._masks[key] = mask
        return mask

    def is_everything(self, view: View, mask: Mask) -> bool:
        """Whether a bitmap that `of` gave lets through all that is visible."""
        known = self._whole.get(id(mask))
        if known is not None and known[0] is mask and known[1] is view.visible:
            return known[2]
        whole = bool(np.array_equal(mask, view.visible))
        with self._lock:
            if len(self._whole) >= _KEPT:
                self._whole.clear()
            self._whole[id(mask)] = (mask, view.visible, whole)
        return whole
