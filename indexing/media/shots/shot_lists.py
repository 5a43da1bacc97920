"""Shot lists by people, as lines with times in seconds.

A line is `{start, end, description}` with times as they were written: `00:01:02:12` (frames),
`00:01:02.480`, `1:02`, or seconds. The length of a frame is known once the video was read. SMPTE ST
12-1 counts drop-frame time codes (`00:01:02;12`) so that they are the time of day; for a list of
shots the difference, less than two frames in a minute, does not matter.
"""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from core.errors import DocumentError

MAX_BYTES = 4 * 2**20
MAX_LINES = 20_000
MAX_LINE = 2_000  # characters of a description
_DEFAULT_RATE = 25.0  # frames a second, if a list has frames and the video does not give its rate
_TIME = r"(?:\d{1,3}:)?\d{1,2}:\d\d(?:[:;]\d\d|[.,]\d{1,3})?"
_ONE = re.compile(_TIME, re.ASCII)
_SECONDS = re.compile(r"\d{1,7}(?:\.\d{1,6})?", re.ASCII)
# For a line with single blanks: with runs of them every combination would be tried.
_SPAN = re.compile(rf"\W?({_TIME})(?: ?(?:-->|[-–—/]|to)? ?({_TIME}))?[ :.)\]–—-]*", re.ASCII)
_NUMBER = re.compile(r"\d{1,5} ?[.)] ")
_TAG = re.compile(r"<[^<>]{0,100}>")
_STARTS = ("start", "start_s", "in", "tc_in", "timecode_in", "timecode", "tc", "time", "begin")
_ENDS = ("end", "end_s", "out", "tc_out", "timecode_out", "stop")
_WORDS = ("description", "text", "caption", "shot_description", "content", "shot")

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ListedShot:
    """A line of a shot list in seconds; `end_s` is `start_s` if its end is unknown, and both are -1
    in a line without times.
    """

    start_s: float
    end_s: float
    description: str


def lines_of(data: bytes, suffix: str) -> list[Line]:
    """Return the lines of a list in `.csv`, `.txt`, `.srt` or `.vtt`, in UTF-8 or else
    Windows-1252.

    Raises DocumentError for a list without a line, or with too many.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    reader = {".csv": _of_table, ".srt": _of_cues, ".vtt": _of_cues}.get(suffix, _of_text)
    try:
        return _checked(list(islice(reader(text), MAX_LINES + 1)))
    except csv.Error as error:
        raise DocumentError(f"malformed CSV: {error}") from error


def lines_of_json(data: bytes) -> list[Line]:
    """Return the lines of a list in JSON: an array, or an object with one under `shots` or
    `shotlist`.

    Raises DocumentError.
    """
    try:
        tree = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DocumentError(f"malformed JSON: {error.msg}") from error
    if isinstance(tree, dict):
        tree = next((tree[name] for name in ("shots", "shotlist", "lines") if name in tree), None)
    return lines_of_tree(tree)


def lines_of_tree(tree: object) -> list[Line]:
    """Return the lines of an array of objects, as a document's member `shotlist` has them."""
    if not isinstance(tree, list) or not all(isinstance(entry, dict) for entry in tree):
        raise DocumentError("a shot list must be an array of objects", field="shotlist")
    return _checked([_line(_by_name(entry)) for entry in tree[: MAX_LINES + 1]])


def in_seconds(
    lines: Sequence[Mapping[str, Any]], rate: float, duration: float
) -> list[ListedShot]:
    """Return the lines in seconds of a video that lasts `duration` seconds at `rate` frames a
    second.

    Time codes that begin at a full hour after the video's end, as tapes do at 10:00:00:00, count
    from that hour.
    """
    rate = rate if 1 <= rate <= 1000 else _DEFAULT_RATE
    times = [(_seconds(one.get("start"), rate), _seconds(one.get("end"), rate)) for one in lines]
    known = [start for start, _ in times if start is not None]
    first = min(known, default=0.0)
    hour = first - first % 3600 if duration and first >= duration else 0.0
    found = []
    for line, (start, end) in zip(lines, times, strict=True):
        begin = -1.0 if start is None else max(0.0, start - hour)
        until = begin if start is None or end is None else max(begin, end - hour)
        found.append(ListedShot(begin, until, str(line["description"])))
    return _with_ends(found, duration)


