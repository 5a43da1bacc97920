"""`dateline shots`: the shots of a file or of a live source, with timecodes and transitions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.progress import Progress

from core.errors import InputError, MediaError
from core.media import FrameBatch, Gap, MediaFacts, MediaKind, Still
from dateline.build.media.shots import ShotFinding, opened_finding
from dateline.commands.options import (
    AsJson,
    Away,
    Grown,
    Hosts,
    Models,
    Stall,
    Stride,
    reported,
    settings_for,
)
from dateline.shown.progress import progress_bar
from dateline.shown.shots_output import Found, print_json, print_live, print_notes, print_table
from indexing.media.cage.sources import LiveSource
from indexing.media.shots import contact_sheet
from indexing.media.shots.live import LiveSettings, Patience, chosen_source
from indexing.media.shots.stills import moments_of

_STILL_EDGE = 320
_HOLDS = {MediaKind.PICTURE: "a picture", MediaKind.AUDIO: "sound only"}
_UNKNOWN = MediaFacts(MediaKind.VIDEO, "", "", 0, 0)


def shots(
    source: Annotated[
        str,
        typer.Argument(
            help="A video file; with --live also - for a pipe, a named pipe, a file that grows, or "
            "a stream's rtsp, rtmp, http or https address."
        ),
    ],
    live: Annotated[
        bool, typer.Option("--live", help="Print each shot as soon as it is known, and go on.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(help="Write a contact sheet, an HTML page in one file, here.")
    ] = None,
    as_json: AsJson = False,
    stride: Stride = None,
    stall: Stall = 5.0,
    away: Away = 600.0,
    grown: Grown = 10.0,
    host: Hosts = None,
    models: Models = None,
) -> None:
    """Find the shots of a video: when each begins and ends, and the transitions between them.

    Times are of presentation, from the first frame.

    What could not be read is said on the error stream, and in JSON as gaps and notes.
    """
    with reported():
        if html is not None:
            contact_sheet.need_packages()
            _check_place(html)
        with opened_finding(settings_for(models=models, shot_stride=stride)) as finding:
            if live:
                patience = Patience(stall_s=stall, away_s=away, grown_s=grown)
                chosen = chosen_source(source, patience, tuple(host or ()))
                _follow(finding, chosen, html, as_json=as_json)
            else:
                _read(finding, source, html, as_json=as_json)


def _check_place(html: Path) -> None:
    """Check that the output can be written, before the long work."""
    if html.is_dir() or not html.resolve().parent.is_dir():
        raise InputError("no page can be written there", where=str(html), mend="name a file")


def _read(finding: ShotFinding, source: str, html: Path | None, *, as_json: bool) -> None:
    """Find the shots of a file, from its beginning to its end."""
    path = _file(source)
    facts = finding.reader.probe(path)
    if facts.kind is not MediaKind.VIDEO:
        raise MediaError(
            f"there is no video in it: it holds {_HOLDS[facts.kind]} ({facts.mimetype})",
            where=source,
            mend="name a video",
        )
    found = Found(notes=list(facts.notes))
    stream = finding.reader.frames(path)
    with progress_bar() as progress:
        for item in finding.found(_watched(stream, progress, facts.duration_s)):
            found.add(item)
    found.notes.extend(note for note in stream.notes if note not in found.notes)
    if not found.shots:
        raise MediaError("no frame of it could be read", where=source, mend="; ".join(found.told()))
    if html is not None:
        _write_sheet(finding, source, path, found, html)
    if as_json:
        print_json(source, facts, found)
    else:
        print_table(found)


def _follow(
    finding: ShotFinding,
    chosen: tuple[LiveSource, LiveSettings],
    html: Path | None,
    *,
    as_json: bool,
) -> None:
    """Print each shot of a live source at once. Write the page at the end, however that comes."""
    found = Found()
    try:
        for item in finding.followed(*chosen, found.notes):
            found.add(item)
            print_live(len(found.shots), item, as_json=as_json)
    except KeyboardInterrupt:
        found.notes.append("interrupted")
    finally:
        print_notes(found.notes)
        if html is not None and found.shots:
            _write_sheet(finding, chosen[0].name, chosen[0].path, found, html)


def _file(source: str) -> Path:
    if source == "-" or "://" in source:
        shown = source.rpartition("@")[2]  # without a password before the host
        raise InputError(
            "only a file is read to its end", where=shown, mend="add --live for a live source"
        )
    return Path(source)


def _watched(
    items: Iterable[FrameBatch | Gap], progress: Progress, duration_s: float
) -> Iterator[FrameBatch | Gap]:
    """Yield the items; a bar shows the second that they are at."""
    task = progress.add_task("shots", total=duration_s or None, rate="")
    started, frames = monotonic(), 0
    for item in items:
        if isinstance(item, FrameBatch):
            frames += len(item.seconds)
            rate = frames / max(1e-9, monotonic() - started)
            said = f"{frames:,} frames, {rate:,.0f}/s"
            progress.update(task, completed=float(item.seconds[-1]), rate=said)
        yield item
    progress.update(task, completed=duration_s)


def _write_sheet(
    finding: ShotFinding, source: str, path: Path | None, found: Found, html: Path
) -> None:
    """Write the contact sheet; a file has a still of each shot."""
    if path is not None and path.is_file():
        facts, stills = finding.reader.probe(path), _stills(finding, path, found)
    else:
        facts, stills = _UNKNOWN, [None] * len(found.shots)
        found.notes.append("stills can't be taken from what has gone by")
    sheet = contact_sheet.Sheet(
        title=path.name if path is not None else source,
        facts=facts,
        shots=found.shots,
        stills=stills,
        notes=found.told(),
        made=f"shots by {finding.model}",
    )
    html.write_text(contact_sheet.contact_sheet(sheet), "utf-8")


def _stills(finding: ShotFinding, path: Path, found: Found) -> list[Still | None]:
    shown = found.shots[: contact_sheet.MOST_STILLS]
    stills: list[Still | None] = []
    try:
        stills.extend(
            finding.reader.stills(path, [moments_of(shot) for shot in shown], _STILL_EDGE)
        )
    except MediaError as error:
        found.notes.append(f"no stills: {error.what}")
    if len(shown) < len(found.shots):
        found.notes.append(f"stills are of the first {len(shown):,} shots")
    return [*stills, *[None] * (len(found.shots) - len(stills))]
