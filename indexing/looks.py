"""Looks at the stills of pictures and videos: a vector for each, and words for what is in it.

A still is looked at once, by its own bytes and the model's digest, whoever shows it. A black still
is not looked at. A picture is one passage of the vector field, and so is each shot that has a
still, so that "looks like this" finds the shot.

A film has many shots of the same things, so only the surest of a name are told.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from core.errors import NotFoundError
from core.items import PICTURE, FloatMatrix, Item, Passage, PassageVectors, Shot
from core.media import Looked
from core.media_words import Look
from core.ports.media import MediaStore, PictureModel
from indexing.captions.rights import Rule, may_leave_as_recorded
from indexing.work.remembered import Remembered, result_key

AT_ONCE = 16  # stills in one call of the model
MOST_OF_A_NAME = 3  # shots of a video in which the same thing is told
MOST_LOOKS = 200  # of one item
_ROUNDED_S = 3
_STEP = 1  # raise it when a step's result changes its meaning


def look_key(still: str, digest: str) -> str:
    """Return the key of what the model of this digest sees in a still."""
    return result_key(still, "look", digest, {"step": _STEP})


@dataclass(frozen=True, slots=True)
class Stills:
    """The stills of one item: names in the media store, with their places among the shots and their
    seconds.
    """

    names: tuple[str, ...]
    places: tuple[int, ...]
    seconds: tuple[float, ...]


NO_STILLS = Stills((), (), ())


def stills_of(preview: str, similarity: str, shots: Sequence[Shot]) -> Stills:
    """Return the stills to look at: those of the shots, or else the picture's own. A black one has
    no perceptual hash (`similarity`).
    """
    if not shots:
        return Stills((preview,), (0,), (0.0,)) if preview and similarity else NO_STILLS
    shown = [(n, shot) for n, shot in enumerate(shots) if shot.thumbnail and shot.similarity]
    return Stills(
        tuple(shot.thumbnail for _, shot in shown),
        tuple(number for number, _ in shown),
        tuple(shot.keyframe_s for _, shot in shown),
    )


class Looker:
    """Looks at stills of the media store with one model. Thread-safe if the model is."""

    def __init__(
        self, model: PictureModel, store: MediaStore, known: Remembered | None = None
    ) -> None:
        """With `known`, nothing is looked at twice."""
        self.model = model
        self._store = store
        self._known = known

    def remembered(self, stills: Sequence[str]) -> dict[str, Looked]:
        """Return what is known of stills by their names."""
        if self._known is None or not stills:
            return {}
        keys = [look_key(still, self.model.digest) for still in stills]
        trees = zip(stills, self._known.get(keys), strict=True)
        return {still: _read(tree) for still, tree in trees if tree}

    def look(self, stills: Sequence[str]) -> dict[str, Looked]:
        """Return what the model sees in stills; one that can't be read is left out. Raises
        BusyError and ModelError; what was seen until then is kept.
        """
        found = self.remembered(stills)
        missing = iter([still for still in dict.fromkeys(stills) if still not in found])
        while some := list(islice(missing, AT_ONCE)):
            found |= self._fresh(some)
        return found

    def _fresh(self, stills: Sequence[str]) -> dict[str, Looked]:
        jpegs = {still: data for still in stills if (data := self._bytes(still))}
        if not jpegs:
            return {}
        looked = zip(jpegs, self.model.look(list(jpegs.values())), strict=True)
        fresh = {still: one for still, one in looked if one is not None}
        if self._known is not None:
            digest = self.model.digest
            results = {look_key(still, digest): _tree(one) for still, one in fresh.items()}
            self._known.put(results, fixed=True)
        return fresh

    def _bytes(self, still: str) -> bytes:
        try:
            with self._store.open(still) as stream:
                return stream.read()
        except NotFoundError:
            return b""


def words_of(stills: Stills, looked: Mapping[str, Looked]) -> tuple[Look, ...]:
    """Return what is seen in the stills of an item, with the second of each."""
    return tuple(
        replace(look, at_s=round(second, _ROUNDED_S))
        for still, second in zip(stills.names, stills.seconds, strict=True)
        for look in (looked[still].looks if still in looked else ())
    )


def told(looks: Sequence[Look]) -> tuple[Look, ...]:
    """Return those of `looks` that are told of an item: of each name the surest, in the order of
    their seconds.
    """
    times: dict[str, int] = {}
    kept = []
    for look in sorted(looks, key=lambda look: -look.probability):
        times[look.name] = times.get(look.name, 0) + 1
        if times[look.name] <= MOST_OF_A_NAME:
            kept.append(look)
    return tuple(sorted(kept[:MOST_LOOKS], key=lambda look: (look.at_s, -look.probability)))


class LooksEmbedder:
    """A `core.ports.models.Embedder` of one field: a vector for each still of an item. An item
    without a still has an entry without passages.
    """

    def __init__(self, field: str, looker: Looker, rule: Rule = "unless_forbidden") -> None:
        """`rule` says what an outside service may see if rights say nothing."""
        self._field = field
        self._looker = looker
        self._rule: Rule = rule

    def embed(self, items: Sequence[Item]) -> tuple[tuple[PassageVectors, ...], ...]:
        """Return each item's stills as passages, and their vectors."""
        stills = [self._stills(item) for item in items]
        looked = self._looker.look([name for each in stills for name in each.names])
        return tuple((self._entry(each, looked),) for each in stills)

    def _stills(self, item: Item) -> Stills:
        refused = self._looker.model.leaves and not may_leave_as_recorded(item, self._rule)
        return NO_STILLS if refused else _stills_of(item)

    def _entry(self, stills: Stills, looked: Mapping[str, Looked]) -> PassageVectors:
        seen = [
            (Passage(PICTURE, place, place + 1), looked[name].vector)
            for name, place in zip(stills.names, stills.places, strict=True)
            if name in looked
        ]
        model = self._looker.model
        vectors = np.zeros((0, model.dimension), np.float32)
        if seen:
            vectors = np.concatenate([vector for _, vector in seen])
        return PassageVectors(self._field, model.digest, tuple(p for p, _ in seen), vectors)


def _stills_of(item: Item) -> Stills:
    if item.media is None:
        return NO_STILLS
    return stills_of(item.media.preview, item.media.similarity, item.shots)


def _tree(looked: Looked) -> dict[str, Any]:
    """Return what was seen as values for JSON; the vector in float16, as the record keeps it."""
    vector = b64encode(looked.vector.astype("<f2").tobytes()).decode()
    return {"vector": vector, "looks": [[look.name, look.probability] for look in looked.looks]}


def _read(tree: Mapping[str, Any]) -> Looked:
    flat: FloatMatrix = np.frombuffer(b64decode(tree["vector"]), "<f2").astype(np.float32)
    looks = tuple(Look(str(name), float(chance)) for name, chance in tree["looks"])
    return Looked(flat.reshape(1, -1), looks)