def _with_ends(lines: list[ListedShot], duration: float) -> list[ListedShot]:
    """Return the lines with ends: a line without one lasts up to the next that begins later."""
    found: list[ListedShot] = []
    later: list[float] = []  # starts of the following lines: each below all those before it here
    for line in reversed(lines):
        while later and later[-1] <= line.start_s:
            later.pop()
        if line.start_s >= 0 and line.end_s <= line.start_s:
            end = later[-1] if later else max(duration, line.start_s)
            found.append(ListedShot(line.start_s, end, line.description))
        else:
            found.append(line)
        later.append(line.start_s)
    return found[::-1]


def _of_table(text: str) -> Iterator[Line]:
    """Yield rows of a table; without a header row the columns are start, end, description, or start
    and description.
    """
    try:
        dialect: Any = csv.Sniffer().sniff(text[:4096], ",;\t|")
    except csv.Error:
        dialect = csv.excel
    rows = [row for row in csv.reader(io.StringIO(text), dialect) if any(row)]
    if not rows:
        return
    names = [cell.strip().casefold().replace(" ", "_") for cell in rows[0]]
    if not any(_ONE.fullmatch(name) or _SECONDS.fullmatch(name) for name in names):
        for row in rows[1:]:
            yield _line(dict(zip(names, row, strict=False)))
        return
    columns = ("start", "description") if len(names) < 3 else ("start", "end", "description")
    for row in rows:
        yield _line(dict(zip(columns, row, strict=False)))


def _of_text(text: str) -> Iterator[Line]:
    """Yield lines such as `00:00:12:10 - 00:00:20:00 Wide of the harbour` or `3. Wide of the
    harbour`.
    """
    for written in text.splitlines():
        said = " ".join(written[:MAX_LINE].split())
        if number := _NUMBER.match(said):
            said = said[number.end() :]
        if times := _SPAN.match(said):
            yield {"start": times[1], "end": times[2], "description": said[times.end() :].strip()}
        elif said:
            yield {"start": None, "end": None, "description": said}


def _of_cues(text: str) -> Iterator[Line]:
    """Yield the cues of SubRip or WebVTT: a line of two times, and the lines below it."""
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.strip().split("\n")
        for place, line in enumerate(lines[:3]):
            times = _SPAN.match(" ".join(line[:MAX_LINE].split())) if "-->" in line else None
            if times and times[2]:
                said = " ".join(lines[place + 1 :])
                yield {
                    "start": times[1],
                    "end": times[2],
                    "description": html.unescape(_TAG.sub("", said)),
                }
                break


def _by_name(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name).casefold().replace(" ", "_"): value for name, value in entry.items()}


def _line(entry: Mapping[str, Any]) -> Line:
    """Return a line from a row's cells or an object's members, by any of their names."""
    start, end, words = (
        next((entry[name] for name in names if entry.get(name) not in (None, "")), None)
        for names in (_STARTS, _ENDS, _WORDS)
    )
    return {
        "start": _plain(start),
        "end": _plain(end),
        "description": "" if words is None else words,
    }


def _plain(value: object) -> str | float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number else value.strip() if isinstance(value, str) else None  # type: ignore[arg-type]


def _checked(lines: list[Line]) -> list[Line]:
    if len(lines) > MAX_LINES:
        raise DocumentError(f"a shot list of over {MAX_LINES} lines", field="shotlist")
    found = []
    for line in lines:
        words = " ".join(str(line["description"]).split())[:MAX_LINE]
        if words:
            found.append({**line, "description": words})
    if not found:
        raise DocumentError("a shot list without a description", field="shotlist")
    return found


def _seconds(value: object, rate: float) -> float | None:
    """Return the seconds of a written time; None if it is no time."""
    if isinstance(value, float):
        return value if 0 <= value < 10**7 else None
    if not isinstance(value, str):
        return None
    if _SECONDS.fullmatch(value):
        return float(value)
    if not _ONE.fullmatch(value):
        return None
    clock, frames, fraction = value.replace(",", ".").replace(";", ":"), 0.0, 0.0
    if "." in clock:
        clock, _, digits = clock.partition(".")
        fraction = float(f".{digits}")
    parts = [int(part) for part in clock.split(":")]
    if len(parts) == 4:
        frames = parts.pop() / rate
    total = 0
    for part in parts:
        total = 60 * total + part
    return total + frames + fraction
