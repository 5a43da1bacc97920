"""Noting stills for a batch of captions: the items are applied without, and again when it came."""

from __future__ import annotations

from collections.abc import Sequence

from core.work import WaitingStill
from core.work_ports import Likenesses, WaitingStills
from indexing.captions.gate import RIGHTS
from indexing.work.asking import Question, Told, kept_alike, questions_of, share
from indexing.work.preparing import Prepared
from indexing.work.remembered import Remembered
from indexing.work.stage import Stop

WAITS = "not described yet: waits for a batch of captions"


class AskLater:
    """`indexing.work.asking.Asking` that sends nothing. What an asset waited for before and is not
    asked about any more, for its rights or its text changed, is taken back. `terms` is the digest
    of the model and the prompt that it waits for. Thread-safe.
    """

    def __init__(
        self, waiting: WaitingStills, known: Remembered, likenesses: Likenesses, terms: str
    ) -> None:
        self._waiting = waiting
        self._terms = terms
        self._known = known
        self._likenesses = likenesses

    def ask(self, ready: Sequence[Prepared], stop: Stop) -> Told:
        """See `indexing.work.asking.Asking`."""
        told = Told()
        questions = questions_of(ready, self._known)
        likes = kept_alike(questions, self._likenesses)
        share(questions, likes, self._known, told)
        stills = []
        for question in questions:
            if question.wish.key in likes:
                continue
            may_leave = question.of.leaves
            told.reasons[question.of.asset.id] = WAITS if may_leave else f"not described: {RIGHTS}"
            if may_leave:
                stills.append(_waiting(question, self._terms))
        self._waiting.replace([one.source.location for one in ready], stills)
        return told


def _waiting(question: Question, terms: str) -> WaitingStill:
    of, wish = question.of, question.wish
    return WaitingStill(
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
