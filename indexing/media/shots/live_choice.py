"""Which live source a text names, and how long to wait for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import InputError
from indexing.media.cage.sources import SCHEMES, LiveSource
from indexing.media.shots.live import LiveSettings

STANDARD_INPUT = 0
_ENDLESS = ("rtsp", "rtsps", "rtmp", "rtmps")  # an end of these is no end
_SILENT_TIMES = 4  # times `stall_s` of silence, after which a connection is made again


@dataclass(frozen=True, slots=True)
class Patience:
    """`stall_s` of silence are marked as a gap. A source that broke off is given up after `away_s`;
    a file that did not grow for `grown_s` has ended.
    """

    stall_s: float = 5.0
    away_s: float = 600.0
    grown_s: float = 10.0


def chosen_source(
    text: str, patience: Patience, hosts: tuple[str, ...] = ()
) -> tuple[LiveSource, LiveSettings]:
    """Return the source and settings for a text: `-` is standard input; `scheme://` an address; all
    else a named pipe or a growing file. `hosts` are those that an HLS playlist may name besides its
    own.

    Raises InputError for an address of another scheme.
    """
    settings = LiveSettings(stall_s=patience.stall_s, away_s=patience.away_s)
    once = replace(settings, again_after_break=False)
    if text == "-":
        return LiveSource(handle=STANDARD_INPUT, silent_s=0.0), once
    scheme, marked, _ = text.partition("://")
    if not marked:
        path = Path(text)
        if not path.is_fifo():  # silence ends it and makes no gap
            once = replace(once, stall_s=max(patience.stall_s, patience.grown_s + 1))
        return LiveSource(path=path, silent_s=0.0, grown_s=patience.grown_s), once
    if scheme not in SCHEMES:
        raise InputError(
            f"a live source can't be {scheme[:20]}", mend=f"use - or {', '.join(SCHEMES)}"
        )
    source = LiveSource(url=text, silent_s=_SILENT_TIMES * patience.stall_s, hosts=hosts)
    return source, replace(settings, again_after_end=scheme in _ENDLESS)
