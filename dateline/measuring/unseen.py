"""Judges a model on sets that it did not learn from, and refuses the others.

A set counts as seen if the model's card names it, or if more than MOST_SEEN of its documents or of
its queries are near-duplicates (MinHash of NEAR or more) of the texts that the model learned from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rensa import RMinHash

from core.errors import InputError, ModelError
from dateline.build.models.runtimes import model_store
from dateline.measuring.model_judge import figure
from dateline.settings import Settings
from eval.sets.datasets import JudgedSet, read_judged_set
from eval.sets.lines import read_lines
from inference.models.manifest import ModelManifest
from storage.record.near_duplicates import COLUMNS, shingles_of

NEAR = 0.5
MOST_SEEN = 0.01
_TEXTS = (
    "text",
    "body_text",
    "body_xhtml",
    "description_text",
)  # a document's text is the first of these members
_BANDS = 42  # bands of three values: a pair at NEAR shares one in 996 of 1,000 cases
_SIGN = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Seen:
    """How much of the set `label` a model has seen: `named` is the entry of its card that names the
    set, "" without one; `documents` and `queries` are shares that are near-duplicates of texts that
    it learned from, None if no such texts were given.
    """

    label: str
    named: str
    documents: float | None
    queries: float | None

    @property
    def refused(self) -> str:
        """Why nothing can be judged on the set; "" if it may."""
        if self.named:
            return f"the model's card names it: {self.named}"
        for share, what in ((self.documents, "documents"), (self.queries, "queries")):
            if share is not None and share > MOST_SEEN:
                return f"{share:.1%} of its {what} are near-duplicates of texts the model learned"
        return ""


@dataclass(frozen=True, slots=True)
class Unseen:
    """A model on one set: the figure `measure`, None if the set is refused."""

    seen: Seen
    measure: str
    figure: float | None


def judge_unseen(
    settings: Settings, name: str, sets: Sequence[str], texts: Sequence[Path]
) -> tuple[Unseen, ...]:
    """Judge the model `name` on those of `sets` that it has not seen; `texts` are files of what it
    learned from. Raises InputError, ModelError and DocumentError.
    """
    manifest = model_store(settings).open(name).manifest
    if manifest.task not in ("encode", "score"):
        raise ModelError(
            f"{name} ranks nothing", where=name, mend="name an encoder or a cross-encoder"
        )
    learned = Learned(line for path in texts for line in learned_texts(path)) if texts else None
    found = []
    for each in sets:
        seen = seen_of(read_judged_set(each), manifest, learned)
        value = None if seen.refused else figure(settings, manifest.task, name, each)
        found.append(Unseen(seen, "nDCG@10", value))
    return tuple(found)


def seen_of(judged: JudgedSet, manifest: ModelManifest, learned: Learned | None) -> Seen:
    """Return how much of the set the model has seen."""
    names = {_plain(judged.name), _plain(judged.title)} - {""}
    named = [
        data.name
        for data in manifest.training_data
        if any(name in _plain(data.name) for name in names)
    ]
    label = f"{judged.name}:{judged.split}"
    if learned is None:
        return Seen(label, named[0] if named else "", None, None)
    documents = learned.share(_documents(judged))
    return Seen(label, named[0] if named else "", documents, learned.share(judged.queries.values()))


class Learned:
    """The texts that a model learned from, to find near-duplicates of them."""

    def __init__(self, texts: Iterable[str]) -> None:
        rows: list[np.ndarray[tuple[int, ...], np.dtype[np.uint32]]] = []
        self._longest = 0
        for text in texts:
            self._longest = max(self._longest, len(text))
            if (row := _signature(text)) is not None:
                rows.append(row)
        self._rows = np.array(rows, np.uint32).reshape(-1, COLUMNS)
        self._places: list[dict[bytes, list[int]]] = [{} for _ in range(_BANDS)]
        for place, row in enumerate(self._rows):
            for band, key in zip(self._places, _bands(row), strict=True):
                band.setdefault(key, []).append(place)

    def share(self, texts: Iterable[str]) -> float:
        """Return the share of `texts` with a near-duplicate here. A longer text than any here is
        cut to their greatest length, because training texts often are beginnings.
        """
        near = [self._has_near(text[: self._longest]) for text in texts]
        return sum(near) / len(near) if near else 0.0

    def _has_near(self, text: str) -> bool:
        row = _signature(text)
        if row is None:
            return False
        keys = zip(self._places, _bands(row), strict=True)
        places = sorted({place for band, key in keys for place in band.get(key, ())})
        equal = np.count_nonzero(self._rows[places] == row, axis=1)
        return bool((equal >= NEAR * COLUMNS).any())


def learned_texts(path: Path) -> Iterator[str]:
    """Yield the texts in a file: the text members of each line of JSON, or each line of a .txt,
    perhaps .gz. Raises InputError if the file has none.
    """
    empty = True
    plain = path.name.removesuffix(".gz").endswith(".txt")
    for line in read_lines(path):
        members = [line.text()] if plain else line.json_object().values()
        for member in members:
            if isinstance(member, str) and member.strip():
                empty = False
                yield member
    if empty:
        raise InputError("no texts", where=str(path), mend="name the files that it learned from")


def _documents(judged: JudgedSet) -> Iterator[str]:
    for line in read_lines(judged.corpus):
        row = line.json_object()
        yield next((str(row[name]) for name in _TEXTS if row.get(name)), "")


def _signature(text: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]] | None:
    shingles = shingles_of(text)
    if not shingles:
        return None
    sketch = RMinHash(num_perm=COLUMNS, seed=1)
    sketch.update(shingles)
    return np.array(sketch.digest(), np.uint32)


def _bands(row: np.ndarray[tuple[int, ...], np.dtype[np.uint32]]) -> list[bytes]:
    width = COLUMNS // _BANDS
    return [row[start * width : (start + 1) * width].tobytes() for start in range(_BANDS)]


def _plain(text: str) -> str:
    return _SIGN.sub("", text).casefold()
