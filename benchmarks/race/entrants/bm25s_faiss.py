"""bm25s and faiss, fused in Python as their users do it: `rrf` or `minmax`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import bm25s
import faiss
import Stemmer

from benchmarks.race.entrant import DEPTH, HITS, Document, FloatMatrix, bytes_below, run
from benchmarks.race.fusion import min_max, reciprocal_ranks

_LINKS, _BUILD_WIDTH, _WIDTH = 32, 200, 128


class Bm25sFaiss:
    """BM25 as bm25s has it by default, with its stop words and an English stemmer; HNSW over the
    vectors.
    """

    servers: Sequence[int] = ()

    def __init__(self, place: Path, fusion: str) -> None:
        self._place = place
        self._fuse = {"rrf": reciprocal_ranks, "minmax": min_max}[fusion]
        self._stemmer = Stemmer.Stemmer("english")
        self._words = bm25s.BM25()
        self._ids: list[str] = []
        faiss.omp_set_num_threads(1)  # one query has nothing to share

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions by name."""
        return {name: version(name) for name in ("bm25s", "faiss-cpu")}

    def ingest(self, documents: Sequence[Document], vectors: FloatMatrix) -> None:
        """Index both, and save both."""
        self._ids = [document.id for document in documents]
        tokens = self._tokens([document.text for document in documents])
        self._words.index(tokens, show_progress=False)
        self._graph = faiss.IndexHNSWFlat(vectors.shape[1], _LINKS, faiss.METRIC_INNER_PRODUCT)
        self._graph.hnsw.efConstruction = _BUILD_WIDTH
        self._graph.hnsw.efSearch = _WIDTH
        self._graph.add(vectors)
        self._words.save(self._place / "bm25s")
        faiss.write_index(self._graph, str(self._place / "hnsw.faiss"))

    def search(self, text: str, vector: FloatMatrix) -> list[str]:
        """Return the ids of the ten best."""
        most = min(DEPTH, len(self._ids))
        places, scores = self._words.retrieve(self._tokens([text]), k=most, show_progress=False)
        words = {int(n): float(s) for n, s in zip(places[0], scores[0], strict=True) if s > 0}
        cosines, near = self._graph.search(vector, most)
        vectors = {int(n): float(s) for n, s in zip(near[0], cosines[0], strict=True) if n >= 0}
        fused = self._fuse([words, vectors])
        return [self._ids[n] for n in sorted(fused, key=lambda n: fused[n], reverse=True)[:HITS]]

    def disk(self) -> int:
        """Return the bytes of the saved indexes."""
        return bytes_below(self._place)

    def close(self) -> None:
        """Nothing runs beside it."""

    def _tokens(self, texts: list[str]) -> object:
        return bm25s.tokenize(texts, stopwords="en", stemmer=self._stemmer, show_progress=False)


if __name__ == "__main__":
    run(lambda place, options: Bm25sFaiss(place, *options))
