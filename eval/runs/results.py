"""The results of a run: one folder, which comparisons, gates and reports read.

    FOLDER/result.json     what was measured and under which conditions; written last
    FOLDER/queries.jsonl   one line a query: its values, documents, time, slices and flags
    FOLDER/run.trec        the documents as served, for any other scorer

Two results can be compared if they answered the same questions with the same judgements over the
same documents; `same_questions` says what differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from core.errors import InputError

FORMAT = 1
_RESULT, _QUERIES, _RUN = "result.json", "queries.jsonl", "run.trec"

Floats64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Collection:
    """The collection that was asked: digests are sha256 in hex, of the documents' file and of the
    queries with their judgements. `documents` and `queries` are counts.
    """

    name: str
    split: str
    documents: int
    queries: int
    corpus_sha256: str
    judgements_sha256: str

    @property
    def label(self) -> str:
        """The label `name:split`."""
        return f"{self.name}:{self.split}"


@dataclass(frozen=True, slots=True)
class System:
    """The system that answered: the ranking profile, the settings that differ from their defaults
    or shape the answer, models by role with their digests, the index's digest, and where it ran
    ("here", or the address of a service). It has no secrets.
    """

    name: str
    profile: str
    settings: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    index: str = ""
    place: str = "here"
    version: str = ""


@dataclass(frozen=True, slots=True)
class QueryRow:
    """One query: `values` by measure, `documents` as served (best first), `milliseconds` until the
    last page, `slices` by facet, flags of skipped stages, why it was refused, and how many of
    `documents` have no judgement.
    """

    query_id: str
    text: str
    values: Mapping[str, float]
    documents: tuple[str, ...]
    milliseconds: float
    slices: Mapping[str, str] = field(default_factory=dict)
    degraded: tuple[str, ...] = ()
    refused: str = ""
    unjudged: int = 0


@dataclass(frozen=True, slots=True)
class RunResult:
    """One system on one collection. `made_at` is ISO 8601, UTC; `notes` are doubts, as sentences;
    `clients` asked at the same time, so queries shared the machine while they were timed.
    """

    collection: Collection
    system: System
    rows: tuple[QueryRow, ...]
    depth: int
    made_at: str
    notes: tuple[str, ...] = ()
    clients: int = 1

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of the measures, in order."""
        return tuple(self.rows[0].values) if self.rows else ()

    def values(self, measure: str) -> Floats64:
        """Return float64 [queries], in the order of `rows`. Raises InputError for an unknown
        measure.
        """
        if measure not in self.measures:
            known = ", ".join(self.measures)
            raise InputError(f"{measure} was not measured", mend=f"measured were {known}")
        return np.array([row.values[measure] for row in self.rows], np.float64)

    def mean(self, measure: str) -> float:
        """Return the mean of a measure over all judged queries."""
        return float(self.values(measure).mean())

    def milliseconds(self, percentile: float) -> float:
        """Return this percentile (0 to 100) of the queries' times; NaN without rows."""
        times = [row.milliseconds for row in self.rows]
        return float(np.percentile(times, percentile)) if times else float("nan")


def same_questions(one: RunResult, other: RunResult) -> tuple[str, ...]:
    """Return sentences on why the two can't be compared; empty if they can."""
    pairs = (
        ("collection", one.collection.label, other.collection.label),
        ("documents (corpus_sha256)", one.collection.corpus_sha256, other.collection.corpus_sha256),
        ("judgements", one.collection.judgements_sha256, other.collection.judgements_sha256),
        ("depth", str(one.depth), str(other.depth)),
    )
    found = [f"{what}: {first} and {second}" for what, first, second in pairs if first != second]
    asked, answered = ({row.query_id for row in each.rows} for each in (one, other))
    if asked != answered:
        found.append(f"{len(asked ^ answered)} queries are in one of them only")
    return tuple(found)


def write_result(result: RunResult, folder: Path) -> None:
    """Write the three files; result.json last, so that a folder with it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _RESULT).unlink(missing_ok=True)
    with (folder / _QUERIES).open("wb") as stream:
        for row in result.rows:
            stream.write(orjson.dumps(asdict(row)) + b"\n")
    write_run(result, folder / _RUN)
    tree = {
        "format": FORMAT,
        "collection": asdict(result.collection),
        "system": asdict(result.system),
        "depth": result.depth,
        "clients": result.clients,
        "made_at": result.made_at,
        "notes": list(result.notes),
        "means": {measure: result.mean(measure) for measure in result.measures},
        "milliseconds": {f"p{p}": result.milliseconds(p) for p in (50, 95, 99)},
    }
    part = folder / (_RESULT + ".part")
    part.write_bytes(orjson.dumps(tree, option=orjson.OPT_INDENT_2) + b"\n")
    part.replace(folder / _RESULT)


def write_run(result: RunResult, path: Path) -> None:
    """Write the answers as a TREC run. The score falls by 1 with each rank: trec_eval sorts by it
    and ignores the rank, so every scorer sees the order as served.
    """
    tag = f"dateline-{result.system.name}".replace(" ", "_")
    with path.open("w", encoding="utf-8") as stream:
        for row in result.rows:
            for rank, document in enumerate(row.documents, 1):
                score = result.depth + 1 - rank
                stream.write(f"{row.query_id} Q0 {document} {rank} {score} {tag}\n")


def read_result(folder: Path) -> RunResult:
    """Read what `write_result` wrote. Raises InputError if it is missing or damaged."""
    path = folder / _RESULT
    if not path.is_file():
        mend = "name a folder that `dateline eval run --output` wrote"
        raise InputError(f"there is no {_RESULT}", where=str(folder), mend=mend)
    try:
        tree = orjson.loads(path.read_bytes())
        if tree["format"] != FORMAT:
            raise InputError(
                f"its format is {tree['format']}, not {FORMAT}", where=str(path), mend="run again"
            )
        lines = (folder / _QUERIES).read_bytes().splitlines()
        return RunResult(
            collection=Collection(**tree["collection"]),
            system=System(**tree["system"]),
            rows=tuple(_row(orjson.loads(line)) for line in lines),
            depth=int(tree["depth"]),
            made_at=str(tree["made_at"]),
            notes=tuple(tree["notes"]),
            clients=int(tree.get("clients", 1)),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"can't be read: {error}", where=str(folder), mend="run again") from error


def _row(tree: dict[str, Any]) -> QueryRow:
    lists = {name: tuple(tree[name]) for name in ("documents", "degraded")}
    return QueryRow(**{**tree, **lists})
