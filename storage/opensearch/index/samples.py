"""Compares some documents in full with what the record would make of them now.

The index keeps no copy of a document as it was sent. So this asks for what the index really has:
the values of every field with columns, each text as one phrase, and each vector by its cosine. It
does not notice extra words at the beginning or end of a text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from core.query_tree import TEXT_FIELDS
from storage.opensearch.index.body import LASTING, SHOWN, index_body, vector_path
from storage.opensearch.index.documents import restated
from storage.opensearch.index.family import IndexFamily
from storage.opensearch.nodes.connection import Reply, error_of
from storage.record.port import RecordReads

_BATCH = 20  # documents in one request
_MOST_VECTORS = 32  # of one document that are compared; all of them are counted
_PLAIN = ("keyword", "long", "integer", "boolean")
_NEAR = {"fp32": 0.999}  # the least score of an exact copy, which is 1 except for rounding
_NEAR_COARSE = 0.98  # the same if the index keeps vectors at less than fp32
_OF_TIME = (SHOWN, LASTING)  # written values; `check.py` compares what they mean now
Document = Mapping[str, Any]


def differing_documents(
    family: IndexFamily, reads: RecordReads, seqs: Sequence[int], now: int
) -> dict[int, str]:
    """Return which documents of `seqs`, all in the index, differ from what `reads` says, and in
    what. Raises StorageError.
    """
    found: dict[int, str] = {}
    for start in range(0, len(seqs), _BATCH):
        batch = seqs[start : start + _BATCH]
        documents = _documents(family, reads, batch, now)
        present = [seq for seq in batch if seq in documents]
        bodies = [_question(family, seq, documents[seq]) for seq in present]
        replies = family.cluster.search_many(bodies, index=family.concrete)
        for seq, reply in zip(present, replies, strict=True):
            if what := _difference(family, documents[seq], reply):
                found[seq] = what
    return found


def _documents(
    family: IndexFamily, reads: RecordReads, seqs: Sequence[int], now: int
) -> dict[int, Document]:
    chains = {*reads.stories_of(seqs).values()}
    made = restated(reads, chains, family.spaces, now, 0).operations
    return {each.id: orjson.loads(each.document) for each in made if each.document is not None}


def _question(family: IndexFamily, seq: int, document: Document) -> dict[str, Any]:
    names = [name for name in TEXT_FIELDS if document.get(name)]
    asked = [_phrase(name, document[name]) for name in names]
    asked += [_exists(name) for name in TEXT_FIELDS if not document.get(name)]
    for field in family.spaces:
        rows = document.get(vector_path(field), ())[:_MOST_VECTORS]
        asked += [_vector(family, field, seq, row) for row in rows]
    return {
        "size": 1,
        "_source": False,
        "docvalue_fields": _columns(family),
        "query": {"bool": {"filter": [{"term": {"seq": seq}}], "should": asked}},
        "aggs": {field: {"nested": {"path": vector_path(field)}} for field in family.spaces},
    }


def _phrase(name: str, terms: str) -> dict[str, Any]:
    return {"match_phrase": {name: {"query": terms, "_name": f"text {name}"}}}


def _exists(name: str) -> dict[str, Any]:
    return {"exists": {"field": name, "_name": f"exists {name}"}}


def _vector(family: IndexFamily, field: str, seq: int, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the clause that is true if a passage of document `seq` has this vector. It searches
    the nearest vector within that document only, so the search compares all of them.
    """
    path = vector_path(field)
    near = {"vector": row["vector"], "k": 1, "filter": {"term": {"seq": seq}}}
    nested = {"path": path, "query": {"knn": {f"{path}.vector": near}}, "score_mode": "max"}
    least = _NEAR.get(family.settings.precision, _NEAR_COARSE)
    name = f"vector {field} {row['number']}"
    return {"function_score": {"query": {"nested": nested}, "min_score": least, "_name": name}}


def _difference(family: IndexFamily, document: Document, reply: Reply) -> str:
    """Return what differs, "" if nothing does."""
    if "error" in reply:
        where = f"{family.cluster.where}, {family.concrete}"
        raise error_of(reply.get("status", 500), reply["error"], where)
    hits = reply["hits"]["hits"]
    if not hits:
        return "it is gone"
    parts = (*_columns_that_differ(family, document, hits[0]), *_words(document, hits[0]))
    return ", ".join((*parts, *_vectors(family, document, reply, hits[0])))


def _columns_that_differ(
    family: IndexFamily, document: Document, hit: Mapping[str, Any]
) -> Iterator[str]:
    held = hit.get("fields", {})
    for name in _columns(family):
        wanted = document.get(name, [])
        values = wanted if isinstance(wanted, list) else [wanted]
        if {*map(str, values)} != {*map(str, held.get(name, ()))}:
            yield name


def _words(document: Document, hit: Mapping[str, Any]) -> Iterator[str]:
    matched = {*hit.get("matched_queries", ())}
    for name in TEXT_FIELDS:
        is_there = bool(document.get(name, "").replace("_", "").strip())
        sign = f"text {name}" if is_there else f"exists {name}"
        if (sign in matched) != is_there:
            yield f"text of {name}"


def _vectors(
    family: IndexFamily, document: Document, reply: Reply, hit: Mapping[str, Any]
) -> Iterator[str]:
    matched = {*hit.get("matched_queries", ())}
    for field in family.spaces:
        rows = document.get(vector_path(field), ())
        held = reply["aggregations"][field]["doc_count"]
        if held != len(rows):
            yield f"{held} passages of {field} in place of {len(rows)}"
            continue
        names = [f"vector {field} {row['number']}" for row in rows[:_MOST_VECTORS]]
        if {*names} - matched:
            yield f"vectors of {field}"


def _columns(family: IndexFamily) -> list[str]:
    """Return the fields with values that can be read back."""
    properties = index_body(family.settings, family.spaces)["mappings"]["properties"]
    return [
        name
        for name, kind in properties.items()
        if kind["type"] in _PLAIN and kind.get("doc_values", True) and name not in _OF_TIME
    ]
