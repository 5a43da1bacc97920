"""The body of an index: mapping, analyzers, similarity and settings.

One document is one recorded version that its story shows now or will show at a known time; `_id`
and `seq` are the engine's id. Of a version that is hidden for good only the number stays (see
`documents.py`). `storage/words/analysis.py` makes terms of words in this process, and the index
only splits them at spaces. So both engines always have the same terms. Passages are nested
documents, one path for each vector field.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from core.query_tree import DATE_FIELDS, KEYWORD_FIELDS, TEXT_FIELDS
from storage.opensearch.query.facet_counts import FACETS, label_field
from storage.opensearch.query.name_fields import NAME_PROPERTIES
from storage.record.item_fields import unstemmed_field
from storage.words.query_readings import K1

FORMAT = 4  # format of the documents; another format needs another index
TERMS = "terms"  # the analyzer
GC_DELETES = "10m"  # how long the index remembers a deletion; nothing here depends on it
GAP = "_"  # replaces a word that the analysis dropped; no term has this sign
TIE = "uri_number"  # decides the order of items of the same time
LASTING, SHOWN = "lasting", "shown"
DIGEST = "digest"  # digest of the whole document as it was sent
EMBEDDED = "embedded"  # the vector fields that an item was embedded for
# Matches documents that hold an item: a hidden version's document has no date.
HOLDS_ITEM: Mapping[str, Any] = {"exists": {"field": "versioncreated"}}
_LONGEST_KEYWORD = 8_191  # characters; Lucene takes 32,766 bytes
_KEYWORD: Mapping[str, Any] = {"type": "keyword", "ignore_above": _LONGEST_KEYWORD}
_SIMILARITY = {"type": "BM25", "k1": K1, "b": 0.75}
# The k-NN plugin's encoders by library and precision. faiss needs its native library on each node.
ENCODERS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("lucene", "fp32"): {},
    ("lucene", "int8"): {"name": "sq", "parameters": {"bits": 7}},
    ("faiss", "fp32"): {},
    ("faiss", "fp16"): {"name": "sq", "parameters": {"type": "fp16"}},
}


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """The layout of an index. `ef_construction` and `m` build the graph; `precision` is that of its
    vectors, see ENCODERS. Every `refresh_s` a node makes new documents searchable by itself.
    `window` is the largest number of hits that a search may ask for.
    """

    shards: int = 1
    replicas: int = 0
    library: str = "lucene"
    precision: str = "fp32"
    m: int = 32
    ef_construction: int = 200
    refresh_s: float = 30.0
    window: int = 100_000
    merge_threads: int = 0


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """What a vector field holds: vectors of `width` numbers from the encoder with this digest."""

    encoder: str
    width: int


def vector_path(field: str) -> str:
    """Return the nested path of a vector field's passages, with members `number` and `vector`."""
    return f"passages_{field}"


def index_body(settings: IndexSettings, spaces: Mapping[str, VectorSpace]) -> dict[str, Any]:
    """Return the body that makes an index with the vector fields `spaces`."""
    return {"settings": _settings(settings), "mappings": _mappings(settings, spaces)}


def mapping_with(
    settings: IndexSettings, spaces: Mapping[str, VectorSpace], new: Collection[str]
) -> dict[str, Any]:
    """Return the change of a mapping that adds the vector fields `new`; `spaces` has them all."""
    whole = _mappings(settings, spaces)
    return {
        **whole,
        "properties": {vector_path(name): whole["properties"][vector_path(name)] for name in new},
    }


def spaces_of(mapping: Mapping[str, Any]) -> dict[str, VectorSpace]:
    """Return the vector fields in an index's mapping. Raises KeyError for a foreign index."""
    noted = mapping["_meta"]["spaces"]
    return {name: VectorSpace(space["encoder"], space["width"]) for name, space in noted.items()}


def format_of(mapping: Mapping[str, Any]) -> int:
    """Return the format of an index's documents, 0 for a foreign index."""
    return int(mapping.get("_meta", {}).get("format", 0))


def _settings(settings: IndexSettings) -> dict[str, Any]:
    merging = {"merge.scheduler.max_thread_count": settings.merge_threads}
    return {
        "index": {
            "number_of_shards": settings.shards,
            "number_of_replicas": settings.replicas,
            "refresh_interval": f"{max(1, round(settings.refresh_s * 1000))}ms",
            "max_result_window": settings.window,
            "gc_deletes": GC_DELETES,
            "knn": True,
            "similarity": {"default": _SIMILARITY},
            "analysis": {
                "filter": {"gaps": {"type": "stop", "stopwords": [GAP]}},
                "analyzer": {
                    TERMS: {"type": "custom", "tokenizer": "whitespace", "filter": ["gaps"]}
                },
            },
            **(merging if settings.merge_threads else {}),
        }
    }


def _mappings(settings: IndexSettings, spaces: Mapping[str, VectorSpace]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "seq": {"type": "long"},
        TIE: {"type": "long"},
        "uri": {"type": "keyword", "index": False, "doc_values": False},
        "chain": _KEYWORD,
        LASTING: {"type": "boolean"},
        SHOWN: {"type": "long_range"},
        EMBEDDED: _KEYWORD,
        DIGEST: {"type": "keyword", "index": False},
        **dict.fromkeys(KEYWORD_FIELDS, _KEYWORD),
        **{label_field(name): _KEYWORD for name in FACETS},
        **{name: {"type": "long"} for name in DATE_FIELDS},
        **{name: _text(position_increment_gap=1) for name in ("all", *TEXT_FIELDS)},
        **{unstemmed_field(name): _text(index_options="docs") for name in TEXT_FIELDS},
        **{vector_path(name): _passages(settings, space) for name, space in spaces.items()},
        **NAME_PROPERTIES,
    }
    return {
        "dynamic": "strict",
        "_meta": {
            "format": FORMAT,
            "spaces": {name: asdict(space) for name, space in spaces.items()},
        },
        "_source": {"includes": ["seq", "uri", "chain", SHOWN, LASTING, EMBEDDED]},
        "properties": properties,
    }


def _text(**more: Any) -> dict[str, Any]:
    """Return a field of terms. Two values are one position apart, as in the embedded engine."""
    return {"type": "text", "analyzer": TERMS, **more}


def _passages(settings: IndexSettings, space: VectorSpace) -> dict[str, Any]:
    graph: dict[str, Any] = {"m": settings.m, "ef_construction": settings.ef_construction}
    if encoder := ENCODERS[settings.library, settings.precision]:
        graph["encoder"] = encoder
    method = {
        "name": "hnsw",
        "engine": settings.library,
        "space_type": "cosinesimil",
        "parameters": graph,
    }
    vector: dict[str, Any] = {"type": "knn_vector", "dimension": space.width, "method": method}
    if settings.library == "lucene":  # no second copy of every vector, which only scripts read
        vector["doc_values"] = False
    return {
        "type": "nested",
        "properties": {"number": {"type": "integer", "index": False}, "vector": vector},
    }
