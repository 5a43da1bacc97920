"""Asks a captioner about the stills of a chunk, once for near-duplicates.

Stills look the same if their perceptual hashes (PDQ, 256 bits) differ in few bits. Stills are
scaled to the size that a captioner takes, with the same caged reader as all else.
https://github.com/facebook/ThreatExchange/blob/main/hashing/hashing.pdf
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from core.errors import ModelError, StorageError
from core.media import Caption, ToCaption, Uncaptioned
from core.ports.media import Captioner, MediaReader, MediaStore
from core.ports.work import Likenesses
from indexing.captions.rights import RightsNow, jpeg_size
from indexing.work.remembered import Remembered, caption_tree
from indexing.work.stages.preparing import Prepared, Wish
from indexing.work.stages.stage import Stop

SAME_PICTURE_BITS = 31  # differing bits of 256: the threshold of PDQ's makers
_BYTES = 32


class Looks:
    """Hashes to compare others with, in the order in which they came."""

    def __init__(self, similarities: Sequence[str] = ()) -> None:
        self._rows = np.frombuffer(bytes.fromhex("".join(similarities)), np.uint8)
        self._rows = self._rows.reshape(len(similarities), _BYTES)
        self._count = len(similarities)

    def nearest(self, similarity: str) -> int | None:
        """Return the place of the most similar hash, if it looks the same."""
        if not self._count:
            return None
        apart = np.bitwise_count(self._rows[: self._count] ^ _bits(similarity)).sum(axis=1)
        near = int(apart.argmin())
        return near if apart[near] <= SAME_PICTURE_BITS else None

    def add(self, similarity: str) -> None:
        """Add a hash."""
        if self._count == len(self._rows):
            grown = np.zeros((max(64, 2 * self._count), _BYTES), np.uint8)
            grown[: self._count] = self._rows
            self._rows = grown
        self._rows[self._count] = _bits(similarity)
        self._count += 1


def first_alike(similarities: Sequence[str]) -> tuple[int, ...]:
    """Return, for each, the place of the first that looks the same; its own if it is the first."""
    looks, firsts, found = Looks(), [], []
    for place, similarity in enumerate(similarities):
        near = looks.nearest(similarity)
        if near is None:
            looks.add(similarity)
            firsts.append(place)
        found.append(place if near is None else firsts[near])
    return tuple(found)


def _bits(similarity: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(similarity), np.uint8)


class Scaler:
    """Scales JPEGs to at most `edge` pixels; through a file in `folder`, because readers read
    files. Thread-safe.
    """

    def __init__(self, reader: MediaReader, folder: Path, edge: int) -> None:
        self._reader = reader
        self._folder = folder
        self._edge = edge

    def scaled(self, jpeg: bytes) -> bytes:
        """Return the picture scaled, or unchanged if it is small. Raises MediaError,
        StorageError.
        """
        size = jpeg_size(jpeg)
        if size is not None and max(size) <= self._edge:
            return jpeg
        path = self._folder / f"{os.urandom(8).hex()}.jpg"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg)
        except OSError as error:
            raise StorageError(f"can't be written: {error.strerror}", where=str(path)) from error
        try:
            _, (still,) = self._reader.picture(path, (self._edge,))
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        return still.jpeg


AT_ONCE = 16  # stills in one call of the captioner

Scale = Callable[[bytes], bytes]  # a JPEG to the size that the captioner takes


@dataclass(slots=True)
class Told:
    """The result of asking, by asset: captions that were made, captions of another picture, the
    reasons why there is none, and the assets that were not reached.
    """

    made: dict[str, int] = field(default_factory=dict)
    shared: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)

    def add(self, asset: str, answer: Caption | Uncaptioned) -> None:
        """Take one answer."""
        if isinstance(answer, Caption):
            self.made[asset] = self.made.get(asset, 0) + 1
        else:
            self.reasons[asset] = f"not described: {answer.reason}"

    def share(self, asset: str) -> None:
        """Take a caption of another picture."""
        self.shared[asset] = self.shared.get(asset, 0) + 1


class Asking(Protocol):
    """Gets captions for stills."""

    def ask(self, ready: Sequence[Prepared], stop: Stop) -> Told:
        """Ask about each still that needs a caption and has no remembered one."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """A still without a remembered result, and an asset that it belongs to."""

    wish: Wish
    of: Prepared


def questions_of(ready: Sequence[Prepared], known: Remembered) -> list[Question]:
    """Return a question for each still and asset without a remembered result."""
    asked = {
        (prepared.asset.id, wish.key): Question(wish, prepared)
        for prepared in ready
        for wish in prepared.wishes
        if wish is not None
    }
    found = known.get([question.wish.key for question in asked.values()])
    return [q for q, tree in zip(asked.values(), found, strict=True) if tree is None]


class AskNow:
    """`Asking` that waits for the answers. `scale` makes a still as small as the captioner needs.
    `rights` is asked just before each call: what the record then forbids is not sent. Thread-safe.
    """

    def __init__(
        self,
        captioner: Captioner,
        store: MediaStore,
        known: Remembered,
        likenesses: Likenesses,
        scale: Scale,
        rights: RightsNow,
        at_once: int = AT_ONCE,
    ) -> None:
        self._captioner = captioner
        self._store = store
        self._known = known
        self._likenesses = likenesses
        self._scale = scale
        self._rights = rights
        self._at_once = at_once

    def ask(self, ready: Sequence[Prepared], stop: Stop) -> Told:
        """Ask about the stills; assets that were not finished before a stop are `left`."""
        by_key: dict[str, list[Question]] = {}
        for question in questions_of(ready, self._known):
            by_key.setdefault(question.wish.key, []).append(question)
        same = list(by_key.values())
        told = Told()
        for start in range(0, len(same), self._at_once):
            if stop():
                told.left = {question.of.asset.id for each in same[start:] for question in each}
                break
            chosen = same[start : start + self._at_once]
            self._ask([question for each in chosen for question in each], told)
        return told

    def _ask(self, questions: Sequence[Question], told: Told) -> None:
        questions = self._judged(questions)
        firsts = _first_of_each(questions)
        likes = kept_alike(firsts, self._likenesses)
        likes |= _alike_among([q for q in firsts if q.wish.key not in likes])
        without = self._described([q for q in firsts if q.wish.key not in likes], told)
        share(firsts, likes, self._known, told)
        for question in questions:
            key = question.wish.key
            if (why := without.get(likes.get(key, key))) is not None:
                told.add(question.of.asset.id, why)

    def _described(self, asked: Sequence[Question], told: Told) -> dict[str, Uncaptioned]:
        """Ask and remember the answers; return, by key, why there is no caption."""
        results: dict[str, dict[str, object]] = {}
        fresh: dict[str, dict[str, str]] = {}
        without: dict[str, Uncaptioned] = {}
        for question, answer in zip(asked, self._answers(asked), strict=True):
            wish = question.wish
            if isinstance(answer, Caption):
                told.add(question.of.asset.id, answer)
                results[wish.key] = caption_tree(answer)
                fresh.setdefault(question.of.space, {})[wish.similarity] = wish.key
                continue
            without[wish.key] = answer
            if not answer.again and question.of.leaves:
                results[wish.key] = {"none": answer.reason}
        self._known.put(results)
        for space, kept in fresh.items():
            self._likenesses.add(space, kept)
        return without

    def _judged(self, questions: Sequence[Question]) -> list[Question]:
        """Return the questions judged by the present record; without one the document decides."""
        uris = list(dict.fromkeys(question.of.item.uri for question in questions))
        forbidden = {uri for uri, may in zip(uris, self._rights(uris), strict=True) if may is False}
        return [replace(q, of=replace(q.of, held=q.of.item.uri in forbidden)) for q in questions]

    def _answers(self, asked: Sequence[Question]) -> Sequence[Caption | Uncaptioned]:
        """Return a caption, or the reason without one, for each; a failed model stops no asset."""
        try:
            return self._captioner.caption([self._still(q) for q in asked]) if asked else ()
        except ModelError as error:
            return (Uncaptioned(error.what, again=True),) * len(asked)

    def _still(self, question: Question) -> ToCaption:
        with self._store.open(question.wish.still) as stream:
            jpeg = stream.read()
        of = question.of
        return ToCaption(self._scale(jpeg), of.context, of.leaves, of.item.language)


def _first_of_each(questions: Sequence[Question]) -> list[Question]:
    """Return one question for each key, if possible one that may be sent: it is also asked for the
    others.
    """
    found: dict[str, Question] = {}
    for question in sorted(questions, key=lambda question: not question.of.leaves):
        found.setdefault(question.wish.key, question)
    return list(found.values())


def kept_alike(questions: Sequence[Question], likenesses: Likenesses) -> dict[str, str]:
    """Return by key the key of the captioned picture that looks the same."""
    found: dict[str, str] = {}
    for space in dict.fromkeys(q.of.space for q in questions):
        wishes = [q.wish for q in questions if q.of.space == space]
        hashes = [wish.similarity for wish in wishes]
        kept = likenesses.nearest(space, hashes, SAME_PICTURE_BITS)
        found |= {w.key: key for w, key in zip(wishes, kept, strict=True) if key is not None}
    return found


def share(
    questions: Sequence[Question], likes: Mapping[str, str], known: Remembered, told: Told
) -> None:
    """Give the caption of a picture to those that look the same. If it will never have one, that is
    not passed on: the next time each of the others is asked about.
    """
    followers = [q for q in questions if q.wish.key in likes]
    trees = known.get([likes[q.wish.key] for q in followers])
    pairs = zip(followers, trees, strict=True)
    captioned = [(q, tree) for q, tree in pairs if tree and "text" in tree]
    known.put({question.wish.key: tree for question, tree in captioned})
    for question, _ in captioned:
        told.share(question.of.asset.id)


def _alike_among(questions: Sequence[Question]) -> dict[str, str]:
    """Return by key the key of the first of them that looks the same, within one space."""
    found: dict[str, str] = {}
    for space in dict.fromkeys(q.of.space for q in questions):
        wishes = [q.wish for q in questions if q.of.space == space]
        firsts = first_alike([wish.similarity for wish in wishes])
        found |= {w.key: wishes[f].key for n, (w, f) in enumerate(zip(wishes, firsts)) if f != n}  # noqa: B905
    return found
