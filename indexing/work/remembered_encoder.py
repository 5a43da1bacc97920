"""An encoder that keeps its vectors in the ledger, so that another process can write them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from core.items import FloatMatrix
from core.media_ports import Ledger
from core.model_ports import TextEncoder
from indexing.work.remembered import result_key


class RememberedEncoder:
    """A `core.model_ports.TextEncoder`; keeps passages' vectors by text and the model's digest."""

    def __init__(self, encoder: TextEncoder, ledger: Ledger) -> None:
        self._encoder = encoder
        self._ledger = ledger

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self._encoder.name

    @property
    def digest(self) -> str:
        """Return the model's digest."""
        return self._encoder.digest

    @property
    def dimension(self) -> int:
        """Return the width of a vector."""
        return self._encoder.dimension

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        """Encode queries, which are not kept."""
        return self._encoder.encode_queries(texts)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        """Encode passages; known ones are not computed."""
        keys = [self._key(text) for text in texts]
        known = {key: v for key, v in zip(keys, self._ledger.get(keys), strict=True) if v}
        missing = {k: text for k, text in zip(keys, texts, strict=True) if k not in known}
        if missing:
            rows = self._encoder.encode_passages(list(missing.values()))
            fresh = {
                key: np.ascontiguousarray(row, "<f4").tobytes()
                for key, row in zip(missing, rows, strict=True)
            }
            self._ledger.put(fresh)
            known |= fresh
        found = np.frombuffer(b"".join(known[key] for key in keys), "<f4").astype(np.float32)
        return found.reshape(len(texts), self.dimension)

    def _key(self, text: str) -> str:
        content = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return result_key(content, "passage", self.digest, {"dtype": "float32"})
