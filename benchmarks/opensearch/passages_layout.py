"""Passages in an index on OpenSearch: nested in their item's document, or as documents beside it?

    python -m benchmarks.opensearch.passages_layout [--url http://127.0.0.1:9200] [--data data]

The items are the stories of Reuters with two or more passages, and their vectors from the
evaluations' cache in the data folder (made there if needed). Two indexes are made from them, by the
same requests of 200 items, and each is merged to one segment:

- `nested`: the shipped layout (`storage.opensearch.index.body`). A search for k finds k items;
- `beside`: each passage is a document with its vector and a copy of all members of its item that
  filters use, but no text: required words could not narrow a search for vectors. A search for k
  finds k passages, which `collapse` joins to items; `beside, deep` asks for as many more as an item
  has passages.

Filters let a random share of the items through, or the newest, which are about the same things.
Recall is of the items with the nearest passages by exact cosines. An update replaces an item by its
next version, with one request and one refresh an item, as for a correction on a wire. Times to
write, merge and update are the node's processor time for an item, which other work on the machine
hardly affects; nothing else may ask the node meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from benchmarks.machine import REUTERS, arguments, percentile, show_table, this_machine
from benchmarks.opensearch.growth import cpu_ms
from benchmarks.opensearch.sizes import part_sizes
from core.items import FloatMatrix, Item
from core.query_tree import TEXT_FIELDS
from dateline.build.engine import VECTOR_FIELD
from dateline.build.service import Service
from dateline.measuring.evaluate import open_indexed
from dateline.settings import configure
from eval.sets.datasets import Conventions, read_judged_set
from storage.opensearch.index.body import (
    DIGEST,
    IndexSettings,
    VectorSpace,
    index_body,
    vector_path,
)
from storage.opensearch.index.documents import Version, document_of
from storage.opensearch.index.settle import settle
from storage.opensearch.nodes.connection import Cluster, ClusterSettings, ndjson
from storage.opensearch.nodes.nodes import NodeSettings
from storage.record.item_fields import unstemmed_field

AT_ONCE, UPDATES, K, EF = 200, 100, 100, 200
_PATH = vector_path(VECTOR_FIELD)
_NAME = "dateline-passages"
_UNCOPIED = {"all", *TEXT_FIELDS, *map(unstemmed_field, TEXT_FIELDS), DIGEST, _PATH}
Ids = npt.NDArray[np.int64]
Row = tuple[str, ...]
SHARES = {"half": 0.5, "tenth": 0.1, "fiftieth": 0.02, "thousandth": 0.001}
FILTERS = ("all", *SHARES, "newest")
NEWEST, QUERIES = 0.02, 200


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__, json=False)
    parser.add_argument("folder", type=Path, nargs="?", default=REUTERS)
    parser.add_argument("--url", default="http://127.0.0.1:9200")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where archives are kept")
    chosen = parser.parse_args()
    machine = this_machine()
    corpus = read_corpus(chosen.folder, chosen.data)
    exact = exact_cosines(corpus)
    cluster = Cluster(ClusterSettings((chosen.url,), nodes=NodeSettings(timeout_s=600)))
    costs: list[Row] = []
    found: list[Row] = []
    for layout in (Nested(), Beside(1)):
        with _index(cluster, layout, corpus) as rows:
            costs.append(rows)
            deep = [Beside(round(corpus.passages))] if isinstance(layout, Beside) else []
            for how in (layout, *deep):
                found += [_searched(cluster, how, corpus, exact, name) for name in FILTERS]
    cluster.close()
    print(f"{len(corpus.versions)} items, {corpus.passages:.2f} passages an item")
    parts = ("text", "vectors", "graph")
    head = ("", "bytes an item", *parts, "to write, ms", "to merge", "to update", "bytes to update")
    show_table(head, costs)
    recalls = ("recall@10", f"recall@{K}")
    show_table(("", "filter", "items", *recalls, "CPU, ms", "p50, ms", "p99, ms"), found)
    print(machine)


@dataclass(frozen=True, slots=True)
class Nested:
    """Passages in the item's document."""

    name: str = "nested"

    def body(self, spaces: Mapping[str, VectorSpace]) -> dict[str, Any]:
        """Return the body of the index."""
        return index_body(IndexSettings(1, 0), spaces)

    def puts(self, version: Version, number: int) -> Iterator[bytes]:
        """Yield lines of a bulk request that puts an item as its version `number`."""
        yield _put(f"{version.seq}", number)
        yield document_of(version)

    def search(self, vector: FloatMatrix, filters: Sequence[Any]) -> dict[str, Any]:
        """Return a search for the nearest K items."""
        near = _near(vector, K, filters)
        nested = {"path": _PATH, "query": {"knn": {f"{_PATH}.vector": near}}, "score_mode": "max"}
        return _search({"nested": nested})


