"""An asset between decoding and the record: its item without captions, and what may get one.

A still gets a caption where the agency says nothing of it itself, or, where that is wanted, always;
never where it is black. A caption is remembered by the still's own bytes, by the captioner's digest
and by whom it may be shown to: its context is the agency's text for certain products, and its
rights say whether it may be sent at all. So nothing is shared across rights, nor across embargoes:
a caption may tell what the text beside it told. The context is no part of the key: a changed text
of the agency's is not paid for again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from core.items import Item, PubStatus
from core.media import Caption
from core.work import Tracked
from indexing.captions.rights import Rule, may_leave
from indexing.media.asset import Asset, Enrichment
from indexing.media.metadata.sidecars import XMP_PACKET
from indexing.work.remembered import Remembered, caption_of, result_key
from indexing.work.stages.decoding import Decoder

MAX_CONTEXT = 2_000  # characters

BuildItem = Callable[[Asset, Enrichment, Item | None], Item]


@dataclass(frozen=True, slots=True)
class Wish:
    """A still that a caption is wanted for: its name in the media store, its perceptual hash, and
    under which key the caption is remembered.
    """

    still: str
    similarity: str
    key: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """An asset, its item as it is without captions, and a wish (or None) for each of the captions
    that it could have. `allowed` is what its rights say about outside services; `space` names those
    with whom its captions may be shared. `held` is whether the record holds it back, for who asked
    the record.
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
        """Whether it may be sent: what its document or the record holds back or kills may not,
        whatever the rights; see `indexing.captions.rights.may_leave_as_recorded`.
        """
        return self.allowed and not self.held and self.item.pubstatus is PubStatus.USABLE

    @property
    def context(self) -> str:
        """What the agency says of it, for who describes it."""
        item = self.item
        parts = (item.headline, item.description, item.located)
        return "\n".join(part for part in parts if part)[:MAX_CONTEXT]

    def space_of(self, captioner: str) -> str:
        """What `space` is for another captioner's digest."""
        return _space(captioner, self.item, self.allowed)


class Preparing:
    """Makes `Prepared` of assets that were decoded."""

    def __init__(
        self,
        decoder: Decoder,
        build: BuildItem,
        known: Remembered,
        captioner: str,
        *,
        every: bool = False,
        rule: Rule = "unless_forbidden",
    ) -> None:
        """`captioner` is its digest, "" for none. `every` wants captions for what the agency
        describes, too; `rule` says what leaves where rights say nothing.
        """
        self._decoder = decoder
        self._build = build
        self._known = known
        self._captioner = captioner
        self._every = every
        self._rule: Rule = rule

    def prepare(self, asset: Tracked) -> Prepared | None:
        """None where the ledger does not know the file (any more). Raises DocumentError."""
        enrichment = self._decoder.recall(asset.digest, asset.found.sidecar)
        if enrichment is None:
            return None
        found = asset.found
        source = Asset(found.location, asset.digest, found.size, found.sidecar, found.products)
        item = self._build(source, enrichment, None)
        allowed = self._allowed(source, enrichment)
        space = _space(self._captioner, item, allowed)
        wishes = self._wishes(enrichment, item, space)
        return Prepared(asset, source, enrichment, item, allowed, space, wishes)

    def captioned(self, prepared: Prepared, recorded: Item | None) -> Item:
        """The item with every caption that is remembered by now, as the version of it that follows
        `recorded`, or that is recorded already. Raises DocumentError.
        """
        captions = self.captions(prepared.wishes)
        enrichment = replace(prepared.enrichment, captions=captions)
        return self._build(prepared.source, enrichment, recorded)

    def captions(self, wishes: Sequence[Wish | None]) -> tuple[Caption | None, ...]:
        """What is remembered for each wish."""
        keys = [wish.key for wish in wishes if wish is not None]
        known = dict(zip(keys, self._known.get(keys), strict=True)) if keys else {}
        found = (known.get(wish.key) if wish is not None else None for wish in wishes)
        return tuple(None if not tree or "text" not in tree else caption_of(tree) for tree in found)

    def _allowed(self, source: Asset, enrichment: Enrichment) -> bool:
        if any(note.startswith("xmp ") for note in enrichment.facts.notes):
            return False  # its packet was too long or damaged: what can't be read forbids
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
    """What the caption of a still is remembered under, for those who may share it."""
    return result_key(still, "caption", space, {})


def _space(captioner: str, item: Item, allowed: bool) -> str:
    parts: list[object] = [captioner, sorted(item.products), item.language, allowed]
    if item.embargoed is not None:  # else the key is that of before there was this part
        parts.append(item.embargoed.isoformat())
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()
