"""Candidate lists for training and judging a reranker: one query a line, in gzipped JSON lines.

    {"query_id": …, "query": …, "ideal": [3, 1], "candidates": [{"id", "fused", "grade", "text"}]}

`candidates` are what the serving pipeline would give a reranker, best first. `ideal` has every
grade above 0 of the query, found or not, so that nDCG can be computed from a line alone.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from core.callers import Caller
from core.errors import InputError, QueryError
from eval.sets.datasets import JudgedSet, plain_words
from eval.sets.lines import read_lines
from search.answers import SearchRequest
from search.candidates import RerankerInput
from search.pipeline import SearchPipeline


def known_items(judged: JudgedSet, count: int, seed: int) -> JudgedSet:
    """Return the collection with `count` of its own titles as queries; each is judged to find its
    own document only. `seed` chooses them among documents that are not already some query's answer.

    The index keeps the titles, so a learner must leave out the first line of each text. Raises
    InputError if the collection has no such documents.
    """
    taken = {document for grades in judged.qrels.values() for document in grades}
    titles: dict[str, str] = {}
    for line in read_lines(judged.corpus):
        row = line.json_object()
        if row.get("title") and row.get("text") and str(row["_id"]) not in taken:
            titles[str(row["_id"])] = str(row["title"])
    if not titles:
        raise InputError(
            f"{judged.name} has no titled documents beside the judged ones",
            mend="leave --titles out: its judged queries are asked then",
        )
    chance = random.Random(seed)  # noqa: S311 - a sample, not a secret
    chosen = chance.sample(sorted(titles), min(count, len(titles)))
    return replace(
        judged,
        split=f"titles-{len(chosen)}",
        queries={name: plain_words(titles[name]) for name in chosen},
        qrels={name: {name: 1} for name in chosen},
        conventions=replace(judged.conventions, body_only=False, query_language=False),
    )


def write_candidates(
    source: SearchPipeline,
    judged: JudgedSet,
    caller: Caller,
    path: Path,
    *,
    profile: str,
    depth: int,
    said: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write the lists of every judged query; return how many. A query that the pipeline refuses has
    no list. The file appears when it is complete.
    """
    part = path.with_name(path.name + ".part")
    written = 0
    with gzip.open(part, "wb", compresslevel=6) as lines:
        for row in candidate_lists(source, judged, caller, profile, depth, said):
            lines.write(orjson.dumps(row) + b"\n")
            written += 1
    part.replace(path)
    return written


def candidate_lists(
    source: SearchPipeline,
    judged: JudgedSet,
    caller: Caller,
    profile: str,
    depth: int,
    said: Callable[[int, int], None],
) -> Iterator[Mapping[str, Any]]:
    """Yield one list per query, as values for JSON."""
    for number, (query_id, text) in enumerate(judged.queries.items()):
        said(number, len(judged.queries))
        request = SearchRequest(q=text, profile=profile, dates=judged.dates)
        try:
            given = source.reranker_input(request, caller, depth)
        except QueryError:
            continue
        if given.query and given.uris:
            yield _row(query_id, given, judged)
    said(len(judged.queries), len(judged.queries))


def _row(query_id: str, given: RerankerInput, judged: JudgedSet) -> Mapping[str, Any]:
    grades = judged.qrels[query_id]
    names = [judged.document_id(uri) if uri else "" for uri in given.uris]
    rows = zip(names, given.fused.tolist(), given.texts, strict=True)
    return {
        "query_id": query_id,
        "query": given.query,
        "ideal": sorted((grade for grade in grades.values() if grade > 0), reverse=True),
        "candidates": [
            {"id": name, "fused": fused, "grade": grades.get(name, 0), "text": text}
            for name, fused, text in rows
            if name
        ],
    }