@dataclass(frozen=True, slots=True)
class Beside:
    """Passages as documents; a search asks for `deep` times as many passages as it wants items."""

    deep: int

    @property
    def name(self) -> str:
        """The name in tables."""
        return "beside" if self.deep == 1 else f"beside, {self.deep} times as deep"

    def body(self, spaces: Mapping[str, VectorSpace]) -> dict[str, Any]:
        """Return the body of the index."""
        body = index_body(IndexSettings(1, 0), spaces)
        properties = body["mappings"]["properties"]
        properties |= properties.pop(_PATH)["properties"]
        return body

    def puts(self, version: Version, number: int) -> Iterator[bytes]:
        """Yield lines of a bulk request that puts an item as its version `number`."""
        document = orjson.loads(document_of(version))
        passages = document.pop(_PATH, [])
        yield _put(f"{version.seq}", number)
        yield orjson.dumps(document)
        copied = {name: value for name, value in document.items() if name not in _UNCOPIED}
        for passage in passages:
            yield _put(f"{version.seq}-{passage['number']}", number)
            yield orjson.dumps({**copied, **passage})

    def search(self, vector: FloatMatrix, filters: Sequence[Any]) -> dict[str, Any]:
        """Return a search for the nearest passages, joined to at most K items."""
        near = _near(vector, K * self.deep, filters)
        return {**_search({"knn": {"vector": near}}), "collapse": {"field": "seq"}}


Layout = Nested | Beside


def _put(key: str, number: int) -> bytes:
    about = {"_id": key, "version": number, "version_type": "external_gte"}
    return orjson.dumps({"index": about})


def _near(vector: FloatMatrix, k: int, filters: Sequence[Any]) -> dict[str, Any]:
    return {
        "vector": vector.astype(float).tolist(),
        "k": k,
        "filter": {"bool": {"filter": list(filters)}},
        "method_parameters": {"ef_search": max(EF, k)},
    }


def _search(query: dict[str, Any]) -> dict[str, Any]:
    return {
        "size": K,
        "_source": False,
        "stored_fields": "_none_",
        "docvalue_fields": ["seq"],
        "query": query,
        "sort": [{"_score": "desc"}, {"seq": "asc"}],
    }


