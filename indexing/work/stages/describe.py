"""The describe stage: captions for stills that have none, at once or in a batch later.

A still that can't be described does not stop its asset: the item is applied without its caption,
and the next ingest of the same files asks again. Stills for a batch are noted: their items are
applied without captions now, and with them later.

If another model was set meanwhile, the former model's paid work is used: a caption that it made is
the picture's, and while its batch is in progress nobody else is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from core.ports.work import Likenesses, WaitingStills
from core.work import Stage, Tracked, WaitingStill
from indexing.captions.rights import RIGHTS
from indexing.work.remembered import Remembered
from indexing.work.stages.asking import Asking, Question, Told, kept_alike, questions_of, share
from indexing.work.stages.preparing import Prepared, Preparing, caption_key
from indexing.work.stages.stage import Stop, Worked, with_made

WAITS = "not described yet: waits for a batch of captions"


@dataclass(slots=True)
class _Earlier:
    """The results of another model's batches: the questions, named by asset and key, that have a
    caption now, and by question the still that is in progress.
    """

    described: set[tuple[str, str]] = field(default_factory=set)
    sent: dict[tuple[str, str], WaitingStill] = field(default_factory=dict)


class AskLater:
    """Implements `indexing.work.stages.asking.Asking` and sends nothing. If an asset is no longer
    asked about, because its rights or its text changed, its waiting stills are taken back. `terms`
    is the digest of the model and the prompt that it waits for. Thread-safe.
    """

    def __init__(
        self, waiting: WaitingStills, known: Remembered, likenesses: Likenesses, terms: str
    ) -> None:
        self._waiting = waiting
        self._terms = terms
        self._known = known
        self._likenesses = likenesses

    def ask(self, ready: Sequence[Prepared], stop: Stop) -> Told:
        """Note each still that needs a caption and has none."""
        told = Told()
        questions = questions_of(ready, self._known)
        earlier = self._earlier(questions)
        questions = [one for one in questions if _name(one) not in earlier.described]
        likes = kept_alike(questions, self._likenesses)
        share(questions, likes, self._known, told)
        stills = []
        for question in questions:
            if question.wish.key in likes:
                continue
            may_leave = question.of.leaves
            told.reasons[question.of.asset.id] = WAITS if may_leave else f"not described: {RIGHTS}"
            if may_leave:
                stills.append(_waiting(question, self._terms, earlier.sent.get(_name(question))))
        self._waiting.replace([one.source.location for one in ready], stills)
        return told

    def _earlier(self, questions: Sequence[Question]) -> _Earlier:
        """Take over captions of the former model if only the model differs, because nothing is
        shared across rights.
        """
        found = _Earlier()
        sent = self._sent_for_others(questions)
        known = self._known.get([still.key for _, still in sent]) if sent else ()
        for (question, still), tree in zip(sent, known, strict=True):
            if tree is None and still.packet:
                found.sent[_name(question)] = still
            elif tree and "text" in tree:
                self._known.put({question.wish.key: tree})
                kept = {question.wish.similarity: question.wish.key}
                self._likenesses.add(question.of.space, kept)
                found.described.add(_name(question))
        return found

    def _sent_for_others(
        self, questions: Sequence[Question]
    ) -> list[tuple[Question, WaitingStill]]:
        """Return the stills noted for another model, with the questions that they would answer."""
        noted = self._waiting.of_assets({question.of.source.location for question in questions})
        others = {(one.location, one.key): one for one in noted if one.terms != self._terms}
        terms = {still.terms for still in others.values()}
        return [
            (question, others[name])
            for question in questions
            for each in terms
            if (name := _noted_as(question, each)) in others
        ]


def _noted_as(question: Question, terms: str) -> tuple[str, str]:
    """Return the place and the key of a still that is noted for a model."""
    key = caption_key(question.wish.still, question.of.space_of(terms))
    return question.of.source.location, key


def _name(question: Question) -> tuple[str, str]:
    return question.of.asset.id, question.wish.key


def _waiting(question: Question, terms: str, sent: WaitingStill | None) -> WaitingStill:
    """Return the waiting still, in the batch that it was sent with if that is in progress."""
    of, wish = question.of, question.wish
    still = WaitingStill(
        key=wish.key,
        location=of.source.location,
        job=of.asset.job,
        number=of.asset.number,
        still=wish.still,
        similarity=wish.similarity,
        space=of.space,
        context=of.context,
        language=of.item.language,
        may_leave=of.leaves,
        uri=of.item.uri,
        terms=terms,
    )
    if sent is None:
        return still
    return replace(still, key=sent.key, space=sent.space, terms=sent.terms)


class DescribeStage:
    """`indexing.work.stages.stage.StageWork`. Thread-safe. Without `asking` it only passes assets
    on to the stage `then`.
    """

    def __init__(
        self, preparing: Preparing, asking: Asking | None, then: Stage = Stage.APPLY
    ) -> None:
        self._preparing = preparing
        self._asking = asking
        self._then = then

    def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
        """Ask about the stills of each asset, and pass the asset on."""
        if self._asking is None:
            yield from (Worked(replace(asset, stage=self._then)) for asset in assets)
            return
        ready: list[Prepared] = []
        for asset in assets:
            prepared = self._preparing.prepare(asset)
            if isinstance(prepared, Prepared):
                ready.append(prepared)
            else:
                yield prepared
        told = self._asking.ask(ready, stop)
        for prepared in ready:
            asset = prepared.asset
            if asset.id not in told.left:
                made, shared = told.made.get(asset.id, 0), told.shared.get(asset.id, 0)
                cause = told.reasons.get(asset.id, "")
                asset = replace(asset, cause=cause, stage=self._then)
                yield Worked(with_made(asset, captioned=made, shared=shared))
