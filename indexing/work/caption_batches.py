"""Batches of captions: waiting stills go out in packets, and come back as captions in the ledger.

    unsent ──> packet ──> batch ──> answered ──> its asset is described and applied once more

Each arrow is durable, so that a process may end anywhere: a packet is made before it is sent, what
does not go along leaves it before that, too, and sent again it is the batch that is there already.
Of stills that look the same one is sent; when it has its caption the others share it. What a batch
gave no answer of goes into another one, TRIES times in all.

What goes into a packet is `indexing.work.caption_packets`. What waits for another model or prompt
than the present one is never sent: its asset is described again, which notes it anew.
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
from core.media_ports import MediaStore
from core.work import Stage, WaitingStill
from core.work_ports import Likenesses, WaitingStills
from indexing.captions.batch import Leave, Submission
from indexing.captions.calls import CAP
from indexing.captions.gate import RIGHTS
from indexing.captions.rights import RightsNow
from indexing.work.caption_packets import PAGE, Packets
from indexing.work.desk import JobDesk
from indexing.work.remembered import Remembered, caption_tree
from indexing.work.stages.alike import SAME_PICTURE_BITS
from indexing.work.stages.asking import Scale

MOST = 1_000  # stills in a batch
TRIES = 3
UNRECORDED = "not in the archive yet, or taken out of it"
RENEWED = "noted for another model or prompt: `dateline worker` notes it anew"

Outcomes = Mapping[str, Caption | Uncaptioned]


class Batches(Protocol):
    """A provider's batches, see `indexing.captions.batch.BatchCaptioner`."""

    @property
    def digest(self) -> str:
        """Of the model and the prompt."""
        ...

    def submit(self, stills: Mapping[str, ToCaption], packet: str, leave: Leave) -> Submission:
        """Hands stills in by key; a packet is one batch, however often it is handed in. `leave` is
        told what is not put into it, before anything is sent.
        """
        ...

    def results(self, batch: str, contexts: Mapping[str, str]) -> Outcomes | None:
        """The outcome of each, None while the batch goes on."""
        ...


@dataclass(slots=True)
class BatchReport:
    """What was done: `batches` that were made or have ended, `stills` sent, `captions` that came,
    reasons of what was not sent or gave none, `applied` again, batches still `open`, and what could
    not be asked just now.
    """

    batches: int = 0
    stills: int = 0
    captions: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    applied: int = 0
    open: int = 0
    troubles: list[str] = field(default_factory=list)


class CaptionBatches:
    """Sends waiting stills and fetches their captions. One process at a time should send, else a
    still may be sent twice.
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
        """Sends what waits, as far as the day's cap goes; first what a process that ended was at.
        Raises UnavailableError, ModelError, StorageError: what was sent by then is noted.
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
        """Fetches what has come, and has the assets applied again by whoever works on orders."""
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
        """Gives a batch up that the provider knows no more, or a packet that it won't take: its
        stills are sent anew; how many. Raises NotFoundError.
        """
        under_way = self._waiting.under_way()
        stills = [still for still in under_way if batch and batch in (still.batch, still.packet)]
        if not stills:
            raise NotFoundError("no such batch is under way", where=batch)
        keys = {still.key for still in stills}
        self._waiting.unpack(stills[0].packet, keys, failed=True)
        return len(keys)

    def _send(self, packet: str, report: BatchReport) -> set[str]:
        """Hands a packet in; what is refused leaves it, for good or until later. The keys of what
        is put off to another run.
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
            """What would stay in a packet that it was not sent with would count as unanswered."""
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
        """Has the assets of what waits for another model or prompt described again. Where a job is
        no more, the next ingest of the same files notes what it needs.
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
        """What will never have a caption is remembered, and not asked about again."""
        self._known.put({key: {"none": why.reason} for key, why in refused.items()})
        self._waiting.answer(packet, refused)

    def _forget(self, packet: str, keys: Collection[str]) -> None:
        """What had its tries waits no more; the next ingest of the same file asks again."""
        self._waiting.drop(
            [still.id for still in self._packets.stills(packet) if still.key in keys]
        )

    def _keep(
        self, stills: Sequence[WaitingStill], outcomes: Outcomes, report: BatchReport
    ) -> None:
        """What a batch gave: to the ledger first, then it is noted as answered."""
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
        """What waits and looks the same as what has a caption by now needs none of its own."""
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
        """Has the assets of what was answered described again, which takes the captions in; how
        many. Where a job is no more, the next ingest of the same files does.
        """
        answered = self._waiting.answered()
        return sum(
            self._again(job, [still for still in answered if still.job == job])
            for job in dict.fromkeys(still.job for still in answered)
        )

    def _again(self, job: str, stills: Sequence[WaitingStill]) -> int:
        """Has assets of a job described again; how many. What nobody will work on is dropped."""
        again, over = self._desk.again(job, {s.number for s in stills}, Stage.DESCRIBE)
        self._waiting.drop([still.id for still in stills if still.number in over])
        return again
