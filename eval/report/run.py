"""The page of one or more results: how good, for whom, how fast, and under which conditions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from core.errors import InputError
from eval.compare.outcomes import MOST_VALUES, Places, slices
from eval.compare.significance import bootstrap_interval
from eval.report.page import draw_page
from eval.report.parts import (
    Cell,
    Part,
    Section,
    Table,
    count,
    facts_of,
    number,
    said,
    sentences,
    word,
)
from eval.report.plots import Floats64, Point, distribution, quality_against_latency
from eval.report.texts import milliseconds, shown
from eval.runs.results import QueryRow, RunResult

MAIN = "nDCG@10"
_DRAWS = 4000  # draws of a bootstrap on a page; the third digit does not change
_WORST = 20
_DOCUMENTS = 5  # documents shown of a worst query's answer


def run_page(results: Sequence[RunResult]) -> str:
    """Return an HTML file about these results, in order. Raises InputError without results, or if
    one has no queries.
    """
    if not results:
        raise InputError("there is no result to report", mend="name at least one folder")
    for result in results:
        if not result.rows:
            raise InputError("a result has no queries", where=result.collection.label)
    sections = [Section("Overview", _overview(results))]
    sections += [Section(_name(result, results), _details(result)) for result in results]
    systems = sorted({result.system.name for result in results})
    collections = sorted({result.collection.label for result in results})
    title = f"{_some(systems, 'systems')} on {_some(collections, 'collections')}"
    queries = sum(len(result.rows) for result in results)
    summary = f"{queries:,} judged queries. A judged query without an answer counts 0."
    return draw_page(title, summary, sections, _made(results))


def main_measure(result: RunResult) -> str:
    """Return nDCG@10 if it was measured, else the first measure."""
    return MAIN if MAIN in result.measures else result.measures[0]


def mean_interval(values: Floats64) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean of `values` [queries]; NaN below two
    queries.
    """
    if len(values) < 2:
        return (float("nan"), float("nan"))
    return bootstrap_interval([values], draws=_DRAWS)


def latency_point(result: RunResult, name: str) -> Point:
    """Return a result's point in the plot of quality against latency."""
    values = result.values(main_measure(result))
    p50, p95 = result.milliseconds(50), result.milliseconds(95)
    return Point(name, p50, float(values.mean()), *mean_interval(values), until=p95)


def provenance(result: RunResult) -> dict[str, object]:
    """Return the facts that a reader needs to make the result again, by name."""
    system, asked = result.system, result.collection
    settings = {f"setting {name}": value for name, value in sorted(system.settings.items())}
    models = {f"model {role}": digest for role, digest in sorted(system.models.items())}
    return {
        "system": system.name,
        "profile": system.profile,
        "version": system.version,
        "ran": system.place,
        "made": result.made_at,
        **settings,
        **models,
        "index": system.index,
        "collection": asked.label,
        "documents": asked.documents,
        "queries": asked.queries,
        "depth": result.depth,
        "documents, sha256": asked.corpus_sha256,
        "judgements, sha256": asked.judgements_sha256,
    }


def _overview(results: Sequence[RunResult]) -> tuple[Part, ...]:
    measures = tuple(dict.fromkeys(name for result in results for name in result.measures))
    head = ("collection", "system", "queries", *measures, "p50 ms", "p95 ms", "p99 ms")
    rows = [_overview_row(result, measures) for result in results]
    note = "Below each mean stands its 95 % bootstrap interval over queries. "
    note += "Degraded are queries for which a stage was skipped; unjudged is the share of what "
    note += "was served that has no judgement."
    flags = ("degraded", "refused", "unjudged %")
    table = Table((*head, *flags), tuple(rows), "Means by collection", note)
    points = [latency_point(result, _name(result, results)) for result in results]
    return (table, quality_against_latency(points, main_measure(results[0])))


def _overview_row(result: RunResult, measures: Sequence[str]) -> tuple[Cell, ...]:
    def mean(measure: str) -> Cell:
        if measure not in result.measures:
            return number(float("nan"))
        values = result.values(measure)
        return number(float(values.mean()), 4, mean_interval(values))

    times = [result.milliseconds(percentile) for percentile in (50, 95, 99)]
    return (
        word(result.collection.label),
        word(result.system.name, detail=result.system.profile),
        count(len(result.rows)),
        *(mean(measure) for measure in measures),
        *(said(value, milliseconds(value)) for value in times),
        *flag_cells(result),
    )


