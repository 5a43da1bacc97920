"""Media in an answer: renditions with addresses, shots with times, machines' descriptions, and the
words that are found in the media.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.content.media_links import ORIGINAL, PREVIEW, THUMBNAIL, MediaLinks, shot_still
from core.items import Item, ItemType
from core.media_words import Look, SeenText, Utterance
from indexing.media.shots.timecodes import timecode

STRIP_SHOTS = 7  # in a film strip of a list of hits
MOST_SHOTS = 2_000  # of one item in an answer
_LIVE = frozenset({"running", "broken off", "ended"})
MOST_LINES = 10_000  # of one kind of words of one item in an answer; a day's speech has as many


def media_members(item: Item, links: MediaLinks | None) -> dict[str, Any]:
    """Return `renditions` in AP's terms, and `machine_caption`: a machine's description and its
    model.
    """
    members: dict[str, Any] = {}
    if item.caption:
        members["machine_caption"] = {"text": item.caption, "made_by": item.caption_by}
    if found := _renditions(item, links):
        members["renditions"] = found
    return members


def live_json(item: Item) -> dict[str, str]:
    """Return how a live source stands, and since when it runs; empty if the item is none, or if its
    recording is the item's file.
    """
    said = item.source.get("live")
    if not isinstance(said, Mapping) or said.get("state") not in _LIVE:
        return {}
    return {name: str(said[name])[:40] for name in ("state", "since") if name in said}


def media_words_json(item: Item, name: str) -> dict[str, Any]:
    """Return the words of one kind that are found in an item's media (`speech`, `seen` or `looks`),
    MOST_LINES at most, and their maker; `made_by` is absent if the agency says them.
    """
    maker = getattr(item, f"{name}_by")
    lines = [_line_json(line) for line in getattr(item, name)[:MOST_LINES]]
    return {**({"made_by": maker} if maker else {}), "lines": lines}


def _line_json(line: Utterance | SeenText | Look) -> dict[str, Any]:
    match line:
        case Utterance(start, end, text, _, language):
            told = {"start_s": round(start, 3), "end_s": round(end, 3), "text": text}
            return {**told, "language": language} if language else told
        case SeenText(text, box, at, score):
            place = [round(share, 4) for share in box]
            return {"at_s": round(at, 3), "text": text, "box": place, "score": round(score, 3)}
        case Look(name, probability, at):
            return {"at_s": round(at, 3), "text": name, "probability": round(probability, 3)}


def shots_json(item: Item, links: MediaLinks | None) -> list[dict[str, Any]]:
    """Return every shot of a video, MOST_SHOTS at most."""
    return [shot_json(item, number + 1, links) for number in range(len(item.shots[:MOST_SHOTS]))]


def film_strip(item: Item, shot: int, links: MediaLinks | None) -> list[dict[str, Any]]:
    """Return the shots around number `shot`, or the first shots if it is 0."""
    first = max(1, min(shot - STRIP_SHOTS // 2, len(item.shots) - STRIP_SHOTS + 1))
    last = min(len(item.shots), first + STRIP_SHOTS - 1)
    return [shot_json(item, number, links) for number in range(first, last + 1)]


def shot_json(item: Item, number: int, links: MediaLinks | None) -> dict[str, Any]:
    """Return shot `number`, from 1, with its times in seconds and as time codes `hh:mm:ss.mmm`.
    `made_by` is present if a machine described it.
    """
    shot = item.shots[number - 1]
    told: dict[str, Any] = {
        "number": number,
        "start_s": round(shot.start_s, 6),
        "end_s": round(shot.end_s, 6),
        "timecode": f"{timecode(shot.start_s)}–{timecode(shot.end_s)}",
        "transition": shot.transition,
        "description": shot.description,
    }
    if shot.described_by:
        told["made_by"] = shot.described_by
    if links is not None and shot.thumbnail:
        told["thumbnail"] = links.of(item.uri, shot_still(number))
    return told


def _renditions(item: Item, links: MediaLinks | None) -> dict[str, Any]:
    media = item.media
    if media is None or links is None:
        return {}
    stills = {THUMBNAIL: media.thumbnail, PREVIEW: media.preview}
    found: dict[str, Any] = {
        name: {"href": links.of(item.uri, name), "rel": name.capitalize(), "type": "picture"}
        for name, still in stills.items()
        if still
    }
    if links.originals(media.location):
        main: dict[str, Any] = {
            "href": links.of(item.uri, ORIGINAL),
            "rel": "Main",
            "type": item.type.value,
            "mimetype": media.mimetype,
            "sizeinbytes": media.size,
            "digest": media.digest,
            "width": media.width,
            "height": media.height,
            "duration": round(media.duration_s * (1 if item.type is ItemType.AUDIO else 1000)),
        }
        found["main"] = {name: value for name, value in main.items() if value}
    return found