@contextmanager
def _index(cluster: Cluster, layout: Layout, corpus: Corpus) -> Iterator[Row]:
    """An index in this layout, which exists while it is used, and its costs."""
    width = corpus.queries.shape[1]
    spaces = {VECTOR_FIELD: VectorSpace(corpus.encoder, width)}
    cluster.ask("PUT", f"/{_NAME}", layout.body(spaces), timeout_s=60)
    try:
        count = len(corpus.versions)
        spent = [cpu_ms(cluster)]
        for start in range(0, count, AT_ONCE):
            _write(cluster, layout, corpus.versions[start : start + AT_ONCE], 1)
        cluster.ask("POST", f"/{_NAME}/_refresh")
        spent.append(cpu_ms(cluster))
        update, sent = _updated(cluster, layout, corpus.versions[:: count // UPDATES])
        spent.append(cpu_ms(cluster))
        _merge(cluster)
        spent.append(cpu_ms(cluster))
        sizes = {part: size / count for part, size in part_sizes(cluster, _NAME).items()}
        parts = [f"{sizes[part]:,.0f}" for part in ("text", "vectors", "graph")]
        times = ((spent[1] - spent[0]) / count, (spent[3] - spent[2]) / count, update)
        shown = [f"{each:.1f}" for each in times]
        yield (layout.name, f"{sum(sizes.values()):,.0f}", *parts, *shown, f"{sent:,.0f}")
    finally:
        cluster.ask("DELETE", f"/{_NAME}")


def _write(cluster: Cluster, layout: Layout, versions: Sequence[Version], number: int) -> int:
    """Write all versions in one request; return its bytes."""
    lines = ndjson([line for version in versions for line in layout.puts(version, number)])
    reply = cluster.ask("POST", f"/{_NAME}/_bulk", lines)
    assert not reply["errors"], reply["items"][0]
    return len(lines)


def _updated(cluster: Cluster, layout: Layout, versions: Sequence[Version]) -> tuple[float, float]:
    """Return the mean milliseconds of the node until an item's next version is searchable, and the
    mean bytes sent.
    """
    began = cpu_ms(cluster)
    sent = 0
    for version in versions:
        sent += _write(cluster, layout, [version], 2)
        cluster.ask("POST", f"/{_NAME}/_refresh")
    return (cpu_ms(cluster) - began) / len(versions), sent / len(versions)


def _merge(cluster: Cluster) -> None:
    """Merge to one segment, once nothing that was replaced is kept."""
    settled = settle(cluster, _NAME, {}, print, searches=1)
    assert (settled.released, settled.segments) == (True, 1)
    held = cluster.ask("GET", f"/{_NAME}/_stats/docs")["_all"]["primaries"]["docs"]
    print(f"{settled.bytes_before:,} to {settled.bytes_after:,} bytes, {held}")


def _searched(
    cluster: Cluster, layout: Layout, corpus: Corpus, exact: FloatMatrix, name: str
) -> Row:
    allowed = corpus.allowed[name]
    filters: list[Any] = [{"term": {"product": name}}]
    if name == "newest":
        first = min(o.item.versioncreated for o in corpus.versions if o.seq in allowed)
        filters = [{"range": {"versioncreated": {"gte": round(first.timestamp() * 1e6)}}}]
    recalls: list[tuple[float, float]] = []
    seconds: list[float] = []
    mask = np.array([one.seq in allowed for one in corpus.versions])
    for turn in range(2):  # the first turn reads into memory
        seconds.clear()
        before = cpu_ms(cluster)
        for vector, cosines in zip(corpus.queries, exact, strict=True):
            began = perf_counter()
            (reply,) = cluster.search_many([layout.search(vector, filters)], index=_NAME)
            seconds.append(perf_counter() - began)
            hits = [int(hit["fields"]["seq"][0]) for hit in reply["hits"]["hits"]]
            if turn:
                best = 1 + np.argsort(-np.where(mask, cosines, -2.0), kind="stable")[: mask.sum()]
                recalls.append((_recall(best[:10], hits[:10]), _recall(best[:K], hits)))
    ten, deep = np.mean(recalls, axis=0)
    spent = (cpu_ms(cluster) - before) / len(seconds)
    times = [f"{each:.1f}" for each in (spent, *(percentile(seconds, at) for at in (50, 99)))]
    return (layout.name, name, f"{len(allowed):,}", f"{ten:.3f}", f"{deep:.3f}", *times)


def _recall(best: Ids, hits: Sequence[int]) -> float:
    return len({*best.tolist()} & {*hits}) / len(best)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Items by their number from 1 on, with vectors float32 [n, d] each, and queries [q, d]."""

    versions: Sequence[Version]
    queries: FloatMatrix
    encoder: str

    @property
    def allowed(self) -> Mapping[str, frozenset[int]]:
        """The numbers of the items that pass each filter."""
        by_product = {
            name: frozenset(one.seq for one in self.versions if name in one.item.products)
            for name in FILTERS
        }
        dates = sorted(one.item.versioncreated for one in self.versions)
        first = dates[-round(NEWEST * len(dates))]
        newest = frozenset(o.seq for o in self.versions if o.item.versioncreated >= first)
        return {**by_product, "newest": newest}

    @property
    def passages(self) -> float:
        """The mean number of passages of an item."""
        return float(np.mean([len(one.vectors[VECTOR_FIELD]) for one in self.versions]))


def read_corpus(folder: Path, data: Path) -> Corpus:
    """Return the corpus of the judged set in `folder`, from its archive in the cache below
    `data`.
    """
    settings = configure({"data": str(data), "engine": "embedded", "next_encoder": ""}).settings
    judged = read_judged_set(f"{folder}", Conventions(query_language=False))
    with open_indexed(settings, judged) as service:
        texts = [*judged.queries.values()][:QUERIES]
        queries = service.models.encoder.encode_queries(texts)
        encoder = service.models.encoder.digest
        return Corpus([*_versions(service, encoder)], queries, encoder)


def _versions(service: Service, encoder: str) -> Iterator[Version]:
    """Yield the items with several passages, each in some of the products that filters use."""
    reads = service.engine.record.reads
    seqs = range(1, service.engine.record.reads.count_items() + 1)
    chance = np.random.default_rng(0)
    number = 0
    for start in range(0, len(seqs), AT_ONCE):
        batch = seqs[start : start + AT_ONCE]
        items = reads.items_by_seq(batch)
        for seq, matrix in reads.vectors_by_seq(VECTOR_FIELD, encoder, batch):
            if len(matrix) > 1:
                number += 1
                item = _sold(items[seq], chance.random())
                unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
                yield Version(number, item, item.uri, ((None, None),), {VECTOR_FIELD: unit})


def _sold(item: Item, drawn: float) -> Item:
    shares = [name for name, share in SHARES.items() if drawn < share]
    return replace(item, products=("all", *shares))


def exact_cosines(corpus: Corpus) -> FloatMatrix:
    """Return float32 [queries, items]: the best cosine of each item's passages."""
    columns = [
        (one.vectors[VECTOR_FIELD] @ corpus.queries.T).max(axis=0) for one in corpus.versions
    ]
    return np.stack(columns, axis=1)


if __name__ == "__main__":
    main()
