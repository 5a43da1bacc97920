"""The items of benchmarks/opensearch/passages_layout.py: stories of several passages, with real
vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.items import FloatMatrix, Item
from dateline.build.engine import VECTOR_FIELD
from dateline.build.service import Service
from dateline.measuring.evaluate import open_indexed
from dateline.settings import configure
from eval.sets.datasets import Conventions, read_judged_set
from storage.opensearch.index.documents import Version

SHARES = {"half": 0.5, "tenth": 0.1, "fiftieth": 0.02, "thousandth": 0.001}
FILTERS = ("all", *SHARES, "newest")
NEWEST, QUERIES = 0.02, 200
_AT_ONCE = 200


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
    for start in range(0, len(seqs), _AT_ONCE):
        batch = seqs[start : start + _AT_ONCE]
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
