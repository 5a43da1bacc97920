"""Dates of media files, as RFC 3339."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

_DAY = r"(?P<y>\d{4})[-:]?(?P<m>\d\d)[-:]?(?P<d>\d\d)"
_CLOCK = r"(?P<H>\d\d):?(?P<M>\d\d)(?::?(?P<S>\d\d))?(?P<F>\.\d{1,9})?"
_ZONE = r"(?P<Z>Z|[+-]\d\d:?\d\d)?"
_DATE = re.compile(rf"{_DAY}(?:[T ]{_CLOCK}\s*{_ZONE})?", re.ASCII)
_TIME = re.compile(rf"{_CLOCK}\s*{_ZONE}", re.ASCII)
# The start of QuickTime's and Unix' clocks: no picture is from that second.
_UNSET = ("1904-01-01T00:00:00", "1970-01-01T00:00:00", "0000:00:00", "    :  :")


def moment_of(texts: Mapping[str, tuple[str, ...]], role: str, notes: list[str]) -> str:
    """Return the date and time of a role as RFC 3339, "" without one.

    XMP and Matroska have ISO 8601, EXIF `2024:03:05 07:30:00` with the zone in a tag of its own,
    IIM `20240305` with `073000+0100` beside it. An impossible date is noted and left out. An unset
    clock counts as no date: a camera then says 0000:00:00, and a container the start of its time.
    """
    (text, *_) = texts.get(role, ("",))
    if not text:
        return ""
    found = _DATE.fullmatch(text)
    if text.startswith(_UNSET):
        return ""
    moment = "" if found is None else _written(found, texts, role)
    if not moment:
        notes.append(f"date not understood: {text[:40]!r}")
    return moment


def _written(found: re.Match[str], texts: Mapping[str, tuple[str, ...]], role: str) -> str:
    parts = found.groupdict()
    if parts["H"] is None:
        beside = _TIME.fullmatch(texts.get(f"{role}_time", ("",))[0])
        parts |= beside.groupdict() if beside else {}
    zone = parts["Z"] or texts.get(f"{role}_offset", ("",))[0] or ""
    zone = zone if re.fullmatch(r"Z|[+-]\d\d:?\d\d", zone, re.ASCII) else ""
    clock = f"T{parts['H']}:{parts['M']}:{parts['S'] or '00'}{parts['F'] or ''}{zone}"
    moment = f"{parts['y']}-{parts['m']}-{parts['d']}{clock if parts['H'] else ''}"
    try:
        datetime.fromisoformat(moment)
    except ValueError:
        return ""
    return moment
