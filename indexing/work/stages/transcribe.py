"""The transcribe stage: what is said in videos and sounds, piece by piece.

A piece is some minutes of one file (`indexing.speech.pieces`). Its words go into the ledger when it
is done, so a killed process loses one piece, and a long file takes several orders. What the agency
itself has written down is not transcribed. A file without sound, or with sound that can't be read,
goes on without words and with a remark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import MediaError, ModelError
from core.media import SOUND_RATE, MediaKind, Sound
from core.media_words import Utterance, later
from core.ports.media import MediaReader, Transcriber
from core.work import Stage, Tracked
from indexing.captions.rights import RIGHTS, RightsNow
from indexing.media.assets import Enrichment
from indexing.speech.pieces import PIECE_S, cut_of, is_silent, sentences_of
from indexing.work.remembered import Remembered, result_key
from indexing.work.sources.listing import is_picture
from indexing.work.sources.stores import Fetched, Spool
from indexing.work.stages.preparing import Prepared, Preparing
from indexing.work.stages.stage import Stop, Worked, with_remark

AN_ORDER_S = 1800.0  # sound of one order
NO_WORDS = "no words were heard in it"
_ROUNDING_S = 0.01
_STEP = 1  # raise it when a piece's result changes its meaning


@dataclass(frozen=True, slots=True)
class Piece:
    """What was heard in a piece, and where the next one begins: None after the last."""

    next_s: float | None
    speech: tuple[Utterance, ...]
    notes: tuple[str, ...] = ()

    def tree(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        rows = [[u.start_s, u.end_s, u.text, u.words, u.language] for u in self.speech]
        return {"next_s": self.next_s, "speech": rows, "notes": list(self.notes)}


def piece_of(tree: dict[str, Any]) -> Piece:
    """Return the piece that `Piece.tree` wrote."""
    speech = tuple(
        Utterance(start, end, text, tuple((a, b, word) for a, b, word in words), language)
        for start, end, text, words, language in tree["speech"]
    )
    return Piece(tree["next_s"], speech, tuple(tree["notes"]))


@dataclass(frozen=True, slots=True)
class Heard:
    """What the ledger has of the words of one transcriber."""

    known: Remembered
    digest: str
    name: str
    leaves: bool

    def key(self, file: str, start_s: float) -> str:
        """Return the key of the piece that begins there, of the file with this digest."""
        told = {"step": _STEP, "start_s": start_s, "piece_s": PIECE_S}
        return result_key(file, "speech", self.digest, told)

    def pieces(self, file: str) -> list[Piece]:
        """Return the known pieces from the start of a file on, without a hole."""
        found: list[Piece] = []
        next_s: float | None = 0.0
        while next_s is not None:
            (tree,) = self.known.get([self.key(file, next_s)])
            if tree is None:
                break
            found.append(piece_of(tree))
            next_s = found[-1].next_s
        return found

    def words(self, file: str, enrichment: Enrichment, allowed: bool) -> Enrichment:
        """Add what was heard (`indexing.work.stages.preparing.Words`)."""
        if enrichment.facts.kind is MediaKind.PICTURE or (self.leaves and not allowed):
            return enrichment
        speech = tuple(one for piece in self.pieces(file) for one in piece.speech)
        return replace(enrichment, speech=speech, speech_by=self.name) if speech else enrichment


class TranscribeStage:
    """`indexing.work.stages.stage.StageWork`. An order hears at most `most_s` seconds of sound, and
    the next one goes on. `rights` is asked before sound leaves.
    """

    def __init__(
        self,
        preparing: Preparing,
        transcriber: Transcriber,
        reader: MediaReader,
        spool: Spool,
        heard: Heard,
        rights: RightsNow,
        then: Stage = Stage.APPLY,
        most_s: float = AN_ORDER_S,
    ) -> None:
        self._preparing = preparing
        self._transcriber = transcriber
        self._reader = reader
        self._spool = spool
        self._heard = heard
        self._rights = rights
        self._then = then
        self._most_s = most_s

    def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
        """Write down what is said in each asset, and pass it on."""
        patience = _Patience(self._most_s, stop)
        for asset in assets:
            if patience.is_over():
                return
            if is_picture(asset.found.location):
                yield Worked(replace(asset, stage=self._then))
                continue
            prepared = self._preparing.prepare(asset)
            done = self._one(prepared, patience) if isinstance(prepared, Prepared) else prepared
            if done is not None:
                yield done

    def _one(self, prepared: Prepared, patience: _Patience) -> Worked | None:
        """Return the asset when its last piece is done; None if that needs another order."""
        asset = prepared.asset
        if not self._is_wanted(prepared):
            return Worked(replace(asset, stage=self._then))
        if self._transcriber.leaves and not self._may_leave(prepared):
            return self._passed_on(asset, f"not transcribed: {RIGHTS}")
        pieces = self._heard.pieces(asset.digest)
        try:
            if not _is_whole(pieces):
                with self._spool.fetched(asset.found.location) as file:
                    if file.digest != asset.digest:
                        return Worked(replace(asset, stage=Stage.DECODE))
                    while not _is_whole(pieces) and not patience.is_over():
                        pieces.append(self._piece(file, pieces, patience))
        except (MediaError, ModelError) as error:
            return self._passed_on(asset, f"not transcribed: {error.what}")
        if not _is_whole(pieces):
            return None
        notes = dict.fromkeys(note for piece in pieces for note in piece.notes)
        has_words = any(piece.speech for piece in pieces)
        return self._passed_on(asset, "; ".join(notes) or ("" if has_words else NO_WORDS))

    def _piece(self, file: Fetched, pieces: Sequence[Piece], patience: _Patience) -> Piece:
        """Hear the next piece of a file, and remember it."""
        start_s = pieces[-1].next_s or 0.0 if pieces else 0.0
        sound = self._reader.sound(file.path, start_s, start_s + PIECE_S)
        is_last = sound.seconds < PIECE_S - _ROUNDING_S
        end_s = sound.seconds if is_last else cut_of(sound)
        cut = Sound(sound.samples[: round(end_s * SOUND_RATE)], sound.notes)
        said = () if is_silent(cut) else self._transcriber.transcribe(cut)
        parts = (part for one in said for part in sentences_of(one))
        speech = tuple(later(one, start_s) for one in parts)
        next_s = None if is_last else round(start_s + end_s, 3)
        piece = Piece(next_s, speech, sound.notes)
        self._heard.known.put({self._heard.key(file.digest, start_s): piece.tree()})
        patience.spend(end_s)
        return piece

    def _is_wanted(self, prepared: Prepared) -> bool:
        """Return whether it may have sound, and the agency has not written it down itself."""
        item = prepared.item
        is_own = bool(item.speech) and not item.speech_by
        return not is_own and prepared.enrichment.facts.kind is not MediaKind.PICTURE

    def _may_leave(self, prepared: Prepared) -> bool:
        """Return whether the present record and the rights let the sound leave."""
        (may,) = self._rights([prepared.item.uri])
        return prepared.leaves and may is not False

    def _passed_on(self, asset: Tracked, remark: str) -> Worked:
        return Worked(replace(with_remark(asset, remark), stage=self._then))


class _Patience:
    """How much sound an order still hears."""

    def __init__(self, left_s: float, stop: Stop) -> None:
        self._left_s = left_s
        self._stop = stop

    def spend(self, seconds: float) -> None:
        """Count what was heard."""
        self._left_s -= seconds

    def is_over(self) -> bool:
        """Return whether the rest is for another order."""
        return self._left_s <= 0 or self._stop()


def _is_whole(pieces: Sequence[Piece]) -> bool:
    return bool(pieces) and pieces[-1].next_s is None
