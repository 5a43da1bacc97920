"""The shots of a video by its shot list alone: its lines are the shots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.errors import DocumentError
from core.items import Shot
from core.media import MediaFacts
from indexing.media.metadata.sidecars import SHOTLIST
from indexing.media.shots.aligning import aligned
from indexing.media.shots.shot_lists import in_seconds, lines_of, lines_of_tree

MAX_SHOTS = 50_000  # of one video: a day of television has some ten thousand
_RATE = 25.0


def shots_named(
    named: object, rate: float = 0.0, duration_s: float = 0.0
) -> tuple[tuple[Shot, ...], str]:
    """Return the shots of a video that was not decoded, from a document's member `shotlist` (an
    array of objects, or a text of lines), and the lines that belong to none as a text. A `rate` or
    duration of 0 is unknown. Raises DocumentError.
    """
    if named in (None, "", []):
        return (), ""
    lines = lines_of(named.encode(), ".txt") if isinstance(named, str) else lines_of_tree(named)
    return aligned((), in_seconds(lines, rate, duration_s), rate or _RATE)


def shots_to_see(sidecar: Mapping[str, Any] | None, facts: MediaFacts) -> tuple[Shot, ...]:
    """Return the shots in the list beside a video, without words, as far as the video goes; none if
    it can't be read: building the item says why.
    """
    try:
        shots, _ = shots_named((sidecar or {}).get(SHOTLIST), facts.frame_rate, facts.duration_s)
    except DocumentError:
        return ()
    end = facts.duration_s or float("inf")
    within = (replace(shot, description="", end_s=min(shot.end_s, end)) for shot in shots)
    return tuple(shot for shot in within if shot.start_s < shot.end_s)[:MAX_SHOTS]
