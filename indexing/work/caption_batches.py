"""Batches of captions: waiting stills are sent in packets, and their captions go into the ledger.

    unsent ──> packet ──> batch ──> answered ──> its asset is described and applied once more

Each arrow is durable, so that a process may end anywhere. A packet is made before it is sent, and
stills that are not sent leave it before that too; a packet that is sent again is the existing
batch. Of stills that look the same one is sent; when it has its caption the others share it. Stills
without an answer go into another batch, TRIES times in all.

`indexing.work.caption_packets` chooses the stills of a packet. A still that waits for another model
or prompt than the present one is never sent: its asset is described again, which notes it again.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol

from core.errors import ModelError, NotFoundError, UnavailableError
from core.media import Caption, ToCaption, Uncaptioned
from core.ports.media import MediaStore
from core.ports.work import Likenesses, WaitingStills
from core.work import Stage, WaitingStill
from indexing.captions.batch import Leave, Submission
from indexing.captions.calls import CAP
from indexing.captions.rights import RIGHTS, RightsNow
from indexing.work.caption_packets import PAGE, Packets
from indexing.work.desk import JobDesk
from indexing.work.remembered import Remembered, caption_tree
from indexing.work.stages.asking import SAME_PICTURE_BITS, Scale

MOST = 1_000  # stills in a batch
TRIES = 3
UNRECORDED = "not in the archive yet, or taken out of it"
RENEWED = "noted for another model or prompt: `dateline worker` notes it again"

Outcomes = Mapping[str, Caption | Uncaptioned]


class Batches(Protocol):
    """A provider's batches; `indexing.captions.batch.BatchCaptioner` is one."""

    @property
    def digest(self) -> str:
        """Return the digest of the model and the prompt."""
        ...

    def submit(self, stills: Mapping[str, ToCaption], packet: str, leave: Leave) -> Submission:
        """Send stills by key; a packet is one batch, however often it is sent. `leave` gets the
        stills that are not sent, before anything is sent.
        """
        ...

    def results(self, batch: str, contexts: Mapping[str, str]) -> Outcomes | None:
        """Return the outcome of each still, None while the batch is in progress."""
        ...


@dataclass(slots=True)
class BatchReport:
    """What was done: `batches` that were made or have ended, `stills` sent, `captions` received,
    `reasons` why stills were not sent or got none, assets `applied` again, batches still `open`,
    and `troubles` with batches that could not be asked.
    """

    batches: int = 0
    stills: int = 0
    captions: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    applied: int = 0
    open: int = 0
    troubles: list[str] = field(default_factory=list)


