"""The steps of decoding: their keys in the ledger, and the enrichment made from their results."""

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
_STEP = 4  # raise it when a step's result changes its meaning


def digest_key(location: str, stamp: str) -> str:
    """Return the key of digest and size of the file there, as long as its stamp is the same."""
    return result_key(location, "digest", "", {"stamp": stamp})


def picture_key(digest: str) -> str:
    """Return the key of a photo's facts, stills and hash."""
    sizes = [THUMBNAIL_EDGE, PREVIEW_EDGE]
    return result_key(digest, "picture", "", {"step": _STEP, "edges": sizes})


def facts_key(digest: str) -> str:
    """Return the key of the facts of a file that is no photo."""
    return result_key(digest, "facts", "", {"step": _STEP})


def shots_key(digest: str, finder: str) -> str:
    """Return the key of the shots and gaps by the finder of this digest."""
    return result_key(digest, "shots", finder, {"step": _STEP})


def stills_key(digest: str, shots: Sequence[Sequence[Any]]) -> str:
    """Return the key of the stills of these shots, which decide the stills' times."""
    times = [[shot[0], shot[1]] for shot in shots]
    return result_key(digest, "stills", "", {"step": _STEP, "edge": SHOT_EDGE, "shots": times})


def listed_tree(shots: Sequence[Shot]) -> dict[str, Any]:
    """Return the shots of a shot list in the form of the shots step."""
    trees = [
        [shot.start_s, shot.end_s, shot.start_frame, shot.end_frame, shot.transition]
        for shot in shots
    ]
    return {"shots": trees, "gaps": [], "notes": []}


def of_picture(tree: Mapping[str, Any]) -> Enrichment:
    """Return the enrichment of a photo."""
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
    """Return the enrichment of a video; its first still that is not black stands for it."""
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
