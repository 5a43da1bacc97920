"""The pairs of query and document that are to be graded, pooled from several systems.

    FOLDER/pool.jsonl    {"query_id": "q1", "document_id": "urn:x:1",
                          "ranks": {"hybrid": 1, "lexical": 4}}

A pool has the best documents of each system for each query, as in TREC. The order in which a judge
sees them says nothing about a system: pairs come by bands of the best rank that any system gave, so
that an early end leaves only deep ranks without a grade; within a band query by query, and within a
query by a digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from eval.runs.measures import Run
from eval.sets.lines import Line, read_lines

POOL = "pool.jsonl"
_BANDS = (1, 3, 10, 30, 100)  # the last ranks of the bands; deeper ones are one band more

Pair = tuple[str, str]  # the ids of a query and a document


@dataclass(frozen=True, slots=True)
class Pooled:
    """A pair, and the rank (from 1) that each system gave it; a system that is not named did not
    find it as early as the pool is deep.
    """

    query_id: str
    document_id: str
    ranks: Mapping[str, int]

    @property
    def pair(self) -> Pair:
        """The ids of query and document."""
        return self.query_id, self.document_id

    @property
    def best(self) -> int:
        """The best rank that a system gave it."""
        return min(self.ranks.values())


def pooled(runs: Mapping[str, Run], depth: int) -> tuple[Pooled, ...]:
    """Return the first `depth` documents of every system's run, each pair once."""
    return joined(
        Pooled(query, document, {system: rank})
        for system, run in runs.items()
        for query, documents in run.items()
        for rank, document in enumerate(list(documents)[:depth], start=1)
    )


def joined(pools: Iterable[Pooled]) -> tuple[Pooled, ...]:
    """Return each pair of several pools once, with the ranks of all; of two ranks that one system
    gave it the last one counts.
    """
    ranks: dict[Pair, dict[str, int]] = {}
    for each in pools:
        ranks.setdefault(each.pair, {}).update(each.ranks)
    return tuple(Pooled(query, document, given) for (query, document), given in ranks.items())


def write_pool(folder: Path, pool: Iterable[Pooled]) -> None:
    """Write the pool of a folder as a whole."""
    part = folder / f"{POOL}.part"
    part.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in pool))
    part.replace(folder / POOL)


def read_pool(folder: Path, queries: Container[str]) -> tuple[Pooled, ...]:
    """Return the pool of a folder, () without one. Raises DocumentError for a mistake in a line,
    such as an unknown query, and InputError if the file can't be read.
    """
    path = folder / POOL
    if not path.is_file():
        return ()
    return tuple(_pooled(line, queries) for line in read_lines(path))


def to_grade(
    pool: Sequence[Pooled],
    queries: Iterable[str],
    graded_by_others: Container[Pair],
    overlap: float,
) -> tuple[Pooled, ...]:
    """Return the pairs for one judge, in the order that this module describes: those that nobody
    else graded, and of the others the share `overlap` (0 to 1), which show how far judges agree.
    """
    places = {query: place for place, query in enumerate(queries)}
    asked = [p for p in pool if p.pair not in graded_by_others or _drawn(p.pair) < overlap]
    return tuple(sorted(asked, key=lambda p: (_band(p.best), places[p.query_id], _drawn(p.pair))))


def _band(rank: int) -> int:
    return sum(rank > last for last in _BANDS)


def _drawn(pair: Pair) -> float:
    """Return a number from 0 up to 1 that a pair always has, as if it were drawn by chance."""
    digest = hashlib.sha256("\t".join(pair).encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def _pooled(line: Line, queries: Container[str]) -> Pooled:
    tree = line.json_object()
    query, document = (line.string(tree, name).strip() for name in ("query_id", "document_id"))
    if query not in queries:
        mend = f"make the pool again: remove {POOL}"
        raise line.mistake(f"query {query!r} is not known", field="query_id", mend=mend)
    ranks = tree.get("ranks")
    if not isinstance(ranks, dict) or not ranks or not all(map(_is_rank, ranks.values())):
        mend = 'a rank from 1 on for each system, as {"hybrid": 1}'
        raise line.mistake("has no ranks", field="ranks", mend=mend)
    return Pooled(query, document, ranks)


def _is_rank(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
