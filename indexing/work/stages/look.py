"""The look stage: what a model sees in the stills of an asset, into the ledger.

The items get it when they are applied: their vectors (`indexing.looks.LooksEmbedder`) and the words
for what is seen (`seen_in`). A shot has one still, which may show little of what a long shot has:
so a long shot is looked at every few seconds, too, for words alone. An asset whose stills can't be
looked at goes on without, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import DatelineError, MediaError, StorageError
from core.items import Shot
from core.media_words import Look
from core.ports.media import MediaReader
from core.work import Stage, Tracked
from indexing.captions.rights import RIGHTS
from indexing.looks import AT_ONCE, Looker, told, words_of
from indexing.media.assets import Enrichment
from indexing.work.remembered import Remembered, result_key
from indexing.work.sources.stores import Spool
from indexing.work.stages.decode import SHOT_EDGE
from indexing.work.stages.preparing import Prepared, Preparing, Words
from indexing.work.stages.stage import Stop, Worked, with_remark

LONG_S = 6.0  # seconds of a shot from which on it is looked at more than once
EVERY_S = 3.0
MOST_OF_A_SHOT = 10
MOST_MOMENTS = 300  # of one video
_STEP = 1  # raise it when a step's result changes its meaning


def moments_beside(shots: Sequence[Shot]) -> tuple[float, ...]:
    """Return the seconds at which long shots are looked at beside their stills."""
    found: list[float] = []
    for shot in shots:
        length = shot.end_s - shot.start_s
        count = min(MOST_OF_A_SHOT, int(length / EVERY_S)) if length >= LONG_S else 0
        found += [round(shot.start_s + length * (n + 0.5) / count, 3) for n in range(count)]
    return tuple(found[:MOST_MOMENTS])


@dataclass(frozen=True, slots=True)
class LongShots:
    """Looks at the moments of long shots, each file once, through the cage."""

    looker: Looker
    known: Remembered
    reader: MediaReader
    spool: Spool

    def remembered(self, digest: str, moments: Sequence[float]) -> tuple[Look, ...] | None:
        """Return what is known of the file with this digest; None if it has to be looked at."""
        if not moments:
            return ()
        (tree,) = self.known.get([self._key(digest, moments)])
        return None if tree is None else _looks(tree)

    def look(self, location: str, digest: str, moments: Sequence[float]) -> None:
        """Look at moments of a file that lies there. Raises MediaError and ModelError."""
        tree: list[list[Any]] = []
        with self.spool.fetched(location) as file:
            if file.digest != digest:
                raise MediaError("it has changed", where=location, mend="ingest it again")
            for start in range(0, len(moments), AT_ONCE):
                tree += self._seen(file.path, moments[start : start + AT_ONCE])
        self.known.put({self._key(digest, moments): {"looks": tree}}, fixed=True)

    def _seen(self, path: Path, moments: Sequence[float]) -> list[list[Any]]:
        stills = self.reader.stills(path, [[second] for second in moments], SHOT_EDGE)
        shown = [still for still in stills if not still.black]
        looked = self.looker.model.look([still.jpeg for still in shown])
        pairs = zip(shown, looked, strict=True)
        return [
            [look.name, look.probability, round(still.second, 3)]
            for still, one in pairs
            for look in (one.looks if one is not None else ())
        ]

    def _key(self, digest: str, moments: Sequence[float]) -> str:
        told = {"step": _STEP, "moments": list(moments)}
        return result_key(digest, "look beside", self.looker.model.digest, told)


def seen_in(looker: Looker, beside: LongShots) -> Words:
    """Return the function that adds the words for what the ledger says is seen."""

    def add(digest: str, enrichment: Enrichment, allowed: bool) -> Enrichment:
        if looker.model.leaves and not allowed:
            return enrichment
        stills = enrichment.stills
        seen = words_of(stills, looker.remembered(stills.names))
        more = beside.remembered(digest, moments_beside(enrichment.shots)) or ()
        looks = told((*seen, *more))
        return replace(enrichment, looks=looks, looks_by=looker.model.made_by if looks else "")

    return add


class LookStage:
    """`indexing.work.stages.stage.StageWork`. Thread-safe."""

    def __init__(self, preparing: Preparing, beside: LongShots, then: Stage) -> None:
        self._preparing = preparing
        self._beside = beside
        self._then = then

    def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
        """Look at the stills of each asset, and pass the asset on."""
        for asset in assets:
            if stop():
                return
            prepared = self._preparing.prepare(asset)
            yield self._looked(prepared) if isinstance(prepared, Prepared) else prepared

    def _looked(self, prepared: Prepared) -> Worked:
        stills = prepared.enrichment.stills.names
        asset, beside = replace(prepared.asset, stage=self._then), self._beside
        if not stills:
            return Worked(with_remark(asset, ""))
        if beside.looker.model.leaves and not prepared.leaves:
            return Worked(with_remark(asset, f"not looked at: {RIGHTS}"))
        try:
            found = beside.looker.look(stills)
            remark = self._long_shots(prepared, beside)
        except StorageError:
            raise
        except DatelineError as error:
            return Worked(prepared.asset, error)
        unread = len({*stills}) - len(found)
        remark = f"{unread} stills can't be looked at" if unread else remark
        return Worked(with_remark(asset, remark))

    def _long_shots(self, prepared: Prepared, beside: LongShots) -> str:
        """Look at long shots; return why that was not possible, "" if it was."""
        asset, moments = prepared.asset, moments_beside(prepared.enrichment.shots)
        if beside.remembered(asset.digest, moments) is not None:
            return ""
        try:
            beside.look(asset.found.location, asset.digest, moments)
        except MediaError as error:
            return f"long shots were looked at once: {error.what}"
        return ""


def _looks(tree: Mapping[str, Any]) -> tuple[Look, ...]:
    return tuple(
        Look(str(name), float(chance), float(at_s)) for name, chance, at_s in tree["looks"]
    )
