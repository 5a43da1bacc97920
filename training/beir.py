"""Reads BEIR folders (corpus and queries in JSON lines, judgements in qrels/*.tsv).

The layout is that of Thakur et al. 2021; files may be gzipped.
"""

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TestSet:
    """A corpus with judged queries. `gains[query][document]` is the graded judgement, above 0."""

    documents: dict[str, str]  # text by id, the title first
    queries: dict[str, str]  # text by id; judged ones only
    gains: dict[str, dict[str, int]]


def read_lines(folder: Path, name: str) -> Iterator[dict[str, str]]:
    """Yield the objects of `name`.jsonl or `name`.jsonl.gz; raises OSError if there is neither."""
    packed = folder / f"{name}.jsonl.gz"
    if packed.exists():
        with gzip.open(packed, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)
    else:
        with (folder / f"{name}.jsonl").open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def text_of(row: dict[str, str]) -> str:
    """Return title and text as one text."""
    return f"{row.get('title', '')} {row['text']}".strip()


def read_test_set(folder: Path, split: str) -> TestSet:
    """Return the folder's corpus and the queries judged in qrels/`split`.tsv."""
    gains: dict[str, dict[str, int]] = {}
    with (folder / "qrels" / f"{split}.tsv").open(encoding="utf-8") as rows:
        next(rows)  # the heading
        for row in rows:
            query, document, gain = row.split("\t")
            if int(gain) > 0:
                gains.setdefault(query, {})[document] = int(gain)
    queries = {row["_id"]: row["text"] for row in read_lines(folder, "queries")}
    documents = {row["_id"]: text_of(row) for row in read_lines(folder, "corpus")}
    return TestSet(documents, {query: queries[query] for query in gains}, gains)


def sample_texts(folder: Path, count: int, *, seed: int) -> list[str]:
    """Return `count` texts of the corpus, chosen by `seed`; every second one is a title alone."""
    rows = random.Random(seed).sample(list(read_lines(folder, "corpus")), count)  # noqa: S311
    return [
        text_of(row) if number % 2 == 0 else row.get("title", "") or row["text"][:80]
        for number, row in enumerate(rows)
    ]
