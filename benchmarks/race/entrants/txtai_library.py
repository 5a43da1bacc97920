"""txtai: its hybrid index with vectors from outside, BM25 and a faiss index, as it has them by
default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from threading import local

import numpy as np
from txtai.embeddings import Embeddings

from benchmarks.race.entrant import HITS, Document, FloatMatrix, bytes_below, run


class Txtai:
    """`Embeddings` with `hybrid`; its `transform` hands over the vectors that were given."""

    servers: Sequence[int] = ()

    def __init__(self, place: Path, _options: Sequence[str]) -> None:
        self._place = place / "txtai"
        self._threads = local()
        self._known: dict[str, FloatMatrix] = {}
        self._index = Embeddings(
            method="external", transform=lambda texts: self._vectors(texts), hybrid=True
        )

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions by name."""
        return {name: version(name) for name in ("txtai-minimal", "faiss-cpu")}

    def ingest(self, documents: Sequence[Document], vectors: FloatMatrix) -> None:
        """Index and save everything."""
        texts = [document.text for document in documents]
        self._known = dict(zip(texts, vectors, strict=True))
        self._index.index((d.id, text, None) for d, text in zip(documents, texts, strict=True))
        self._index.save(str(self._place))
        self._known = {}

    def search(self, text: str, vector: FloatMatrix) -> list[str]:
        """Return the ids of the ten best."""
        self._threads.vector = vector
        return [found for found, _ in self._index.search(text, HITS)]

    def disk(self) -> int:
        """Return the bytes of the saved index."""
        return bytes_below(self._place)

    def close(self) -> None:
        """Nothing runs beside it."""

    def _vectors(self, texts: Sequence[str]) -> FloatMatrix:
        if self._known:
            return np.stack([self._known[text] for text in texts])
        vector: FloatMatrix = self._threads.vector
        return vector


if __name__ == "__main__":
    run(Txtai)
