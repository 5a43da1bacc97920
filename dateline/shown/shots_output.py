"""The output of `dateline shots`: a table, JSON, and lines of a live source as they come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import typer
from rich.table import Table

from core.media import Gap, MediaFacts, ShotBounds
from dateline.commands.options import console, errors, escape
from indexing.media.shots.timecodes import timecode

NAMED = {"start": "start", "cut": "cut", "gradual": "gradual", "gap": "after a gap"}


@dataclass(slots=True)
class Found:
    """The shots found so far, and what could not be read."""

    shots: list[ShotBounds] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, item: ShotBounds | Gap) -> None:
        """Add a shot or a gap."""
        if isinstance(item, Gap):
            self.gaps.append(item)
        else:
            self.shots.append(item)

    def told(self) -> list[str]:
        """Return gaps and notes for a person."""
        return [*(gap_said(gap) for gap in self.gaps), *self.notes]


def print_json(source: str, facts: MediaFacts, found: Found) -> None:
    """Print everything as one object."""
    told = {
        "source": source,
        "shots": [shot_json(shot) for shot in found.shots],
        "gaps": [gap_json(gap) for gap in found.gaps],
        "facts": facts_json(facts),
        "notes": found.notes,
    }
    typer.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))


def print_table(found: Found) -> None:
    """Print a line for each shot, whatever the terminal's width."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("shot", "from", "to", "seconds", "frames", "begins with"):
        table.add_column(name, justify="left" if name == "begins with" else "right", no_wrap=True)
    for number, shot in enumerate(found.shots, 1):
        table.add_row(str(number), *_cells(shot))
    if found.shots:
        console.print(table)
    print_notes(found.told())


def print_notes(notes: Iterable[str]) -> None:
    """Print, on the error stream, the parts that could not be read."""
    for note in notes:
        errors.print(f"[yellow]note:[/] {escape(note)}", highlight=False)


def print_live(number: int, item: ShotBounds | Gap, *, as_json: bool) -> None:
    """Print a shot or a gap of a live source at once: a line of JSON, or a row."""
    if as_json:
        told = {"gap": gap_json(item)} if isinstance(item, Gap) else shot_json(item)
        typer.echo(orjson.dumps(told))
    elif isinstance(item, Gap):
        print_notes([gap_said(item)])
    else:
        start, end, length, frames, begins = _cells(item)
        typer.echo(f"{number:>5}  {start}  {end}  {length:>9}  {frames:>15}  {begins}")


def shot_json(shot: ShotBounds) -> dict[str, Any]:
    """Return a shot's members; times are in seconds, to the microsecond."""
    return {
        "start_s": round(shot.start_s, 6),
        "end_s": round(shot.end_s, 6),
        "start_frame": shot.start_frame,
        "end_frame": shot.end_frame,
        "transition": shot.transition.value,
    }


def gap_json(gap: Gap) -> dict[str, Any]:
    """Return a gap's members."""
    start, end = round(gap.start_s, 6), round(gap.end_s, 6)
    return {"start_s": start, "end_s": end, "reason": gap.reason}


def gap_said(gap: Gap) -> str:
    """Return a gap in words."""
    if gap.end_s > gap.start_s:
        return f"{timecode(gap.start_s)} to {timecode(gap.end_s)}: {gap.reason}"
    return f"at {timecode(gap.start_s)}: {gap.reason}"


def facts_json(facts: MediaFacts) -> dict[str, Any]:
    """Return the header's facts, without the embedded metadata."""
    return {
        "kind": facts.kind.value,
        "mimetype": facts.mimetype,
        "codec": facts.codec,
        "width": facts.width,
        "height": facts.height,
        "rotation": facts.rotation,
        "duration_s": facts.duration_s,
        "frame_rate": facts.frame_rate,
    }


def _cells(shot: ShotBounds) -> Sequence[str]:
    return (
        timecode(shot.start_s),
        timecode(shot.end_s),
        f"{shot.end_s - shot.start_s:,.2f}",
        f"{shot.start_frame:,}–{shot.end_frame:,}",
        NAMED[shot.transition.value],
    )
