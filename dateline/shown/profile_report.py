"""A profile as tables, and as a tree for machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Literal

from rich.table import Table

from inference.measuring.machine import MachineLimits
from inference.measuring.model_profile import ModelProfile, Opportunity

Row = tuple[str, ...]

GROUP_HEAD = ("part", "calls", "µs", "share", "GFLOP", "GFLOP/s", "MB", "GB/s", "least µs")
PLACE_HEAD = ("place", "operator", "calls", "µs", "share", "GFLOP/s", "GB/s", "least µs")
_PLACE, _OPERATOR, _TERMINAL = 22, 14, 80  # characters that names get in a terminal of 80


def group_rows(profile: ModelProfile) -> Iterator[Row]:
    """Return a row for each group, with the columns of GROUP_HEAD."""
    for each in profile.groups():
        yield (
            str(each.group),
            f"{each.calls:,}",
            f"{each.seconds * 1e6:,.0f}",
            f"{each.share:.1%}",
            f"{each.operations / 1e9:.3f}" if each.operations else "",
            f"{each.gflop_per_s:,.1f}" if each.operations else "",
            f"{each.bytes / 1e6:,.1f}" if each.bytes else "",
            f"{each.gb_per_s:,.1f}" if each.bytes else "",
            f"{each.bound * 1e6:,.0f}" if each.bound else "",
        )


def place_rows(profile: ModelProfile, least: float = 0.0) -> Iterator[Row]:
    """Yield a row for each operator, layers added up, with the columns of PLACE_HEAD; operators
    with less than the share `least` of the time are one row together.
    """
    small = [each for each in profile.operators if each.seconds < least * profile.total]
    for each in profile.operators[: len(profile.operators) - len(small)]:
        yield (
            each.place,
            each.kind,
            f"{each.calls:,}",
            f"{each.seconds * 1e6:,.1f}",
            f"{each.seconds / profile.total:.1%}",
            f"{each.work.operations / each.seconds / 1e9:,.1f}",
            f"{each.work.bytes / each.seconds / 1e9:,.1f}",
            f"{each.bound * 1e6:,.1f}",
        )
    if small:
        seconds = sum(each.seconds for each in small)
        calls = sum(each.calls for each in small)
        share = f"{seconds / profile.total:.1%}"
        yield (f"{len(small)} others", "", f"{calls:,}", f"{seconds * 1e6:,.1f}", share, "", "", "")


def heading(profile: ModelProfile) -> str:
    """Return the shape and the totals in two lines."""
    batches = "1 batch" if profile.batches == 1 else f"{profile.batches} batches"
    return (
        f"{profile.model}, {profile.shape} tokens in {batches}: "
        f"{profile.total * 1e3:,.3f} ms, one thread\n"
        f"graph {profile.graph * 1e3:,.3f} ms; the profiler adds {profile.overhead:.0%} to it, "
        f"which is not in the figures; {profile.rounds} rounds, the faster half counts"
    )


def machine_line(limits: MachineLimits) -> str:
    """Return what the machine can do, in one line."""
    blocks = ", ".join(
        f"{speed / 1e9:.0f} for {size / 2**20:g} MiB" for size, speed in limits.memory
    )
    return (
        f"measured on one thread: int8 {limits.int8 / 1e9:,.0f} and float32 "
        f"{limits.float32 / 1e9:,.0f} GFLOP/s; memory in GB/s: {blocks}"
    )


def opportunity_line(found: Opportunity) -> str:
    """Return one opportunity as a sentence."""
    if not found.bound:
        return f"{found.place}: {found.share:.0%} of the time, and nothing that needs it"
    times = found.seconds / found.bound
    return (
        f"{found.place}: {found.share:.0%} of the time, {times:,.1f} times its bound; "
        f"at its bound the whole would take {found.saving:.0%} less"
    )


def table_of(head: Row, rows: Iterator[Row], width: int) -> Table:
    """Return a table for a terminal of `width` characters; it cuts names, never numbers."""
    spare = max(0, width - _TERMINAL) // 2
    widest = {"place": _PLACE + spare, "operator": _OPERATOR + spare}
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.header_style = "bold"
    for number, name in enumerate(head):
        justify: Literal["left", "right"] = "right" if number and name != "operator" else "left"
        table.add_column(name, justify=justify, no_wrap=True, max_width=widest.get(name))
    for row in rows:
        table.add_row(*row)
    return table


def as_tree(profile: ModelProfile) -> dict[str, Any]:
    """Return everything measured, in seconds and bytes, as values for JSON."""
    return {
        **asdict(profile),
        "shape": profile.shape,
        "profiler_overhead": profile.overhead,
        "groups": [asdict(each) for each in profile.groups()],
        "opportunities": [asdict(each) for each in profile.opportunities()],
    }
