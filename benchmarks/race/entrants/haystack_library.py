"""Haystack: its document store in memory, BM25 and embedding retrievers, joined by reciprocal
ranks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from haystack import Document as Stored
from haystack import Pipeline
from haystack.components.joiners import DocumentJoiner
from haystack.components.retrievers.in_memory import (
    InMemoryBM25Retriever,
    InMemoryEmbeddingRetriever,
)
from haystack.document_stores.in_memory import InMemoryDocumentStore

from benchmarks.race.entrant import DEPTH, HITS, Document, FloatMatrix, run


class Haystack:
    """A pipeline of two retrievers and a joiner, the store as it is by default (BM25L, exact)."""

    servers: Sequence[int] = ()

    def __init__(self, _place: Path, _options: Sequence[str]) -> None:
        self._store = InMemoryDocumentStore(embedding_similarity_function="dot_product")
        self._pipeline = Pipeline()
        words = InMemoryBM25Retriever(self._store, top_k=DEPTH)
        near = InMemoryEmbeddingRetriever(self._store, top_k=DEPTH)
        joiner = DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=HITS)
        for name, part in (("words", words), ("near", near), ("joiner", joiner)):
            self._pipeline.add_component(name, part)
        self._pipeline.connect("words", "joiner")
        self._pipeline.connect("near", "joiner")

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions by name."""
        return {"haystack-ai": version("haystack-ai")}

    def ingest(self, documents: Sequence[Document], vectors: FloatMatrix) -> None:
        """Write everything to the store."""
        pairs = zip(documents, vectors, strict=True)
        stored = [Stored(id=d.id, content=d.text, embedding=v.tolist()) for d, v in pairs]
        self._store.write_documents(stored)

    def search(self, text: str, vector: FloatMatrix) -> list[str]:
        """Return the ids of the ten best."""
        asked = {"words": {"query": text}, "near": {"query_embedding": vector[0].tolist()}}
        return [found.id for found in self._pipeline.run(asked)["joiner"]["documents"]]

    def disk(self) -> int:
        """Return 0: all is in memory."""
        return 0

    def close(self) -> None:
        """Nothing runs beside it."""


if __name__ == "__main__":
    run(Haystack)