def flag_cells(result: RunResult) -> tuple[Cell, Cell, Cell]:
    """Return the degraded and refused queries, and the share of served documents without a
    judgement.
    """
    served = sum(len(row.documents) for row in result.rows)
    unjudged = sum(row.unjudged for row in result.rows)
    share = 100 * unjudged / served if served else float("nan")
    return (
        count(sum(bool(row.degraded) for row in result.rows), "doubt"),
        count(sum(bool(row.refused) for row in result.rows), "bad"),
        number(share, 1),
    )


def _details(result: RunResult) -> tuple[Part, ...]:
    measure = main_measure(result)
    name = f"{result.system.name} on {result.collection.label}"
    return (
        *sentences((*result.notes, *_doubts(result)), "Notes", "doubt"),
        *_slices(result),
        distribution(result.values(measure), measure, name),
        _worst(result, measure),
        facts_of(provenance(result), "How this was made", folded=True),
    )


def _doubts(result: RunResult) -> tuple[str, ...]:
    """Return the flags of this result, as sentences."""
    stages = Counter(stage for row in result.rows for stage in row.degraded)
    reasons = Counter(row.refused for row in result.rows if row.refused)
    lines = [f"Answered without a stage ({many:,}): {stage}" for stage, many in stages.items()]
    lines += [f"Refused ({many:,}): {reason}" for reason, many in reasons.most_common(5)]
    if len(reasons) > 5:
        lines.append(f"{len(reasons) - 5:,} more reasons for refusals.")
    silent = sum(not row.documents and not row.refused for row in result.rows)
    if silent:
        lines.append(f"No documents ({silent:,}): these queries count 0.")
    if len(result.rows) < 2:
        lines.append("One query has no interval: nothing follows for others.")
    return tuple(lines)


def _slices(result: RunResult) -> tuple[Table, ...]:
    rows = [
        (word(name), *_slice_cells(result, chosen)) for name, chosen in slices([result]).items()
    ]
    if not rows:
        return ()
    note = "A slice of few queries has a wide interval: a low mean in it may be chance. "
    note += f"Facets with more than {MOST_VALUES} values are left out."
    return (Table(("slice", "n", *result.measures), tuple(rows), "Slices", note),)


def _slice_cells(result: RunResult, chosen: Places) -> list[Cell]:
    cells = [count(len(chosen))]
    for measure in result.measures:
        values = result.values(measure)[chosen]
        cells.append(number(float(values.mean()), 4, mean_interval(values)))
    return cells


def _worst(result: RunResult, measure: str) -> Table:
    """Return the queries with the lowest values; among equals the slowest first."""
    rows = sorted(result.rows, key=lambda row: (row.values[measure], -row.milliseconds))
    cells = [_worst_row(row, measure) for row in rows[:_WORST]]
    head = ("query", measure, "ms", "unjudged", f"first {_DOCUMENTS} documents", "flags")
    return Table(head, tuple(cells), f"Worst queries by {measure}")


def _worst_row(row: QueryRow, measure: str) -> tuple[Cell, ...]:
    documents = ", ".join(shown(name, 60) for name in row.documents[:_DOCUMENTS])
    flags = ", ".join((*row.degraded, *([row.refused] if row.refused else [])))
    return (
        word(row.text, detail=row.query_id),
        number(row.values[measure]),
        said(row.milliseconds, milliseconds(row.milliseconds)),
        count(row.unjudged),
        word(documents),
        word(flags, "doubt" if flags else ""),
    )


def _name(result: RunResult, others: Sequence[RunResult]) -> str:
    """Return the name that distinguishes the result from the others."""
    if len({other.system.name for other in others}) == 1:
        return result.collection.label
    if len({other.collection.label for other in others}) == 1:
        return result.system.name
    return f"{result.collection.label}, {result.system.name}"


def _some(names: Sequence[str], kind: str) -> str:
    return shown(names[0], 60) if len(names) == 1 else f"{len(names)} {kind}"


def _made(results: Sequence[RunResult]) -> str:
    times = sorted(result.made_at for result in results)
    versions = sorted({result.system.version for result in results if result.system.version})
    when = times[0] if times[0] == times[-1] else f"{times[0]} to {times[-1]}"
    return f"Measured {when}" + (f" by version {', '.join(versions)}" if versions else "")
