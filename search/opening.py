"""Where a hit opens: the line of what is in its media that answers the query best, with its second
and its shot.

The lines are the descriptions of a video's shots, what is said, what is written in the picture or a
frame, and what a classifier sees there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from core.items import PICTURE, Item, Passage, line_of, shot_at, text_of
from core.media_words import MEDIA_WORDS, Utterance
from search.highlight import read, words_of

SHOTS = "shotlist"
LEAD_IN_S = 0.3  # before a word, so that its beginning is heard


@dataclass(frozen=True, slots=True)
class Opening:
    """A line of an item's media: number `line`, from 0, of `field` ("shotlist", "speech", "seen" or
    "looks"). The media open at `second`, in shot number `shot`, from 1; 0 without shots. `text` is
    the line, and `made_by` the machine that wrote or found it, "" for the agency.
    """

    field: str
    line: int
    second: float
    shot: int
    text: str
    made_by: str = ""


def media_lines(item: Item) -> dict[str, list[str]]:
    """Return the lines of each kind that the item has."""
    lines = {
        SHOTS: [shot.description for shot in item.shots],
        "speech": [one.text for one in item.speech],
        "seen": [one.text for one in item.seen],
        "looks": [one.name for one in item.looks],
    }
    return {name: texts for name, texts in lines.items() if texts}


def opening_of(
    item: Item,
    span: Passage | None,
    matches: Mapping[str, Sequence[int]],
    asked: Collection[str] = (),
    words: Collection[str] = (),
) -> Opening | None:
    """Return the line that answers best; None if neither words nor meaning lead to one.

    It is the line with most of the query's words (`matches` has the count of each line in
    `media_lines`). Among equals it is the first of the item's best passage `span`, else the first
    of the fields that the query has `asked` for, else the first. Where no word leads to a line, it
    is the shot that looks as wanted. Speech opens at the first of `words`, the query's words as the
    item has them, if the times of its words are known.
    """
    most = max((max(counts) for counts in matches.values()), default=0)
    if span is not None and span.field in matches:
        first = line_of(item, span)
        last = first + text_of(item, span.field).count("\n", span.start, span.end)
        near = [n for n in range(first, last + 1) if matches[span.field][n : n + 1] == [most]]
        if near:
            return _opening(item, span.field, near[0], words)
    if not most:
        shown = span.start if span is not None and span.field == PICTURE else len(item.shots)
        return _opening(item, SHOTS, shown) if shown < len(item.shots) else None
    names = sorted(matches, key=lambda name: name not in asked)
    name = next(name for name in names if most in matches[name])
    return _opening(item, name, list(matches[name]).index(most), words)


def found_apart(
    item: Item, matches: Mapping[str, Sequence[int]], marked: Collection[str]
) -> dict[str, str]:
    """Return the fields apart from an item's text that have a word of the query, each with the
    machine that wrote or found it; "" for the agency's own script and for the file's name.
    `matches` has the count of each line in `media_lines`, and `marked` the other members with such
    a word.
    """
    lines = zip(item.shots, matches.get(SHOTS, ()), strict=False)
    makers = [shot.described_by for shot, count in lines if count and shot.described_by]
    if "caption" in marked:
        makers.insert(0, item.caption_by)
    found = {"machine": makers[0]} if makers else {}
    for name in MEDIA_WORDS:
        if any(matches.get(name, ())):
            found[name] = getattr(item, f"{name}_by")
    return found | ({"filename": ""} if "filename" in marked else {})


def _opening(item: Item, name: str, line: int, words: Collection[str] = ()) -> Opening:
    if name == SHOTS:
        shot = item.shots[line]
        return Opening(name, line, shot.start_s, line + 1, shot.description, shot.described_by)
    found = getattr(item, name)[line]
    made_by = getattr(item, f"{name}_by")
    if name == "speech":
        at = _spoken_at(found, words)
        shot_number = shot_at(item, at)
        cut = item.shots[shot_number - 1].start_s if shot_number else 0.0
        second = max(found.start_s, cut, at - LEAD_IN_S)
        return Opening(name, line, second, shot_number, found.text, made_by)
    text = found.name if name == "looks" else found.text
    return Opening(name, line, found.at_s, shot_at(item, found.at_s), text, made_by)


def _spoken_at(said: Utterance, words: Collection[str]) -> float:
    """Return the second at which the first of `words` is said; where the utterance begins without
    them, or without times.
    """
    times = (
        start for start, _, text in said.words if not set(words).isdisjoint(words_of(read(text)))
    )
    return next(times, said.start_s)
