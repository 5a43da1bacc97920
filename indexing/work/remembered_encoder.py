"""An encoder whose vectors are kept in the ledger: who embeds need not be who writes."""

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
        """The model's name."""
        return self._encoder.name

    @property
    def digest(self) -> str:
        """See `core.model_ports.TextEncoder`."""
        return self._encoder.digest

    @property
    def dimension(self) -> int:
        """How wide a vector is."""
        return self._encoder.dimension

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        """See `core.model_ports.TextEncoder`; queries are not kept."""
        return self._encoder.encode_queries(texts)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        """See `core.model_ports.TextEncoder`: what is known is not computed."""
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
