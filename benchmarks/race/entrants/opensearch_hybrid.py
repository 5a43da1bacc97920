"""OpenSearch's own `hybrid` query with a `normalization-processor` (options: DEPTH URL PID).

DEPTH 0 looks as deep in each list as there are hits, which is its default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.race.entrant import HITS, Document, FloatMatrix, run
from benchmarks.race.http_json import JsonServer

_INDEX = "race-hybrid"
_BATCH = 500
_HALF = 0.5


class OpenSearchHybrid:
    """One index with a text field (analyzer `english`) and an HNSW field (Lucene)."""

    def __init__(self, _place: Path, options: Sequence[str]) -> None:
        depth, url, pid = options
        self.servers = [int(pid)]
        self._depth = int(depth)
        self._name = f"{_INDEX}-{depth}"
        self._server = JsonServer(url)
        self._remove()

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions by name."""
        return {"opensearch": self._server.ask("GET", "/")["version"]["number"]}

    def ingest(self, documents: Sequence[Document], vectors: FloatMatrix) -> None:
        """Write everything in bulk, and refresh."""
        self._server.ask("PUT", f"/{self._name}", _index(vectors.shape[1]))
        self._server.ask("PUT", f"/_search/pipeline/{self._name}", _pipeline())
        for start in range(0, len(documents), _BATCH):
            some = zip(documents[start : start + _BATCH], vectors[start:], strict=False)
            lines: list[object] = []
            for document, vector in some:
                lines.append({"index": {"_id": document.id}})
                lines.append({"text": document.text, "vector": vector.tolist()})
            body = "".join(json.dumps(line) + "\n" for line in lines).encode()
            reply = self._server.ask("POST", f"/{self._name}/_bulk", body)
            assert not reply["errors"]
        self._server.ask("POST", f"/{self._name}/_refresh")

    def search(self, text: str, vector: FloatMatrix) -> list[str]:
        """Return the ids of the ten best."""
        near = {"vector": vector[0].tolist(), "k": self._depth or HITS}
        clauses = [{"match": {"text": text}}, {"knn": {"vector": near}}]
        hybrid: dict[str, Any] = {"queries": clauses}
        if self._depth:
            hybrid["pagination_depth"] = self._depth
        body = {"size": HITS, "_source": False, "query": {"hybrid": hybrid}}
        path = f"/{self._name}/_search?search_pipeline={self._name}"
        return [hit["_id"] for hit in self._server.ask("POST", path, body)["hits"]["hits"]]

    def disk(self) -> int:
        """Return the bytes of the index."""
        stats = self._server.ask("GET", f"/{self._name}/_stats/store")
        return int(stats["_all"]["primaries"]["store"]["size_in_bytes"])

    def close(self) -> None:
        """Remove the index; the node is not ours to end."""
        self._remove()

    def _remove(self) -> None:
        self._server.ask("DELETE", f"/{self._name}?ignore_unavailable=true")


def _index(dimension: int) -> dict[str, Any]:
    method = {"name": "hnsw", "engine": "lucene", "space_type": "innerproduct"}
    vector = {"type": "knn_vector", "dimension": dimension, "method": method}
    return {
        "settings": {"index": {"knn": True, "number_of_replicas": 0}},
        "mappings": {
            "properties": {"text": {"type": "text", "analyzer": "english"}, "vector": vector}
        },
    }


def _pipeline() -> dict[str, Any]:
    combination = {"technique": "arithmetic_mean", "parameters": {"weights": [_HALF, _HALF]}}
    processor = {"normalization": {"technique": "min_max"}, "combination": combination}
    return {"phase_results_processors": [{"normalization-processor": processor}]}


if __name__ == "__main__":
    run(OpenSearchHybrid)
