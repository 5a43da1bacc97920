"""The item of a live source while it runs: each version has the shots and words told so far.

It is built as the item of a file is, so all rules for machines' words hold. A version keeps the
state that an editor gave the item; a part of a source has the stricter state of its own item and of
the whole's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from core.errors import ConflictError, StorageError
from core.items import Item, PubStatus, Shot
from core.media import MediaFacts, MediaKind
from core.media_words import Utterance
from core.writes import REFUSED, Written
from indexing.captions.rights import Rule, may_leave, may_leave_as_recorded
from indexing.ingest import Ingest
from indexing.live.recording import LiveState
from indexing.looks import Looker, told, words_of
from indexing.media.assets import Asset, Enrichment

_ROUNDS = 4  # if another process took the version, the newest one is looked up again
_MOST_NOTES = 20
_WITH_VECTORS = 2  # newest versions that keep their vectors: a search may still show the one before
MEMBER = "live"  # of a document: our extension of ninjs

BuildItem = Callable[[Asset, Enrichment, Item | None], Item]
Newest = Callable[[Sequence[str]], Sequence[Item | None]]
# Takes the vectors from an item's versions between two numbers: see `RecordOfTruth.empty_vectors`.
EmptyVectors = Callable[[str, int, int], int]


class Standing(StrEnum):
    """What is said of a live source in its item."""

    RUNNING = "running"
    BROKEN = "broken off"  # nothing comes at the moment
    ENDED = "ended"
    ARCHIVED = "archived"  # its recording is the item's file


@dataclass(frozen=True, slots=True)
class LiveContent:
    """What is known of a part of a source: its shots and words, in seconds of the part, and up to
    which second it has come.
    """

    state: LiveState
    standing: Standing
    shots: tuple[Shot, ...] = ()
    speech: tuple[Utterance, ...] = ()
    speech_by: str = ""
    has_picture: bool = True
    end_s: float = 0.0


def document_of(state: LiveState, standing: Standing) -> dict[str, Any]:
    """Return the document of a part's item, with the member `live`."""
    began = datetime.fromtimestamp(state.began + state.part_s, UTC).isoformat(timespec="seconds")
    said: dict[str, Any] = {"state": str(standing), "since": began}
    if state.part > 1:
        said |= {"part": state.part, "whole": state.uri}
    if state.notes:
        said["notes"] = list(state.notes[:_MOST_NOTES])
    created = {"firstcreated": began}
    return {**created, **state.document, "uri": state.part_uri, MEMBER: said}


class LiveItems:
    """Writes the versions of live items into the record of truth. `rule` says what may go to an
    outside service if rights say nothing. Each version has all vectors of the one before, so older
    ones lose theirs by `empty_vectors`. Where the newest is hidden they don't: an older one may be
    shown.
    """

    def __init__(
        self,
        build: BuildItem,
        ingest: Ingest,
        newest: Newest,
        empty_vectors: EmptyVectors,
        looker: Looker | None,
        rule: Rule = "unless_forbidden",
    ) -> None:
        self._build, self._ingest, self._newest = build, ingest, newest
        self._empty_vectors = empty_vectors
        self._emptied: dict[str, int] = {}  # up to which version, by uri
        self._looker, self._rule = looker, rule

    def recorded(self, uri: str) -> Item | None:
        """Return the newest recorded version of an item."""
        return self._newest([uri])[0]

    def may_leave(self, state: LiveState) -> bool:
        """Return whether an outside service may have what the source shows and says, by its rights
        and its present state.
        """
        document = document_of(state, Standing.RUNNING)
        known = [item for item in self._newest([state.part_uri, state.uri]) if item is not None]
        allowed = (may_leave_as_recorded(item, self._rule) for item in known)
        return may_leave([], [document], self._rule) and all(allowed)

    def write(self, content: LiveContent) -> Written:
        """Record the next version of a part's item; the answer's `held` is the state that hides it.
        Raises DatelineError.
        """
        for _ in range(_ROUNDS):
            item = self._item(content)
            written = self._ingest.put(self._ingest.embed([item]))[0]
            if written.outcome not in REFUSED:
                written = replace(written, held=written.held or _hidden(item))
                if not written.held:
                    self._empty_before(written)
                return written
        raise ConflictError(
            f"its version {written.version} was refused: {written.outcome}",
            where=written.uri,
            mend="does another process write this item? name another --uri",
        )

    def _empty_before(self, written: Written) -> None:
        """Take the vectors from the versions before the newest ones. What fails is tried again with
        the next version.
        """
        first = self._emptied.get(written.uri, 0) + 1
        last = written.version - _WITH_VECTORS
        if last >= first:
            with suppress(StorageError):
                self._empty_vectors(written.uri, first, last)
                self._emptied[written.uri] = last

    def _item(self, content: LiveContent) -> Item:
        state = content.state
        recorded, whole = self._newest([state.part_uri, state.uri])
        document = document_of(state, content.standing)
        asset = Asset("", "", 0, document)
        return _as_strict(self._build(asset, self._enrichment(content), recorded), whole)

    def _enrichment(self, content: LiveContent) -> Enrichment:
        kind = MediaKind.VIDEO if content.has_picture else MediaKind.AUDIO
        cover = next((s for s in content.shots if s.similarity), None)
        made = Enrichment(
            MediaFacts(kind, "video/mp2t", "", 0, 0, duration_s=content.end_s),
            shots=content.shots,
            captions=(None,) * len(content.shots),
            thumbnail="" if cover is None else cover.thumbnail,
            preview="" if cover is None else cover.thumbnail,
            similarity="" if cover is None else cover.similarity,
            speech=content.speech,
            speech_by=content.speech_by if content.speech else "",
        )
        looker = self._looker
        if looker is None or (looker.model.leaves and not self.may_leave(content.state)):
            return made
        looks = told(words_of(made.stills, looker.look(made.stills.names)))
        return replace(made, looks=looks, looks_by=looker.model.made_by if looks else "")


def _hidden(item: Item) -> str:
    """Return the state of an item that an editor has hidden, "" for none."""
    if item.pubstatus is not PubStatus.USABLE:
        return str(item.pubstatus)
    return "embargoed" if item.embargoed and item.embargoed > item.versioncreated else ""


def _as_strict(item: Item, whole: Item | None) -> Item:
    """Return the item of a part in a state at least as strict as that of the whole."""
    if whole is None or whole.uri == item.uri:
        return item
    if item.pubstatus is PubStatus.USABLE:
        item = replace(item, pubstatus=whole.pubstatus)
    elif whole.pubstatus is PubStatus.CANCELED:
        item = replace(item, pubstatus=PubStatus.CANCELED)
    times = [one for one in (item.embargoed, whole.embargoed) if one is not None]
    return replace(item, embargoed=max(times, default=None))
