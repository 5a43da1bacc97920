"""A contact sheet: the shots of a video on one HTML page, in one file, with a still of each.

The page loads nothing: stills are in it as data. It can be read on a phone, in the dark, by
keyboard and on paper. Names and notes come from files and are shown as text, whatever they contain:
the template escapes everything.
"""

from __future__ import annotations

import unicodedata
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.extras import need_extra
from core.media import MediaFacts, ShotBounds, Still, Transition
from indexing.media.shots.timecodes import timecode

MOST_STILLS = 2_000  # on one page; a still of 320 pixels has about 15 kB
_LONGEST = 300
_NAMED = {
    Transition.START: "start",
    Transition.CUT: "cut",
    Transition.GRADUAL: "gradual",
    Transition.GAP: "after a gap",
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """The contents of a contact sheet: a name, the facts, shots, a still or None for each, notes of
    what could not be read, and its maker.
    """

    title: str
    facts: MediaFacts
    shots: Sequence[ShotBounds]
    stills: Sequence[Still | None]
    notes: Sequence[str] = ()
    made: str = ""


@dataclass(frozen=True, slots=True)
class _Card:
    """One shot, ready to be shown."""

    start: str
    end: str
    length: str
    frames: str
    how: str
    how_named: str
    share: str
    picture: str
    width: int
    height: int
    taken: str
    lacking: str


def contact_sheet(sheet: Sheet) -> str:
    """Return the page's text. Raises InputError if its packages are missing."""
    need_packages()
    from jinja2 import Environment, StrictUndefined

    source = Path(__file__).with_name("contact_sheet.html.j2")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    pairs = zip(sheet.shots, sheet.stills, strict=True)
    return environment.from_string(source.read_text("utf-8")).render(
        title=shown(sheet.title),
        facts=shown(_said(sheet)),
        made=shown(sheet.made),
        notes=[shown(note) for note in sheet.notes],
        cards=[_card(shot, still) for shot, still in pairs],
    )


def need_packages() -> None:
    """Raise InputError if no page can be drawn; call it before long work."""
    need_extra("report", "contact sheets", ["jinja2"])


def shown(text: str, longest: int = _LONGEST) -> str:
    """Return text of unknown origin in one line, without controls and characters that reverse
    it.
    """
    line = " ".join(text[: 4 * longest].split())
    clean = "".join("\ufffd" if unicodedata.category(c).startswith("C") else c for c in line)
    return clean if len(clean) <= longest else f"{clean[: longest - 1]}…"


def _said(sheet: Sheet) -> str:
    """Return the facts in a line."""
    facts, count = sheet.facts, len(sheet.shots)
    said = [f"{count:,} shot{'' if count == 1 else 's'}"]
    if facts.duration_s:
        said.append(timecode(facts.duration_s))
    if facts.width and facts.height:
        said.append(f"{facts.width} × {facts.height}")
    if facts.frame_rate:
        said.append(f"{facts.frame_rate:.5g} frames/s")
    return " · ".join([*said, facts.codec])


def _card(shot: ShotBounds, still: Still | None) -> _Card:
    length = max(0.0, shot.end_s - shot.start_s)
    picture = b64encode(still.jpeg).decode() if still is not None else ""
    return _Card(
        start=timecode(shot.start_s),
        end=timecode(shot.end_s),
        length=f"{length:.2f} s" if length < 60 else timecode(length),
        frames=f"{shot.start_frame:,}–{shot.end_frame:,}",
        how=shot.transition.value,
        how_named=_NAMED[shot.transition],
        share=f"{max(length, 0.001):.3f}",
        picture=f"data:image/jpeg;base64,{picture}" if picture else "",
        width=still.width if still is not None else 0,
        height=still.height if still is not None else 0,
        taken=timecode(still.second) if still is not None else "",
        lacking="no still could be taken",
    )
