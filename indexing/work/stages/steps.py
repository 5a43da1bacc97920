"""The steps of decoding: their keys in the ledger, and what their results make up together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.items import Shot
from core.media import MediaFacts, ShotBounds
from indexing.media.asset import Enrichment
from indexing.work import remembered
from indexing.work.remembered import result_key

THUMBNAIL_EDGE = 320  # pixels
PREVIEW_EDGE = 1024
SHOT_EDGE = 640
_STEP = 4  # rises when a step's result changes its meaning


def digest_key(location: str, stamp: str) -> str:
    """Of the digest and the size of what lies there, as long as the stamp is the same."""
    return result_key(location, "digest", "", {"stamp": stamp})


def picture_key(digest: str) -> str:
    """Of a photo's facts, stills and hash."""
    sizes = [THUMBNAIL_EDGE, PREVIEW_EDGE]
    return result_key(digest, "picture", "", {"step": _STEP, "edges": sizes})


def facts_key(digest: str) -> str:
    """Of the facts of what is no photo."""
    return result_key(digest, "facts", "", {"step": _STEP})


def shots_key(digest: str, finder: str) -> str:
    """Of the shots and gaps that the finder of this digest finds."""
    return result_key(digest, "shots", finder, {"step": _STEP})


def stills_key(digest: str, shots: Sequence[Sequence[Any]]) -> str:
    """Of the stills of these shots, which decide when they were taken."""
    times = [[shot[0], shot[1]] for shot in shots]
    return result_key(digest, "stills", "", {"step": _STEP, "edge": SHOT_EDGE, "shots": times})


def listed_tree(shots: Sequence[Shot]) -> dict[str, Any]:
    """Shots that a shot list names, as the shots step remembers those that are found."""
    trees = [
        [shot.start_s, shot.end_s, shot.start_frame, shot.end_frame, shot.transition]
        for shot in shots
    ]
    return {"shots": trees, "gaps": [], "notes": []}


def of_picture(tree: Mapping[str, Any]) -> Enrichment:
    """What is known of a photo."""
    return Enrichment(
        remembered.facts_of(tree["facts"]),
        captions=(None,),
        thumbnail=tree["thumbnail"],
        preview=tree["preview"],
        similarity=tree["similarity"],
    )


def of_video(
    facts: MediaFacts, shots: Mapping[str, Any], stills: Sequence[Sequence[Any]]
) -> Enrichment:
    """What is known of a video; its first still that shows something stands for it."""
    bounds = [remembered.bounds_of(tree) for tree in shots["shots"]]
    made = tuple(_shot(*pair) for pair in zip(bounds, stills, strict=True))
    cover = next((still for still in stills if still[2]), stills[0] if stills else None)
    gaps = (f"no frames from {a:.2f} s to {b:.2f} s: {why}" for a, b, why in shots["gaps"])
    return Enrichment(
        facts,
        shots=made,
        captions=(None,) * len(made),
        thumbnail="" if cover is None else cover[1],
        preview="" if cover is None else cover[1],
        similarity="" if cover is None else cover[2],
        notes=(*shots["notes"], *gaps),
    )


def _shot(bounds: ShotBounds, still: Sequence[Any]) -> Shot:
    second, name, similarity = still
    return Shot(
        bounds.start_s,
        bounds.end_s,
        bounds.start_frame,
        bounds.end_frame,
        str(bounds.transition),
        keyframe_s=second,
        thumbnail=name,
        similarity=similarity,
    )
