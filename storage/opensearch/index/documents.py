"""Turns stories into documents of the index, and into the operations that write them.

A version that its story does not show is not deleted from the index. A document with its number and
nothing else replaces it. OpenSearch remembers the version of a document as long as the document
exists. It remembers a deletion only for `index.gc_deletes`, and not beyond a restart of the node or
a move of the shard. Suppose a process reads the record before a kill and is then delayed (by a node
that restarts, by a machine that sleeps). After a deletion it would find nothing newer and would
bring the killed version back. The price is 32 to 43 bytes for each version that is not shown
(`plan.py`); its words and vectors go as with a deletion.

OpenSearch refuses a document with more than 10,000 nested documents (`nested_objects.limit`) and a
request of more than 100 MB (`http.max_content_length`). The longest items have more passages. Only
their first passages are indexed, and vector search finds them by these; the cosine of a hit is over
all its vectors, from the record.

An embargo that lifts and an item that expires change a story without a write. Both moments are
known beforehand. So an index holds the stretches of time in which a version is shown, and a search
asks for the versions shown now: no process has to act at that moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import orjson

from core.items import FloatMatrix, Item
from core.query_tree import APART
from storage.opensearch.index.body import (
    DIGEST,
    EMBEDDED,
    GAP,
    LASTING,
    SHOWN,
    TIE,
    VectorSpace,
    vector_path,
)
from storage.opensearch.index.bulk import Operation
from storage.opensearch.query.facet_counts import label_members
from storage.opensearch.query.name_fields import name_members
from storage.record.facts import chain_number
from storage.record.item_fields import indexed_texts, keywords_of, unstemmed_field
from storage.record.item_rows import to_micros
from storage.record.port import RecordReads
from storage.words.analysis import analyzer

MOST_PASSAGES = 5_000  # of a document, over all fields
_MOST_NUMBERS = 4_000_000  # in these vectors; about 12 bytes each on their way


def indexed_vectors(
    reads: RecordReads, spaces: Mapping[str, VectorSpace], field: str, seqs: Sequence[int]
) -> dict[int, FloatMatrix]:
    """Return the vectors of `field` for the documents of `seqs`: float32 [n, d] each."""
    width = sum(space.width for space in spaces.values())
    most = max(1, min(MOST_PASSAGES // len(spaces), _MOST_NUMBERS // width))
    found = reads.vectors_by_seq(field, spaces[field].encoder, seqs)
    return {seq: matrix[:most] for seq, matrix in found}


Stretch = tuple[int | None, int | None]  # microseconds, [since, until); None is open


@dataclass(frozen=True, slots=True)
class Shown:
    """What some stories show: the stretches of each version that is or will be shown, the chain of
    each version, and the versions that are never shown (`hidden`).
    """

    stretches: dict[int, list[Stretch]]
    chains: dict[int, str]
    hidden: set[int]


def shown_of(reads: RecordReads, chains: Iterable[str], now: int) -> Shown:
    """Return what the chains show from `now` (microseconds) on."""
    found = Shown({}, {}, set())
    every: set[int] = set()
    due: dict[int, list[str]] = {now: list(dict.fromkeys(chains))}
    while due:
        moment = min(due)
        for chain, (view, seqs) in reads.views_of(due.pop(moment), moment).items():
            every.update(seqs)
            found.chains.update(dict.fromkeys(seqs, chain))
            if view.head:
                since = None if moment == now else moment
                found.chains[view.head] = chain
                _extend(found.stretches.setdefault(view.head, []), since, view.changes_at)
            if view.changes_at is not None:
                due.setdefault(view.changes_at, []).append(chain)
    found.hidden.update(every - found.stretches.keys())
    return found


def _extend(stretches: list[Stretch], since: int | None, until: int | None) -> None:
    """Add a stretch, or lengthen the last one if it ends where the new one begins."""
    if stretches and since is not None and stretches[-1][1] == since:
        since, _ = stretches.pop()
    stretches.append((since, until))


@dataclass(frozen=True, slots=True)
class Restated:
    """Operations that bring some stories in the index up to the record, what these stories show,
    and the vectors in the documents: by field and seq, float32 [n, d].
    """

    operations: Sequence[Operation]
    shown: Shown
    vectors: Mapping[str, Mapping[int, FloatMatrix]]


def hidden(seq: int, version: int) -> Operation:
    """Return the operation that replaces a document with one that no search finds and that blocks
    older states.
    """
    return Operation(seq, version, orjson.dumps({"seq": seq}))


def is_hidden(source: Mapping[str, Any]) -> bool:
    """Return whether `hidden` made the document with this stored `source`."""
    return "chain" not in source


def restated(
    reads: RecordReads,
    chains: Iterable[str],
    spaces: Mapping[str, VectorSpace],
    now: int,
    version: int,
) -> Restated:
    """Return the stories `chains` as of `now` (microseconds). Each operation has `version`, the
    number of the newest change that `reads` sees. A version that its story does not show is
    `hidden`.
    """
    shown = shown_of(reads, chains, now)
    seqs = sorted(shown.stretches)
    vectors = {name: indexed_vectors(reads, spaces, name, seqs) for name in spaces}
    operations = [hidden(seq, version) for seq in sorted(shown.hidden)]
    for seq, item in reads.items_by_seq(seqs).items():
        own = {name: held[seq] for name, held in vectors.items() if seq in held}
        stretches = tuple(shown.stretches[seq])
        document = document_of(Version(seq, item, shown.chains[seq], stretches, own))
        operations.append(Operation(seq, version, document))
    return Restated(operations, shown, vectors)


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
    words["all"] = [words[name] for name in texts if name not in APART]
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
