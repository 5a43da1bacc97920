"""The page of the race, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from benchmarks.machine import Machine
from benchmarks.race.sums import Row
from benchmarks.race.systems import NOT_HERE, System
from eval.sets.judged import JudgedSet

_HEAD = """# The race

Dateline and other systems answer the same judged queries, on one machine, in one run. `make
race` writes this page whole, with its figure; don't edit it. `make race RACE=--short` is the
short form: one set, one round, no page.

Every system gets the same documents, and the same vectors of documents and queries:
all-MiniLM-L6-v2 by our encoder, one vector a document (its first 256 tokens). So encoding is in
no figure: a query's takes {encode:.1f} ms here (p50), which every system needs beside what the
table says. Each system runs in a process of its own, in an environment of its own with pinned
versions; servers have their own process and are asked over HTTP through one connection for each
client.

- Quality is nDCG@10 by `dateline eval`'s own measure over all judged queries of a set.
- Before anything is timed, each query is asked once. Then the systems take turns, {rounds} of
  {queries} queries at most of each set, with 1 client and with 8 threads; rates and
  percentiles are over all of them.
- `processor` is the time of processors that a query takes with one client, in all processes of a
  system together.
- Memory is resident, at the end of the largest set: of the process that asks and holds the
  library, and of the server.
- Ingest is from texts and vectors in memory until all documents can be found; over HTTP it
  includes the start of a process.
- `as ours` is the share of the first row's ten hits that a system has too.

**What is not equal.** Dateline's answer is a page: hits with contents and marked words, grouped
by story, after the guard's look at the record; the others return ids, and none of them has
entitlements, kills or embargoes. Its process also holds the encoder. Its record is durable and
is counted in ingest and disk.
"""


_LEAST = 1e-3
# What the rows are compared by, and whether more is better.
_COMPARED: Sequence[tuple[str, Callable[[Row], float], bool]] = (
    ("quality", lambda row: row.mean_quality, True),
    ("queries a second, 1 client", lambda row: row.per_second[1], True),
    ("queries a second, 8 clients", lambda row: row.per_second[8], True),
    ("p99 with 1 client", lambda row: row.p99_ms[1], False),
    ("processor time of a query", lambda row: row.processor_ms, False),
    ("memory", lambda row: row.own_mb + row.server_mb, False),
    ("ingest", lambda row: row.documents_per_s, True),
)


@dataclass(frozen=True, slots=True)
class Told:
    """What the page says beside the rows: the run, versions by system, and who was missing why."""

    made: date
    machine: Machine
    sets: Sequence[JudgedSet]
    rounds: int
    queries: int
    encode_ms: float
    versions: Mapping[str, Mapping[str, str]]
    missing: Mapping[str, str]


def page(rows: Mapping[str, Row], systems: Iterable[System], told: Told) -> str:
    """Return the page."""
    rounds = "1 round" if told.rounds == 1 else f"{told.rounds} rounds"
    head = _HEAD.format(encode=told.encode_ms, rounds=rounds, queries=told.queries)
    parts = [head, _outcome(rows, told), _behind(rows), _quality(rows, told.sets)]
    parts.append(_fusions(rows, systems, told))
    parts += [_absent(told.missing)] if told.missing or NOT_HERE else []
    return "\n".join(parts)


def _outcome(rows: Mapping[str, Row], told: Told) -> str:
    counts = [*next(iter(rows.values())).per_second]
    head = ["system", "nDCG@10"]
    for count in counts:
        who = "1 client" if count == 1 else f"{count} clients"
        head += [f"queries/s, {who}", "p50 ms", "p99 ms"]
    head += ["processor ms", "memory MB, server", "ingest documents/s", "disk KB a document"]
    lines = [_cells([name, *_figures(row, counts)]) for name, row in rows.items()]
    sizes = ", ".join(
        f"{one.name} ({one.documents:,} documents, {len(one.queries)} queries)" for one in told.sets
    )
    machine = str(told.machine).replace("\n", "; ")
    about = f"{told.made:%-d %B %Y}, {machine}. Sets: {sizes}."
    drawn = "![Mean nDCG@10 against queries a second, with one client and with eight](race.svg)"
    return "\n".join(["## The outcome", "", about, "", *_table(head, lines), "", drawn, ""])


def _figures(row: Row, counts: Sequence[int]) -> list[str]:
    cells = [f"{row.mean_quality:.3f}"]
    for count in counts:
        cells += [
            f"{row.per_second[count]:,.0f}",
            f"{row.p50_ms[count]:.1f}",
            f"{row.p99_ms[count]:.1f}",
        ]
    server = f"{row.server_mb:,.0f}" if row.server_mb else "none"
    cells += [f"{row.processor_ms:.1f}", f"{row.own_mb:,.0f}, {server}"]
    disk = f"{row.disk_kb:.1f}" if row.disk_kb else "keeps nothing"
    return [*cells, f"{row.documents_per_s:,.0f}", disk]


def _behind(rows: Mapping[str, Row]) -> str:
    """Return where other systems are better than the first row, each with the ratio."""
    ours, *_ = rows
    lines = []
    for what, value, higher in _COMPARED:
        own = value(rows[ours])
        ratios = {
            name: (value(row) / own if higher else own / max(value(row), _LEAST))
            for name, row in rows.items()
            if name != ours
        }
        ahead = sorted((name for name in ratios if ratios[name] > 1), key=lambda n: -ratios[n])
        said = ", ".join(f"{name} ({ratios[name]:.3g} times)" for name in ahead)
        lines.append(f"- {what}: {said or 'nobody'}.")
    about = f"What is better than {ours}, and how many times:"
    return "\n".join(["## Who is ahead of us", "", about, "", *lines, ""])


def _quality(rows: Mapping[str, Row], sets: Sequence[JudgedSet]) -> str:
    names = [one.name for one in sets]
    lines = [
        _cells([name, *(f"{row.quality[each]:.3f}" for each in names), f"{row.agreement:.2f}"])
        for name, row in rows.items()
    ]
    return "\n".join(["## nDCG@10 by set", "", *_table(["system", *names, "as ours"], lines), ""])


def _fusions(rows: Mapping[str, Row], systems: Iterable[System], told: Told) -> str:
    lines = [
        _cells([one.name, one.fuses, one.chosen, _versions(told.versions[one.name])])
        for one in systems
        if one.name in rows
    ]
    head = ["system", "what is fused", "weights chosen by", "versions"]
    return "\n".join(["## What each system fuses", "", *_table(head, lines), ""])


def _absent(missing: Mapping[str, str]) -> str:
    lines = [f"- **{name}**: {why}." for name, why in {**missing, **NOT_HERE}.items()]
    return "\n".join(["## What is not in the race", "", *lines, ""])


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _table(head: Sequence[str], lines: Sequence[str]) -> list[str]:
    return [_cells(head), f"|{'---|' * len(head)}", *lines]


def _cells(values: Iterable[str]) -> str:
    return f"| {' | '.join(values)} |"