class CaptionBatches:
    """Sends waiting stills and fetches their captions. Only one process at a time should send, else
    a still may be sent twice.
    """

    def __init__(
        self,
        waiting: WaitingStills,
        batches: Batches,
        store: MediaStore,
        known: Remembered,
        likenesses: Likenesses,
        desk: JobDesk,
        scale: Scale,
        rights: RightsNow,
        *,
        most: int = MOST,
    ) -> None:
        self._waiting = waiting
        self._batches = batches
        self._known = known
        self._likenesses = likenesses
        self._desk = desk
        self._packets = Packets(waiting, batches.digest, store, scale, rights, most)

    def submit(self) -> BatchReport:
        """Send the waiting stills that the day's cap allows; first the unsent packets of a process
        that ended. Raises UnavailableError, ModelError, StorageError: what was sent before is
        noted.
        """
        report = BatchReport()
        put_off: set[str] = set()
        unsent = (still.packet for still in self._waiting.under_way() if not still.batch)
        for packet in dict.fromkeys(unsent):
            put_off |= self._send(packet, report)
        self._renew(report)
        self._share()
        while CAP not in report.reasons and (chosen := self._packets.chosen(put_off)):
            packet = uuid.uuid4().hex
            self._waiting.pack(packet, chosen)
            put_off |= self._send(packet, report)
        return report

    def collect(self) -> BatchReport:
        """Fetch the answers, and order the assets to be applied again."""
        report = BatchReport()
        sent = [still for still in self._waiting.under_way() if still.batch]
        for batch in dict.fromkeys(still.batch for still in sent):
            stills = [still for still in sent if still.batch == batch]
            contexts = {still.key: still.context for still in stills}
            try:
                outcomes = self._batches.results(batch, contexts)
            except (UnavailableError, ModelError) as error:
                report.troubles.append(f"{batch}: {error}")
                continue
            if outcomes is None:
                report.open += 1
            else:
                self._keep(stills, outcomes, report)
        self._share()
        report.applied = self._apply()
        return report

    def release(self, batch: str) -> int:
        """Give up a batch that the provider no longer knows, or a packet that it refuses; return
        how many stills will be sent again. Raises NotFoundError.
        """
        under_way = self._waiting.under_way()
        stills = [still for still in under_way if batch and batch in (still.batch, still.packet)]
        if not stills:
            raise NotFoundError("no such batch is under way", where=batch)
        keys = {still.key for still in stills}
        self._waiting.unpack(stills[0].packet, keys, failed=True)
        return len(keys)

    def _send(self, packet: str, report: BatchReport) -> set[str]:
        """Send a packet; refused stills leave it, for good or until later. Return the keys of those
        that wait for another run.
        """
        jpegs, gone = self._packets.pictures(packet)
        if gone:
            self._forget(packet, gone)
        judged = self._packets.judged(packet, jpegs)
        wanted = {
            still.key: ToCaption(jpegs[still.key], still.context, True, still.language)
            for still in reversed(judged.fit)
        }

        def leave(refused: Mapping[str, Uncaptioned]) -> None:
            """Take refused stills out: in a packet that was sent they would count as unanswered."""
            self._refuse(packet, {key: why for key, why in refused.items() if not why.again})
            self._waiting.drop(judged.forbidden)
            later = {key for key, why in refused.items() if why.again}
            others = (judged.later | judged.outdated) - wanted.keys()
            self._waiting.unpack(packet, later | others)

        sent = self._batches.submit(wanted, packet, leave)
        if sent.batch:
            self._waiting.send(packet, sent.batch)
            report.batches += 1
            report.stills += len(jpegs) if sent.there else len(wanted) - len(sent.refused)
        if sent.there:
            return set()
        report.reasons.update(why.reason for why in sent.refused.values())
        report.reasons.update({RIGHTS: len(judged.forbidden)} if judged.forbidden else {})
        report.reasons.update({UNRECORDED: len(judged.later)} if judged.later else {})
        return judged.later

    def _renew(self, report: BatchReport) -> None:
        """Order the assets of stills for another model or prompt to be described again. If their
        job no longer exists, the next ingest of the same files notes what it needs.
        """
        after = 0
        outdated: list[WaitingStill] = []
        while page := self._waiting.unsent(after, PAGE):
            after = page[-1].id
            outdated += [still for still in page if still.terms != self._batches.digest]
        for job in dict.fromkeys(still.job for still in outdated):
            self._again(job, [still for still in outdated if still.job == job])
        report.reasons.update({RENEWED: len(outdated)} if outdated else {})

    def _refuse(self, packet: str, refused: Mapping[str, Uncaptioned]) -> None:
        """Remember stills that will never have a caption, so that they are not asked about
        again.
        """
        self._known.put({key: {"none": why.reason} for key, why in refused.items()})
        self._waiting.answer(packet, refused)

    def _forget(self, packet: str, keys: Collection[str]) -> None:
        """Drop stills after their last try; the next ingest of the same file asks again."""
        self._waiting.drop(
            [still.id for still in self._packets.stills(packet) if still.key in keys]
        )

    def _keep(
        self, stills: Sequence[WaitingStill], outcomes: Outcomes, report: BatchReport
    ) -> None:
        """Keep a batch's answers: first in the ledger, then they are noted as answered."""
        packet = stills[0].packet
        by_key = {still.key: still for still in stills}
        captions = {key: one for key, one in outcomes.items() if isinstance(one, Caption)}
        others = {key: one for key, one in outcomes.items() if isinstance(one, Uncaptioned)}
        self._known.put({key: caption_tree(caption) for key, caption in captions.items()})
        for key in captions:
            self._likenesses.add(by_key[key].space, {by_key[key].similarity: key})
        self._waiting.answer(packet, captions)
        self._refuse(packet, {key: why for key, why in others.items() if not why.again})
        again = {key for key, why in others.items() if why.again}
        spent = {key for key in again if by_key[key].tries + 1 >= TRIES}
        if spent:
            self._forget(packet, spent)
        self._waiting.unpack(packet, again - spent, failed=True)
        report.batches += 1
        report.captions += len(captions)
        report.reasons.update(why.reason for why in others.values())

    def _share(self) -> None:
        """Mark stills as answered that look the same as one that now has a caption."""
        after = 0
        while page := self._waiting.unsent(after, PAGE):
            after = page[-1].id
            for space, some in groupby(sorted(page, key=lambda s: s.space), lambda s: s.space):
                alike = list(some)
                hashes = [still.similarity for still in alike]
                kept = self._likenesses.nearest(space, hashes, SAME_PICTURE_BITS)
                has = {s.key for s, key in zip(alike, kept, strict=True) if key is not None}
                self._waiting.answer("", has)

    def _apply(self) -> int:
        """Order the assets of answered stills to be described again, which takes the captions;
        return how many. If their job no longer exists, the next ingest of the same files does it.
        """
        answered = self._waiting.answered()
        return sum(
            self._again(job, [still for still in answered if still.job == job])
            for job in dict.fromkeys(still.job for still in answered)
        )

    def _again(self, job: str, stills: Sequence[WaitingStill]) -> int:
        """Order assets of a job to be described again; return how many. Drop those given up."""
        again, over = self._desk.again(job, {s.number for s in stills}, Stage.DESCRIBE)
        self._waiting.drop([still.id for still in stills if still.number in over])
        return again
