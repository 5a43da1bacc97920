"""The apply stage: items, their vectors, and the record of truth.

An item that is recorded already stays as it is. A different one becomes the next version of the
item (`indexing.media.assets`), with the state (killed, withheld, embargoed) that an editor gave the
recorded one. If a document names its version, that version stays as it was recorded, even if a
model has new words for it: they go into the document's next version. Putting the same item again
changes nothing, so a chunk may be applied any number of times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from core.errors import ConflictError, DatelineError, StorageError
from core.items import Item, PubStatus, Shot
from core.media_words import MEDIA_WORDS
from core.tracing import Span
from core.work import Tracked
from core.writes import REFUSED, Outcome, Written
from indexing.ingest import Ingest
from indexing.media.assets import content_of
from indexing.work.stages.preparing import Prepared, Preparing
from indexing.work.stages.stage import Stop, Worked, with_made

_ROUNDS = 4  # if another process took the version, the newest one is looked up again
_OUTDATED = (
    "stays with what a model said of it when it was recorded: what it says now goes into the"
    " document's next version"
)

_MACHINES_WORDS = ("caption", "caption_by", *MEDIA_WORDS, *(f"{name}_by" for name in MEDIA_WORDS))

Newest = Callable[[Sequence[str]], Sequence[Item | None]]  # for each uri, whoever may see the item


@dataclass(frozen=True, slots=True)
class _Put:
    """The outcome of an item, whether it was embedded for that, and whether a model's words about
    it differ from the recorded ones.
    """

    written: Written
    embedded: bool
    outdated: bool


class ApplyStage:
    """`indexing.work.stages.stage.StageWork`. `newest` returns the newest recorded version of
    items.
    """

    def __init__(self, preparing: Preparing, ingest: Ingest, newest: Newest) -> None:
        self._preparing = preparing
        self._ingest = ingest
        self._newest = newest

    def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
        """Apply the chunk in one transaction; if that fails, each asset in its own."""
        ready: dict[str, Prepared] = {}
        again: list[Prepared] = []
        for asset in assets:
            prepared = self._preparing.prepare(asset)
            if isinstance(prepared, Worked):
                yield prepared
            elif prepared.item.uri in ready:
                again.append(prepared)  # an item that is twice in a chunk: one after the other
            else:
                ready[prepared.item.uri] = prepared
        yield from self._apply(list(ready.values()))
        for prepared in again:
            yield from self._apply([prepared])

    def _apply(self, ready: Sequence[Prepared]) -> Iterator[Worked]:
        try:
            done = self._settle(ready)
        except StorageError:
            raise
        except DatelineError as error:
            if len(ready) == 1:
                yield Worked(ready[0].asset, error)
                return
            for prepared in ready:
                yield from self._apply([prepared])
            return
        yield from (_worked(prepared.asset, done[prepared.item.uri]) for prepared in ready)

    def _settle(self, ready: Sequence[Prepared]) -> dict[str, _Put]:
        """Put every item; build an item again if another process took its version first."""
        done: dict[str, _Put] = {}
        left = list(ready)
        for _ in range(_ROUNDS):
            recorded = self._newest([prepared.item.uri for prepared in left])
            pairs = list(zip(left, recorded, strict=True))
            built = [self._preparing.captioned(*pair) for pair in pairs]
            items = [_over(item, *pair) for item, pair in zip(built, pairs, strict=True)]
            with Span("embed", {"dateline.items": len(items)}):
                writes = self._ingest.embed(items)
            with Span("record", {"dateline.items": len(writes)}):
                answers = self._ingest.put(writes)
            rows = zip(built, writes, answers, recorded, strict=True)
            for item, write, answered, before in rows:
                answer = _left_alone(answered, write.item, before)
                outdated = _says_more(item, write.item)
                done[answer.uri] = _Put(answer, bool(write.vectors), outdated)
            refused = {uri for uri, put in done.items() if put.written.outcome in REFUSED}
            left = [p for p in left if p.item.uri in refused and not _dated(p)]
            if not left:
                break
        return done


def _left_alone(answer: Written, item: Item, recorded: Item | None) -> Written:
    """Return the answer to the put of an item; unchanged if it equals the recorded one, which may
    have been written with names that are now removed (core.made_up_names).
    """
    if answer.outcome is not Outcome.CONFLICT or recorded is None:
        return answer
    same = content_of(item) == content_of(recorded)
    return replace(answer, outcome=Outcome.UNCHANGED) if same else answer


def item_of(preparing: Preparing, prepared: Prepared, recorded: Item | None) -> Item:
    """Return the item to put over the recorded one, in the state that an editor gave that."""
    return _over(preparing.captioned(prepared, recorded), prepared, recorded)


def _over(item: Item, prepared: Prepared, recorded: Item | None) -> Item:
    if recorded is not None and recorded.version == item.version and _dated(prepared):
        # Words may come from a similar picture within some products: not for more of them.
        return _as_recorded(item, recorded) if {*item.products} <= {*recorded.products} else item
    if recorded is None or recorded.version >= item.version or _dated(prepared):
        return item
    usable = recorded.pubstatus is PubStatus.USABLE
    return replace(
        item,
        pubstatus=item.pubstatus if usable else recorded.pubstatus,
        embargoed=item.embargoed or recorded.embargoed,
    )


def _as_recorded(item: Item, recorded: Item) -> Item:
    """Return the item with the models' words of the time when this version was recorded."""
    shots = item.shots
    if [_unworded(shot) for shot in shots] == [_unworded(shot) for shot in recorded.shots]:
        shots = recorded.shots
    then = {name: getattr(recorded, name) for name in _MACHINES_WORDS}
    if not item.speech_by and item.speech:  # the agency's own, which its document has now
        then |= {"speech": item.speech, "speech_by": ""}
    return replace(item, shots=shots, **then)


def _unworded(shot: Shot) -> Shot:
    return replace(shot, description="", described_by="") if shot.described_by else shot


def _says_more(item: Item, put: Item) -> bool:
    """Return whether models have words for the item that it was put without."""
    told = {shot.description for shot in put.shots}
    words = [shot.description for shot in item.shots if shot.described_by]
    found = any(
        getattr(item, name) and getattr(item, name) != getattr(put, name) for name in MEDIA_WORDS
    )
    return found or item.caption not in ("", put.caption) or any(word not in told for word in words)


def _dated(prepared: Prepared) -> bool:
    """Return whether the asset's own document names its version."""
    return (prepared.source.sidecar or {}).get("version") is not None


def _worked(asset: Tracked, put: _Put) -> Worked:
    written = put.written
    if written.outcome is Outcome.STALE:
        cause = f"version {written.version} is older than the recorded one, which stays"
        return Worked(replace(asset, cause=cause))
    if written.outcome in REFUSED:
        return Worked(
            asset,
            ConflictError(
                f"version {written.version} is recorded with other content",
                where=written.uri,
                mend="give the changed document a higher version",
            ),
        )
    if put.outdated:
        asset = replace(asset, cause=f"version {written.version} {_OUTDATED}")
    is_new = written.outcome is not Outcome.UNCHANGED
    return Worked(with_made(asset, embedded=int(put.embedded), written=int(is_new)))
