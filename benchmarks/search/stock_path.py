"""The stock path of benchmarks/search/stock.py: hybrid search as in the tutorials of its parts.

    PYTHON -P benchmarks/search/stock_path.py FOLDER MODEL

Reads documents and vectors from FOLDER, prints its versions in a JSON line, then answers each
query, a JSON text a line, with `{"seconds", "uris"}`. It imports nothing of Dateline's.
"""

from __future__ import annotations

import json
import re
import sys
import time
from importlib.metadata import version
from pathlib import Path

import hnswlib
import numpy as np
from rank_bm25 import BM25Okapi
from sentence_transformers import SentenceTransformer

LEXICAL_DEPTH, VECTOR_DEPTH, PASSAGES = 1000, 200, 300  # as the hybrid profile has them
_WORD = re.compile(r"\w+")


def tokens(text: str) -> list[str]:
    """Return lower-cased words, as rank-bm25's users make them."""
    return _WORD.findall(text.lower())


class StockSearch:
    """BM25 and HNSW side by side, fused half and half over normalized scores."""

    def __init__(self, folder: Path, model: str) -> None:
        lines = (folder / "documents.jsonl").read_text(encoding="utf-8").splitlines()
        documents = [json.loads(line) for line in lines]
        self.uris = [document["uri"] for document in documents]
        self.bm25 = BM25Okapi([tokens(document["text"]) for document in documents], k1=1.2, b=0.75)
        vectors = np.load(folder / "vectors.npy")
        self.owners = np.load(folder / "owners.npy")
        self.background = vectors.mean(axis=0)
        self.index = hnswlib.Index(space="cosine", dim=vectors.shape[1])
        self.index.init_index(max_elements=len(vectors), M=16, ef_construction=200)
        self.index.add_items(vectors)
        self.index.set_ef(PASSAGES)
        self.model = SentenceTransformer(model, device="cpu")

    def search(self, query: str) -> list[str]:
        """Return the uris of the best 10."""
        scores = self.bm25.get_scores(tokens(query))
        best = np.argsort(scores)[::-1][:LEXICAL_DEPTH]
        lexical = {int(n): float(scores[n]) for n in best if scores[n] > 0}
        vector = self.model.encode([query], normalize_embeddings=True, show_progress_bar=False)
        labels, distances = self.index.knn_query(vector, k=PASSAGES)
        cosines: dict[int, float] = {}
        for label, distance in zip(labels[0], distances[0]):  # noqa: B905 - as tutorials write it
            owner = int(self.owners[label])
            if len(cosines) < VECTOR_DEPTH or owner in cosines:
                cosines[owner] = max(cosines.get(owner, -1.0), 1.0 - float(distance))
        return self.fused(lexical, cosines, float(vector[0] @ self.background))

    def fused(
        self, lexical: dict[int, float], cosines: dict[int, float], background: float
    ) -> list[str]:
        """Return the best uris by half of BM25 over its best, and half of the cosines from the
        background to their best.
        """
        top = max(lexical.values(), default=0.0) or 1.0
        span = (max(cosines.values()) - background) or 1.0
        fused: dict[int, float] = {n: 0.5 * score / top for n, score in lexical.items()}
        for n, cosine in cosines.items():
            share = min(1.0, max(0.0, (cosine - background) / span))
            fused[n] = fused.get(n, 0.0) + 0.5 * share
        order = sorted(fused, key=lambda n: fused[n], reverse=True)
        return [self.uris[n] for n in order[:10]]


def main() -> None:
    """Answer queries until its input ends."""
    search = StockSearch(Path(sys.argv[1]), sys.argv[2])
    names = ("sentence-transformers", "torch", "rank-bm25", "hnswlib")
    print(json.dumps({name: version(name) for name in names}), flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        uris = search.search(json.loads(line))
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "uris": uris}), flush=True)


if __name__ == "__main__":
    main()
