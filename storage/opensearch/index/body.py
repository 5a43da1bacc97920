"""The body of an index: mapping, analyzers, similarity, and what its nodes are told.

One document is one recorded version that its story shows now or will show by itself; `_id` and
`seq` are the engine's id. Of a version that is shown to nobody any more the number is left, without
anything else: see `restate.py`. Words come as terms: `storage/words/analysis.py` makes them in this
process and the index only splits them at spaces, so that both engines have the same terms by
construction. Passages are nested documents, one path for each vector field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from core.query_tree import DATE_FIELDS, KEYWORD_FIELDS, TEXT_FIELDS
from storage.opensearch.query.name_fields import NAME_PROPERTIES
from storage.record.item_fields import unstemmed_field
from storage.words.query_words import K1

FORMAT = 2  # of the documents; another one needs another index
TERMS = "terms"  # the analyzer
GC_DELETES = "10m"  # how long the index remembers a deletion; nothing here depends on that
GAP = "_"  # stands where the analysis dropped a word; no term has this sign
LASTING, SHOWN = "lasting", "shown"
DIGEST = "digest"  # of the whole document as it was sent
EMBEDDED = "embedded"  # the vector fields that an item was embedded for
# Whether a document holds an item: what is left of one that is hidden has no date.
HOLDS_ITEM: Mapping[str, Any] = {"exists": {"field": "versioncreated"}}
_LONGEST_KEYWORD = 8_191  # characters; Lucene takes 32,766 bytes
_KEYWORD: Mapping[str, Any] = {"type": "keyword", "ignore_above": _LONGEST_KEYWORD}
_SIMILARITY = {"type": "BM25", "k1": K1, "b": 0.75}
# The k-NN plugin's encoder by library and precision. faiss needs its native library on each node.
ENCODERS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("lucene", "fp32"): {},
    ("lucene", "int8"): {"name": "sq", "parameters": {"bits": 7}},
    ("faiss", "fp32"): {},
    ("faiss", "fp16"): {"name": "sq", "parameters": {"type": "fp16"}},
}


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How an index is laid out. `ef_construction` and `m` are the graph's; `precision` is that of
    the vectors in it, see ENCODERS. `refresh_s` is how often a node makes new documents searchable
    that nobody has waited for, `window` how many hits a search may ask for.
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
    """What a vector field holds: `width` numbers a vector, by the encoder with this digest."""

    encoder: str
    width: int


def vector_path(field: str) -> str:
    """The nested path of a vector field's passages, with members `number` and `vector`."""
    return f"passages_{field}"


def index_body(settings: IndexSettings, spaces: Mapping[str, VectorSpace]) -> dict[str, Any]:
    """The body that makes an index with the vector fields `spaces`."""
    return {"settings": _settings(settings), "mappings": _mappings(settings, spaces)}


def spaces_of(mapping: Mapping[str, Any]) -> dict[str, VectorSpace]:
    """The vector fields of an index by its mapping. Raises KeyError for one that isn't ours."""
    noted = mapping["_meta"]["spaces"]
    return {name: VectorSpace(space["encoder"], space["width"]) for name, space in noted.items()}


def format_of(mapping: Mapping[str, Any]) -> int:
    """The format of an index's documents, 0 for an index that isn't ours."""
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
        "uri": {"type": "keyword", "index": False, "doc_values": False},
        "chain": _KEYWORD,
        LASTING: {"type": "boolean"},
        SHOWN: {"type": "long_range"},
        EMBEDDED: _KEYWORD,
        DIGEST: {"type": "keyword", "index": False},
        **dict.fromkeys(KEYWORD_FIELDS, _KEYWORD),
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
    """One field of terms. Two values of it are one place apart, as in the embedded engine."""
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
    if settings.library == "lucene":  # a second copy of every vector, which only scripts would read
        vector["doc_values"] = False
    return {
        "type": "nested",
        "properties": {"number": {"type": "integer", "index": False}, "vector": vector},
    }
