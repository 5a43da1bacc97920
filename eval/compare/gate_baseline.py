"""The baseline of a gate: one JSON file to commit.

    {"format": 1, "made_at": …, "system": {…}, "measures": ["nDCG@10"],
     "collections": [{"collection": {name, split, counts, digests}, "depth": 100, "refused": [],
                      "values": {"q1": [0.63], …}}]}

Each query has its own line, so that people can read the diff of a new baseline. Values have
DECIMALS decimals; new results are rounded the same way before they are compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import InputError
from eval.compare.pairing import by_collection, checked_values, rows_by_query
from eval.runs.results import Collection, QueryRow, RunResult, System

FORMAT = 1
DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Baseline:
    """The content of the file: `results` have rows with values only, no documents and no times."""

    results: tuple[RunResult, ...]
    measures: tuple[str, ...]

    @property
    def system(self) -> System:
        """The system that answered."""
        return self.results[0].system

    @property
    def made_at(self) -> str:
        """When the newest of the results was made."""
        return max(result.made_at for result in self.results)


def write_baseline(results: Sequence[RunResult], measures: Sequence[str], path: Path) -> None:
    """Write the file. Raises InputError for results that would mislead a gate: degraded answers,
    values that are not numbers or all 0, a collection or a query twice.
    """
    if not results or not measures:
        raise InputError("a baseline needs results and measures", where=str(path))
    for result in by_collection(results).values():
        degraded = sum(bool(row.degraded) for row in result.rows)
        if degraded:
            raise InputError(
                f"{degraded} answers are degraded: a stage was skipped or cut short",
                where=f"{result.system.name} on {result.collection.label}",
                mend="run it again where every stage has its model and its time",
            )
        rows_by_query(result)
        _check_not_zero(result, measures, str(path))
    head = {
        "format": FORMAT,
        "made_at": max(result.made_at for result in results),
        "system": asdict(results[0].system),
        "measures": list(measures),
    }
    text = json.dumps(head, ensure_ascii=False)[:-1]
    parts = ",\n".join(_collection_text(result, measures) for result in results)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{text},\n"collections": [\n{parts}\n]}}\n', "utf-8")


def read_baseline(path: Path) -> Baseline:
    """Read the file. Raises InputError if it is missing, damaged, of another format, or if all
    values of a collection are 0.
    """
    mend = "make one with `dateline eval gate RUNS --baseline FILE --write`"
    if not path.is_file():
        raise InputError("there is no baseline", where=str(path), mend=mend)
    try:
        tree = json.loads(path.read_bytes())
        if tree["format"] != FORMAT:
            what = f"its format is {tree['format']}, not {FORMAT}"
            raise InputError(what, where=str(path), mend=mend)
        measures = tuple(str(name) for name in tree["measures"])
        system = System(**tree["system"])
        made_at = str(tree["made_at"])
        results = tuple(_result(each, measures, system, made_at) for each in tree["collections"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"can't be read: {error}", where=str(path), mend=mend) from error
    if not results or not measures:
        raise InputError("it has no collection or no measure", where=str(path), mend=mend)
    for result in by_collection(results, str(path)).values():
        for measure in measures:
            checked_values(result, measure)
        _check_not_zero(result, measures, str(path))
    return Baseline(results, measures)


def rounded(result: RunResult) -> RunResult:
    """Return the result with its values rounded as in a baseline."""
    rows = tuple(
        replace(row, values={name: _round(value) for name, value in row.values.items()})
        for row in result.rows
    )
    return replace(result, rows=rows)


def _round(value: float | None) -> float:
    # A result's file has null for a value that is not a number; whoever uses the value refuses it.
    return float("nan") if value is None else round(value, DECIMALS)


def _check_not_zero(result: RunResult, measures: Sequence[str], where: str) -> None:
    """Raise InputError if every value of the collection is 0: nothing can fall below that."""
    if not any(checked_values(result, measure).any() for measure in measures):
        raise InputError(
            f"every value of {result.collection.label} is 0, so nothing could ever get worse",
            where=where,
            mend="see why its queries find nothing relevant, then write the baseline again",
        )


def _collection_text(result: RunResult, measures: Sequence[str]) -> str:
    columns = [checked_values(result, measure) for measure in measures]
    head = {
        "collection": asdict(result.collection),
        "depth": result.depth,
        "refused": [row.query_id for row in result.rows if row.refused],
    }
    lines = ",\n".join(
        f"{json.dumps(row.query_id, ensure_ascii=False)}: "
        f"{json.dumps([round(float(column[place]), DECIMALS) for column in columns])}"
        for place, row in enumerate(result.rows)
    )
    return f'{json.dumps(head, ensure_ascii=False)[:-1]}, "values": {{\n{lines}\n}}}}'


def _result(
    tree: Mapping[str, Any], measures: Sequence[str], system: System, made_at: str
) -> RunResult:
    refused = frozenset(tree["refused"])
    rows = tuple(
        QueryRow(
            query_id=query,
            text="",
            values=dict(zip(measures, map(float, values), strict=True)),
            documents=(),
            milliseconds=0.0,
            refused="in the baseline" if query in refused else "",
        )
        for query, values in tree["values"].items()
    )
    return RunResult(Collection(**tree["collection"]), system, rows, int(tree["depth"]), made_at)
