"""An asset between decoding and the record: its item without captions, and stills that need one.

A still gets a caption if the agency itself says nothing about it, or always if the settings want
that, but never if it is black. A caption is remembered by the still's own bytes, by the captioner's
digest and by its readers: its context is the agency's text for certain products, and its rights say
whether it may be sent at all. So nothing is shared across rights or embargoes: a caption may repeat
what the text beside it says. The context is not part of the key: a changed text of the agency is
not paid for again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from core.errors import StorageError
from core.items import Item, PubStatus
from core.media import Caption
from core.work import Stage, Tracked
from indexing.captions.rights import Rule, may_leave
from indexing.media.assets import Asset, Enrichment
from indexing.media.metadata.sidecars import XMP_PACKET
from indexing.work.remembered import Remembered, caption_of, result_key
from indexing.work.stages.decode import Decoder
from indexing.work.stages.stage import Worked

MAX_CONTEXT = 2_000  # characters

BuildItem = Callable[[Asset, Enrichment, Item | None], Item]
# Adds the words that a stage has found in the file with this digest. The last argument is whether
# rights let an outside service have it: what such a service has found is not used without that.
Words = Callable[[str, Enrichment, bool], Enrichment]


@dataclass(frozen=True, slots=True)
class Wish:
    """A still that needs a caption: its name in the media store, its perceptual hash, and the key
    of its caption.
    """

    still: str
    similarity: str
    key: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """An asset, its item without captions, and a wish (or None) for each of its possible captions.
    `allowed` is what its rights say about outside services; `space` names the readers that may
    share its captions. `held` says whether the record forbids sending it, if the record was asked.
    """

    asset: Tracked
    source: Asset
    enrichment: Enrichment
    item: Item
    allowed: bool
    space: str
    wishes: tuple[Wish | None, ...]
    held: bool = False

    @property
    def leaves(self) -> bool:
        """Return whether it may be sent: never if its document or the record withholds or kills it,
        whatever the rights (`indexing.captions.rights.may_leave_as_recorded`).
        """
        return self.allowed and not self.held and self.item.pubstatus is PubStatus.USABLE

    @property
    def context(self) -> str:
        """Return the agency's text about it, for the captioner."""
        item = self.item
        parts = (item.headline, item.description, item.located)
        return "\n".join(part for part in parts if part)[:MAX_CONTEXT]

    def space_of(self, captioner: str) -> str:
        """Return its `space` for another captioner's digest."""
        return _space(captioner, self.item, self.allowed)


class Preparing:
    """Makes `Prepared` from decoded assets."""

    def __init__(
        self,
        decoder: Decoder,
        build: BuildItem,
        known: Remembered,
        captioner: str,
        *,
        every: bool = False,
        rule: Rule = "unless_forbidden",
        words: Sequence[Words] = (),
    ) -> None:
        """`captioner` is its digest, "" for none. With `every`, stills that the agency describes
        need captions too; `rule` says what may be sent if rights say nothing. `words` add what
        other stages have found.
        """
        self._decoder = decoder
        self._build = build
        self._known = known
        self._captioner = captioner
        self._every = every
        self._rule: Rule = rule
        self._words = tuple(words)

    def prepare(self, asset: Tracked) -> Prepared | Worked:
        """Return the prepared asset. If the ledger has no result for it, it goes back to be
        decoded; if it fails, it fails alone. Raises StorageError.
        """
        try:
            return self._prepared(asset) or Worked(replace(asset, stage=Stage.DECODE))
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - an asset fails alone
            return Worked(asset, error)

    def _prepared(self, asset: Tracked) -> Prepared | None:
        enrichment = self._decoder.recall(asset.digest, asset.found.sidecar)
        if enrichment is None:
            return None
        found = asset.found
        source = Asset(found.location, asset.digest, found.size, found.sidecar, found.products)
        allowed = self._allowed(source, enrichment)
        for found_in in self._words:
            enrichment = found_in(asset.digest, enrichment, allowed)
        item = self._build(source, enrichment, None)
        space = _space(self._captioner, item, allowed)
        wishes = self._wishes(enrichment, item, space)
        return Prepared(asset, source, enrichment, item, allowed, space, wishes)

    def captioned(self, prepared: Prepared, recorded: Item | None) -> Item:
        """Return the item with all remembered captions, as the version after `recorded`, or as that
        version itself. Raises DocumentError.
        """
        captions = self.captions(prepared.wishes)
        enrichment = replace(prepared.enrichment, captions=captions)
        return self._build(prepared.source, enrichment, recorded)

    def captions(self, wishes: Sequence[Wish | None]) -> tuple[Caption | None, ...]:
        """Return the remembered caption for each wish."""
        keys = [wish.key for wish in wishes if wish is not None]
        known = dict(zip(keys, self._known.get(keys), strict=True)) if keys else {}
        found = (known.get(wish.key) if wish is not None else None for wish in wishes)
        return tuple(None if not tree or "text" not in tree else caption_of(tree) for tree in found)

    def _allowed(self, source: Asset, enrichment: Enrichment) -> bool:
        if any(note.startswith("xmp ") for note in enrichment.facts.notes):
            return False  # its packet was too long or damaged: an unreadable one forbids
        said: Mapping[str, Any] = source.sidecar or {}
        packets = (enrichment.facts.tags.get("xmp", ""), said.get(XMP_PACKET, ""))
        return may_leave([str(packet) for packet in packets], [said], self._rule)

    def _wishes(self, enrichment: Enrichment, item: Item, space: str) -> tuple[Wish | None, ...]:
        if not self._captioner:
            return (None,) * len(enrichment.captions)
        if not enrichment.shots:
            own = bool(item.description) and not self._every
            still = "" if own or not enrichment.captions else enrichment.preview
            return (_wish(still, enrichment.similarity, space),) * len(enrichment.captions)
        described = [bool(shot.description and not shot.described_by) for shot in item.shots]
        return tuple(
            _wish("" if own and not self._every else shot.thumbnail, shot.similarity, space)
            for shot, own in zip(enrichment.shots, described, strict=True)
        )


def _wish(still: str, similarity: str, space: str) -> Wish | None:
    if not still or not similarity:
        return None
    return Wish(still, similarity, caption_key(still, space))


def caption_key(still: str, space: str) -> str:
    """Return the key of a still's caption, for the readers that may share it."""
    return result_key(still, "caption", space, {})


def _space(captioner: str, item: Item, allowed: bool) -> str:
    parts: list[object] = [captioner, sorted(item.products), item.language, allowed]
    if (
        item.embargoed is not None
    ):  # without an embargo the key is the same as before this part existed
        parts.append(item.embargoed.isoformat())
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()
