"""The describe stage: captions for stills that have none, near-duplicates asked about once.

What a captioner can't describe does not hold up its asset: the item is applied without, and the
next ingest of the same files asks again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from core.errors import ModelError, StorageError
from core.media import Caption, ToCaption, Uncaptioned
from core.media_ports import Captioner, MediaStore
from core.work import Stage, Tracked
from core.work_ports import Likenesses
from indexing.work.preparing import Prepared, Preparing, Wish
from indexing.work.remembered import Remembered, caption_tree
from indexing.work.stage import Stop, Worked, with_made

SAME_PICTURE_BITS = 31  # of 256: the threshold of PDQ's makers
AT_ONCE = 16  # stills in one call of the captioner

Scale = Callable[[bytes], bytes]  # a JPEG to the size that the captioner takes


@dataclass(frozen=True, slots=True)
class _Question:
    wish: Wish
    of: Prepared


class DescribeStage:
    """`indexing.work.stage.StageWork`. Thread-safe. Without a captioner it only passes on. `scale`
    makes a still as small as the captioner wants it.
    """

    def __init__(
        self,
        preparing: Preparing,
        captioner: Captioner | None,
        store: MediaStore,
        known: Remembered,
        likenesses: Likenesses,
        scale: Scale,
    ) -> None:
        self._preparing = preparing
        self._captioner = captioner
        self._store = store
        self._known = known
        self._likenesses = likenesses
        self._scale = scale

    def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
        """See `indexing.work.stage.StageWork`."""
        if self._captioner is None:
            yield from (Worked(asset) for asset in assets)
            return
        ready: list[Prepared] = []
        for asset in assets:
            prepared = self._prepared(asset)
            if isinstance(prepared, Prepared):
                ready.append(prepared)
            else:
                yield prepared
        yield from self._describe(ready, self._captioner, stop)

    def _prepared(self, asset: Tracked) -> Prepared | Worked:
        try:
            prepared = self._preparing.prepare(asset)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - an asset fails alone
            return Worked(asset, error)
        return prepared or Worked(replace(asset, stage=Stage.DECODE))

    def _describe(
        self, ready: Sequence[Prepared], captioner: Captioner, stop: Stop
    ) -> Iterator[Worked]:
        """Asks about what no caption is remembered of; assets whose stills were not all asked
        about when it is stopped are left out.
        """
        questions = self._unanswered(ready)
        tally = _Tally()
        for start in range(0, len(questions), AT_ONCE):
            if stop():
                open_ = {question.wish.key for question in questions[start:]}
                tally.left |= {
                    each.asset.id
                    for each in ready
                    if any(wish is not None and wish.key in open_ for wish in each.wishes)
                }
                break
            self._ask(questions[start : start + AT_ONCE], captioner, tally)
        for prepared in ready:
            asset = prepared.asset
            if asset.id not in tally.left:
                made, shared = tally.made.get(asset.id, 0), tally.shared.get(asset.id, 0)
                asset = replace(asset, cause=tally.reasons.get(asset.id, ""))
                yield Worked(with_made(asset, captioned=made, shared=shared))

    def _unanswered(self, ready: Sequence[Prepared]) -> list[_Question]:
        """One question for each still that nothing is remembered of."""
        questions = {
            wish.key: _Question(wish, prepared)
            for prepared in ready
            for wish in prepared.wishes
            if wish is not None
        }
        known = self._known.get(list(questions))
        return [q for q, tree in zip(questions.values(), known, strict=True) if tree is None]

    def _answers(
        self, asked: Sequence[_Question], captioner: Captioner
    ) -> Sequence[Caption | Uncaptioned]:
        """A caption, or why there is none, for each; a model that fails holds no asset up."""
        try:
            return captioner.caption([self._to_caption(q) for q in asked]) if asked else ()
        except ModelError as error:
            return (Uncaptioned(error.what, again=True),) * len(asked)

    def _ask(self, questions: Sequence[_Question], captioner: Captioner, tally: _Tally) -> None:
        likes = self._alike(questions)
        asked = [q for q in questions if q.wish.key not in likes]
        answers = self._answers(asked, captioner)
        results: dict[str, dict[str, object]] = {}
        fresh: dict[str, dict[str, str]] = {}
        for question, answer in zip(asked, answers, strict=True):
            wish = question.wish
            tally.add(question.of.asset.id, answer)
            if isinstance(answer, Caption):
                results[wish.key] = caption_tree(answer)
                fresh.setdefault(question.of.space, {})[wish.similarity] = wish.key
            elif not answer.again and question.of.leaves:
                results[wish.key] = {"none": answer.reason}
        self._known.put(results)
        for space, kept in fresh.items():
            self._likenesses.add(space, kept)
        self._share(questions, likes, tally)

    def _share(
        self, questions: Sequence[_Question], likes: Mapping[str, str], tally: _Tally
    ) -> None:
        """Gives the caption of a picture to those that look the same."""
        followers = [q for q in questions if q.wish.key in likes]
        trees = self._known.get([likes[q.wish.key] for q in followers])
        self._known.put({q.wish.key: t for q, t in zip(followers, trees, strict=True) if t})
        for question, tree in zip(followers, trees, strict=True):
            if tree and "text" in tree:
                tally.share(question.of.asset.id)

    def _alike(self, questions: Sequence[_Question]) -> dict[str, str]:
        """By key, the key of the picture that it looks the same as: one that has a caption
        already, or an earlier one among the questions.
        """
        found: dict[str, str] = {}
        for space in dict.fromkeys(q.of.space for q in questions):
            wishes = [q.wish for q in questions if q.of.space == space]
            hashes = [wish.similarity for wish in wishes]
            kept = self._likenesses.nearest(space, hashes, SAME_PICTURE_BITS)
            found |= {w.key: key for w, key in zip(wishes, kept, strict=True) if key is not None}
            found |= _alike_among([wish for wish in wishes if wish.key not in found])
        return found

    def _to_caption(self, question: _Question) -> ToCaption:
        with self._store.open(question.wish.still) as stream:
            jpeg = stream.read()
        of = question.of
        return ToCaption(self._scale(jpeg), of.context, of.leaves, of.item.language)


class _Tally:
    """What the captioner said, by asset."""

    def __init__(self) -> None:
        self.made: dict[str, int] = {}
        self.shared: dict[str, int] = {}
        self.reasons: dict[str, str] = {}
        self.left: set[str] = set()

    def add(self, asset: str, answer: Caption | Uncaptioned) -> None:
        if isinstance(answer, Caption):
            self.made[asset] = self.made.get(asset, 0) + 1
        else:
            self.reasons[asset] = f"not described: {answer.reason}"

    def share(self, asset: str) -> None:
        self.shared[asset] = self.shared.get(asset, 0) + 1


def _alike_among(wishes: Sequence[Wish]) -> dict[str, str]:
    """By key, the key of the first of `wishes` that it looks the same as."""
    found: dict[str, str] = {}
    firsts: list[Wish] = []
    bits = [_bits(wish.similarity) for wish in wishes]
    rows: list[npt.NDArray[np.uint8]] = []
    for wish, own in zip(wishes, bits, strict=True):
        apart = np.bitwise_count(np.array(rows) ^ own).sum(axis=1) if rows else np.empty(0)
        near = int(apart.argmin()) if len(apart) else -1
        if near >= 0 and apart[near] <= SAME_PICTURE_BITS:
            found[wish.key] = firsts[near].key
        else:
            firsts.append(wish)
            rows.append(own)
    return found


def _bits(similarity: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(similarity), np.uint8)
