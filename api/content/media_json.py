"""Media in an answer: renditions with addresses, shots with times, machines' descriptions."""

from __future__ import annotations

from typing import Any

from api.content.media_links import ORIGINAL, PREVIEW, THUMBNAIL, MediaLinks, shot_still
from core.items import Item, ItemType
from indexing.media.shots.timecodes import timecode

STRIP_SHOTS = 7  # in a film strip of a list of hits
MOST_SHOTS = 2_000  # of one item in an answer


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
