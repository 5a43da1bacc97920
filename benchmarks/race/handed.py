"""What every system of the race is given: the same documents, queries and vectors.

A document has one vector: that of its title and body by our encoder, which reads the first 256
tokens, as sentence-transformers does it. So no system has an advantage by cutting texts.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import orjson

from benchmarks.race.entrant import Document
from core.items import FloatMatrix
from core.ports.models import TextEncoder
from eval.sets.judged import JudgedSet
from eval.sets.lines import read_lines

_BLOCK = 512


def hand_out(judged: JudgedSet, encoder: TextEncoder, top: Path) -> Path:
    """Return a folder with everything that a system is given. It is kept below `top` by what it is
    made of; the encoder runs only where it is not there yet.
    """
    made_of = f"{judged.corpus_sha256} {judged.judgements_sha256} {encoder.digest}"
    folder = top / f"{judged.name}-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"
    if (folder / "vectors.npy").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    documents = [*documents_of(judged)]
    queries = [*judged.queries.values()]
    lines = [{"id": one.id, "title": one.title, "body": one.body} for one in documents]
    (folder / "documents.jsonl").write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in lines))
    (folder / "queries.json").write_bytes(orjson.dumps(queries))
    np.save(folder / "query_vectors.npy", encoder.encode_queries(queries))
    vectors = _encoded(encoder, [document.text for document in documents])
    np.save(folder / "made.npy", vectors)
    (folder / "made.npy").rename(folder / "vectors.npy")  # what has it is whole
    return folder


def documents_of(judged: JudgedSet) -> Iterator[Document]:
    """Yield each document of the set once."""
    known: set[str] = set()
    for line in read_lines(judged.corpus):
        tree = orjson.loads(line.data)
        if tree["_id"] not in known:
            known.add(tree["_id"])
            title = " ".join((tree.get("title") or "").split())
            yield Document(tree["_id"], title, (tree.get("text") or "").strip())


def _encoded(encoder: TextEncoder, texts: Sequence[str]) -> FloatMatrix:
    blocks: list[FloatMatrix] = []
    for start in range(0, len(texts), _BLOCK):
        print(f"encoding: {start:,} of {len(texts):,} documents", file=sys.stderr)
        blocks.append(encoder.encode_passages(texts[start : start + _BLOCK]))
    return np.concatenate(blocks)
