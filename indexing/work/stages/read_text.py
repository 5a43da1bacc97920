"""The read-text stage: what is written in pictures and in the stills of shots.

The stills are those that the decode stage keeps: a photo's preview, and one frame of each shot. The
result of a still is remembered by its own bytes and by the reader's digest, so the same still is
read once, wherever it lies. An asset whose rights forbid it is not read, and gets nothing that was
read in the same still elsewhere. A black still is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from core.errors import MediaError, ModelError
from core.media_words import SeenText
from core.ports.media import MediaStore, TextReader
from core.work import Stage, Tracked
from indexing.captions.rights import RIGHTS
from indexing.looks import NO_STILLS
from indexing.media.assets import Enrichment
from indexing.work.remembered import Remembered, result_key
from indexing.work.stages.preparing import Prepared, Preparing
from indexing.work.stages.stage import Stop, Worked, with_remark

MOST_LINES = 2_000  # of an item: a film of many shots with a fixed credit has no more to say
NOT_READ = "the text in it was not read"
_STEP = 1  # raise it when a still's result changes its meaning


@dataclass(frozen=True, slots=True)
class Legible:
    """A reader, and what the ledger has of the text that it read."""

    reader: TextReader
    known: Remembered

    def key(self, still: str) -> str:
        """Return the key of the text in the still of this name."""
        return result_key(still, "seen", self.reader.digest, {"step": _STEP})

    def words(self, file: str, enrichment: Enrichment, allowed: bool) -> Enrichment:
        """Add what was read (`indexing.work.stages.preparing.Words`)."""
        stills = enrichment.stills if allowed else NO_STILLS
        known = self.known.get([self.key(name) for name in stills.names]) if stills.names else ()
        seen = [
            SeenText(text, (box[0], box[1], box[2], box[3]), at_s, score)
            for at_s, lines in zip(stills.seconds, known, strict=True)
            for text, box, score in lines or ()
        ]
        if not seen:
            return enrichment
        return replace(enrichment, seen=tuple(seen[:MOST_LINES]), seen_by=self.reader.name)


class ReadTextStage:
    """`indexing.work.stages.stage.StageWork`. Thread-safe."""

    def __init__(
        self,
        preparing: Preparing,
        store: MediaStore,
        legible: Legible,
        then: Stage = Stage.APPLY,
    ) -> None:
        self._preparing = preparing
        self._store = store
        self._legible = legible
        self._then = then

    def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
        """Read the stills of each asset, and pass the asset on."""
        for asset in assets:
            if stop():
                return
            prepared = self._preparing.prepare(asset)
            done = self._one(prepared, stop) if isinstance(prepared, Prepared) else prepared
            if done is not None:
                yield done

    def _one(self, prepared: Prepared, stop: Stop) -> Worked | None:
        """Return the asset when all of its stills are read; None if the process must stop."""
        stills, legible = prepared.enrichment.stills.names, self._legible
        if stills and not prepared.allowed:
            return self._passed_on(prepared.asset, f"{NOT_READ}: {RIGHTS}")
        remark = ""
        try:
            for still in _unread(stills, legible):
                if stop():
                    return None
                with self._store.open(still) as stream:
                    (lines,) = legible.reader.read([stream.read()])
                tree = [[line.text, line.box, line.score] for line in lines]
                legible.known.put({legible.key(still): tree})
        except (MediaError, ModelError) as error:
            remark = f"{NOT_READ}: {error.what}"
        return self._passed_on(prepared.asset, remark)

    def _passed_on(self, asset: Tracked, remark: str) -> Worked:
        return Worked(replace(with_remark(asset, remark), stage=self._then))


def _unread(stills: Sequence[str], legible: Legible) -> list[str]:
    """Return the stills without a remembered result, each once."""
    names = list(dict.fromkeys(stills))
    known = legible.known.get([legible.key(name) for name in names])
    return [name for name, lines in zip(names, known, strict=True) if lines is None]
