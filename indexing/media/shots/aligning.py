"""Matches the lines of a supplied shot list with detected shots."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace

from core.items import Shot
from indexing.media.shots.shot_lists import ListedShot
from indexing.media.shots.timecodes import timecode

_SHARE = 0.5  # the share of the shot or of the line that must overlap
_LONGEST = 4_000  # characters of one shot's description
_MOST_PAIRS = (
    200_000  # pairs of a line and a shot: many long lines over many shots are not a shot list
)


def aligned(
    shots: Sequence[Shot], lines: Sequence[ListedShot], rate: float
) -> tuple[tuple[Shot, ...], str]:
    """Return the shots with the agency's descriptions, and the lines that describe none of them as
    a text.

    A line describes each shot of which it covers half, and each shot that half of the line lies in;
    if there is none, the one that it overlaps most. Lines without times are taken in order if they
    are as many as the shots. If no shots were detected, the lines with times are the shots, with
    frames counted at `rate` a second.
    """
    if lines and all(line.start_s < 0 for line in lines) and len(lines) == len(shots):
        both = zip(shots, lines, strict=True)
        return tuple(replace(shot, description=line.description) for shot, line in both), ""
    timed = sorted((line for line in lines if line.start_s >= 0), key=lambda line: line.start_s)
    rest = [line for line in lines if line.start_s < 0]
    if not shots:
        made, loose = _as_shots(timed, rate)
        return made, _told([*rest, *loose])
    said, loose = _said(shots, timed)
    described = tuple(
        replace(shot, description=" / ".join(dict.fromkeys(words))[:_LONGEST], described_by="")
        if words
        else shot
        for shot, words in zip(shots, said, strict=True)
    )
    return described, _told([*rest, *loose])


def _said(
    shots: Sequence[Shot], lines: Sequence[ListedShot]
) -> tuple[list[list[str]], list[ListedShot]]:
    """Return the descriptions of each shot by the lines with times, and the lines that describe
    none.
    """
    said: list[list[str]] = [[] for _ in shots]
    loose: list[ListedShot] = []
    starts, ends = [shot.start_s for shot in shots], [shot.end_s for shot in shots]
    pairs = 0
    for line in lines:
        # A moment belongs to the shot that begins there, not to one that ends there.
        first = bisect_right(ends, line.start_s)
        last = bisect_left(starts, line.end_s) if line.end_s > line.start_s else first + 1
        among = range(first, min(last, len(shots), first + _MOST_PAIRS - pairs))
        places = _described(shots, among, line)
        for place in places:
            said[place].append(line.description)
        pairs += len(places)
        if not places:
            loose.append(line)
    return said, loose


def _described(shots: Sequence[Shot], among: range, line: ListedShot) -> list[int]:
    """Return the places of the shots that a line describes; `among` are those that it overlaps."""
    shared = {n: _shared(shots[n], line) for n in among}
    length = line.end_s - line.start_s
    found = [
        n
        for n, common in shared.items()
        if common >= _SHARE * min(length, shots[n].end_s - shots[n].start_s)
    ]
    if found or not shared:
        return found
    return [max(shared, key=lambda n: shared[n])]


def _shared(shot: Shot, line: ListedShot) -> float:
    return min(shot.end_s, line.end_s) - max(shot.start_s, line.start_s)


def _as_shots(
    lines: Sequence[ListedShot], rate: float
) -> tuple[tuple[Shot, ...], list[ListedShot]]:
    """Return lines with times as shots without overlaps, and the lines that have no time left."""
    found: list[Shot] = []
    loose: list[ListedShot] = []
    for line in lines:
        start = max(line.start_s, found[-1].end_s if found else 0.0)
        if line.end_s <= start:
            loose.append(line)
            continue
        first, last = round(start * rate), max(round(start * rate), round(line.end_s * rate) - 1)
        kind = "cut" if found else "start"
        middle = (start + line.end_s) / 2
        found.append(
            Shot(start, line.end_s, first, last, kind, line.description, keyframe_s=middle)
        )
    return tuple(found), loose


def _told(lines: Sequence[ListedShot]) -> str:
    """Return the lines as a text, a line each, with their times if they have some."""
    return "\n".join(
        f"{timecode(line.start_s)} {line.description}" if line.start_s >= 0 else line.description
        for line in lines
    )
