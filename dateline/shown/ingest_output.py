"""The results of an ingest of documents, for people."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import orjson

from dateline.commands.options import EXIT_REFUSED, console, errors, escape, show_error
from indexing.formats.advice import advice_for
from indexing.report import WITHOUT_PRODUCT, IngestReport
from indexing.sources import Reading, Rejected, Sources

_SHOWN = 20
_TRIED = 5  # documents of a dry run
_KINDS_SHOWN = 8
_COUNTED = (
    *("read", "created", "superseded", "updated", "unchanged", "stale", "conflict", "rejected"),
    "passages",
)


def show_report(report: IngestReport) -> None:
    """Print the counts, the skipped files, the doubts, and the first refusals."""
    figures = report.as_dict()
    rate = f"{figures['seconds']:.1f} s, {figures['passages_per_second']:,.0f} passages/s"
    console.print(f"{counts(figures)} in {rate}")
    if not report.read and not report.interrupted and report.stopped_by is None:
        what = "no document, photo or video is there"
        _note(f"{what}, or none of this shard's")
    show_passed_over(report.ignored)
    for what, count in figures["warnings"].items():
        _note(_without_product(count) if what == WITHOUT_PRODUCT else f"{count:,} x {what}")
    if figures["unknown_members"]:
        names = ", ".join(f"{name} ({n:,})" for name, n in figures["unknown_members"].items())
        console.print(f"  kept, not part of ninjs: {escape(names)}")
    _show_refused([*figures["rejections"], *figures["refused"]])
    if report.interrupted:
        errors.print("interrupted; everything counted as written is kept")
    if report.stopped_by is not None:
        show_error(report.stopped_by)


def show_first(sources: Sources, *, as_json: bool) -> int:
    """Print what the first documents become; return the exit code: 1 if one of them is rejected."""
    first = [_tried(reading) for reading in islice(sources, _TRIED)]
    if as_json:
        tree = {"documents": first, "ignored_by_kind": dict(sources.ignored)}
        console.print_json(orjson.dumps(tree).decode())
    else:
        for told in first:
            _show_tried(told)
        console.print(f"{len(first)} documents tried; nothing is recorded")
        show_passed_over(sources.ignored)
    return EXIT_REFUSED if any("reason" in told for told in first) else 0


def _tried(reading: Reading) -> dict[str, Any]:
    place = {"file": reading.file, "line": reading.line}
    if isinstance(reading, Rejected):
        return {**place, "field": reading.field, "reason": reading.reason}
    notes = {"warnings": list(reading.warnings)} if reading.warnings else {}
    unknown = {"unknown": list(reading.unknown)} if reading.unknown else {}
    return {**place, **notes, **unknown, "ninjs": reading.item.source}


def _show_tried(told: Mapping[str, Any]) -> None:
    place = f"{told['file']}:{told['line']}"
    if "reason" in told:
        _show_refused([dict(told)])
        return
    console.print(escape(place))
    console.print_json(orjson.dumps(told["ninjs"]).decode())
    for what in told.get("warnings", ()):
        _note(what)
    for name in told.get("unknown", ()):
        _note(f"kept, not part of ninjs: {name}")


def show_passed_over(ignored: Mapping[str, int]) -> None:
    """Print how many files were passed over, if any, by kind, and how to convert them."""
    if not ignored:
        return
    _note(_passed_over(ignored))
    kinds_of: dict[str, list[str]] = {}
    for kind, how in advice_for(ignored).items():
        kinds_of.setdefault(how, []).append(kind)
    for how, kinds in kinds_of.items():
        console.print(f"    {escape(', '.join(kinds[:_KINDS_SHOWN]))}: {escape(how)}")


def counts(figures: Mapping[str, Any]) -> str:
    """Return the counts that are not 0, in a line."""
    names = (name for name in _COUNTED if figures[name] or name == "read")
    return ", ".join(f"{figures[name]:,} {name}" for name in names)


def show_media_without_product() -> None:
    """Print a note on the error stream before photos and videos that may belong to no product."""
    what = (
        "nobody will find photos and videos that name no product: use --products CODE, or set "
        "default_products"
    )
    errors.print(f"[yellow]note:[/] {what}")


def _note(what: str) -> None:
    console.print(f"  [yellow]note:[/] {escape(what)}")


def _passed_over(ignored: Mapping[str, int]) -> str:
    """Return how many files of each kind were passed over, the most frequent kinds first."""
    kinds = sorted(ignored.items(), key=lambda kind: (-kind[1], kind[0]))
    named = ", ".join(f"{count:,} {kind}" for kind, count in kinds[:_KINDS_SHOWN])
    more = ", …" if len(kinds) > _KINDS_SHOWN else ""
    return f"passed over, by kind of file: {named}{more}"


def _without_product(count: int) -> str:
    return (
        f"{count:,} documents belong to no product, so nobody will find them: ingest them again "
        "with --products CODE, or set default_products"
    )


def _show_refused(rows: list[dict[str, Any]]) -> None:
    for row in rows[:_SHOWN]:
        told = ", ".join(f"{key} {value}" for key, value in row.items() if value not in ("", None))
        errors.print(f"  [red]refused:[/] {escape(told)}")
    if len(rows) > _SHOWN:
        errors.print(f"  … and {len(rows) - _SHOWN:,} more; --json lists up to 1,000")
