"""A recorded version as a document of the index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import orjson

from core.items import FloatMatrix, Item
from core.query_tree import MACHINE
from storage.opensearch.following.shown import Stretch
from storage.opensearch.index.body import (
    DIGEST,
    EMBEDDED,
    GAP,
    LASTING,
    SHOWN,
    TIE,
    vector_path,
)
from storage.opensearch.query.facet_counts import label_members
from storage.opensearch.query.name_fields import name_members
from storage.record.facts import chain_number
from storage.record.item_fields import indexed_texts, keywords_of, unstemmed_field
from storage.record.item_rows import to_micros
from storage.words.analysis import analyzer

_UNSTEMMED = "und"


@dataclass(frozen=True, slots=True)
class Version:
    """What a document is made of: a version, its story (`chain`), when the story shows it, and its
    vectors by field, float32 [n, d] each.
    """

    seq: int
    item: Item
    chain: str
    stretches: tuple[Stretch, ...]
    vectors: Mapping[str, FloatMatrix]


def document_of(version: Version) -> bytes:
    """Return the document as JSON on one line."""
    item = version.item
    document: dict[str, Any] = {
        "seq": version.seq,
        "uri": item.uri,
        TIE: chain_number(item.uri),
        "chain": version.chain,
        "versioncreated": to_micros(item.versioncreated),
        "firstcreated": to_micros(item.firstcreated),
        EMBEDDED: list(version.vectors),
        **_words(item),
        **name_members(item),
        **label_members(item),
    }
    for name, values in keywords_of(item).items():
        document[name] = [value.casefold() for value in values if value]
    for name, matrix in version.vectors.items():
        document[vector_path(name)] = _passages(matrix)
    return _sealed(orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY), version.stretches)


def _sealed(document: bytes, stretches: Sequence[Stretch]) -> bytes:
    """Return the document with its digest (BLAKE2b, RFC 7693, 8 bytes), by which a check finds
    documents that differ. The digest leaves out when the document is shown, because the same
    stretches are written differently as time passes.
    """
    digest = blake2b(document, digest_size=8).hexdigest()
    return document[:-1] + b"," + orjson.dumps({DIGEST: digest, **_shown(stretches)})[1:]


def terms_of(text: str, language: str) -> str:
    """Return the terms of `text`, joined by spaces, with a GAP for each word that the analysis
    drops. So the terms keep their distances.
    """
    parts: list[str] = []
    for token in analyzer(language).pre_tokenize(text).tokens:
        parts.extend([GAP] * (token.position - len(parts)))
        parts.append(token.text)
    return " ".join(parts)


def _words(item: Item) -> dict[str, Any]:
    words: dict[str, Any] = {}
    texts = {name: text for name, text in indexed_texts(item).items() if text}
    for name, text in texts.items():
        words[name] = terms_of(text, item.language)
        words[unstemmed_field(name)] = terms_of(text, _UNSTEMMED)
    words["all"] = [words[name] for name in texts if name != MACHINE]
    return words


def _shown(stretches: Sequence[Stretch]) -> dict[str, Any]:
    """Return the members that a search filters by time. Most versions are shown always, and LASTING
    is the cheapest filter.
    """
    if (None, None) in stretches:
        return {LASTING: True}
    return {SHOWN: [_range(since, until) for since, until in stretches]}


def _range(since: int | None, until: int | None) -> dict[str, int]:
    bounds = {"gte": since, "lt": until}
    return {name: value for name, value in bounds.items() if value is not None}


def _passages(matrix: FloatMatrix) -> list[dict[str, Any]]:
    """Return a nested document for each vector but zero vectors, which have no direction."""
    rows = np.flatnonzero(matrix.any(axis=1))
    return [{"number": row, "vector": matrix[row]} for row in rows.tolist()]
