"""Token vectors of texts on disk: projections of them are trained and judged without a model.

A cache is a folder of parts: `N.npy`, float16 [tokens, d], and `N.json`, the first and last token
of each text by its digest. A part is written whole or not at all, so a run that is stopped goes on
with the texts that are missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from core.items import FloatMatrix
from inference.late_interaction import MaxSimScorer
from inference.models.store import ModelStore
from inference.runtimes.onnx import OnnxRuntime
from inference.texts.tokens import TextTokens
from training.rerank.candidates import CandidateList

AT_ONCE = 64  # texts of a part
QUERY_TOKENS, PASSAGE_TOKENS = 64, 128  # that are read of a text
Encode = Callable[[Sequence[str]], Sequence[FloatMatrix]]


class TokenCache:
    """The token vectors of texts, in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._parts: list[FloatMatrix] = []
        self._places: dict[str, tuple[int, int, int]] = {}
        for index in sorted(folder.glob("*.json"), key=lambda path: int(path.stem)):
            self._open(index)

    def __contains__(self, text: str) -> bool:
        return _digest(text) in self._places

    def __getitem__(self, text: str) -> FloatMatrix:
        """Return float32 [tokens, d], rows of unit norm. Raises KeyError for a text that is not
        there.
        """
        part, start, end = self._places[_digest(text)]
        return self._parts[part][start:end].astype(np.float32)

    def fill(self, texts: Iterable[str], encode: Encode) -> Iterator[int]:
        """Encode the texts that are missing, part by part; yields how many of them are left."""
        missing = [text for text in dict.fromkeys(texts) if text not in self]
        missing.sort(key=len)  # texts of one length need little padding
        for start in range(0, len(missing), AT_ONCE):
            some = missing[start : start + AT_ONCE]
            self._add(some, encode(some))
            yield len(missing) - start - len(some)

    def _add(self, texts: Sequence[str], vectors: Sequence[FloatMatrix]) -> None:
        ends = np.cumsum([len(one) for one in vectors]).tolist()
        starts = [0, *ends[:-1]]
        rows = zip(texts, starts, ends, strict=True)
        name = len(self._parts)
        with (self._folder / "part").open("wb") as file:
            np.save(file, np.concatenate(vectors).astype(np.float16))
        (self._folder / "part").replace(self._folder / f"{name}.npy")
        index = {_digest(text): (start, end) for text, start, end in rows}
        (self._folder / "index").write_text(json.dumps(index), "ascii")
        (self._folder / "index").replace(self._folder / f"{name}.json")
        self._open(self._folder / f"{name}.json")

    def _open(self, index: Path) -> None:
        for digest, (start, end) in json.loads(index.read_text("ascii")).items():
            self._places[digest] = (len(self._parts), start, end)
        self._parts.append(np.load(index.with_suffix(".npy"), mmap_mode="r"))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest()


class Tokens(Protocol):
    """Token vectors by text."""

    def __getitem__(self, text: str) -> FloatMatrix:
        """Return float32 [tokens, d], rows of unit norm. Raises KeyError for a text that is not
        there.
        """
        ...


@dataclass(frozen=True, slots=True)
class Joined:
    """The token vectors of several encoders side by side, for encoders that cut texts alike."""

    parts: Sequence[Tokens]

    def __getitem__(self, text: str) -> FloatMatrix:
        """Return float32 [tokens, sum of d], rows of unit norm. Raises ValueError for encoders that
        cut the text differently.
        """
        each = [part[text] for part in self.parts]
        return np.concatenate(each, axis=1) / np.float32(len(each) ** 0.5)


def fill_lists(
    top: Path, names: str, lists: Sequence[CandidateList], depth: int, models: Path, threads: int
) -> Tokens:
    """Return the token vectors of the lists' queries and of the texts of their first `depth`
    candidates, kept below `top`. `names` is an encoder, or several with + between them, side by
    side.
    """
    each = names.split("+")
    found = [_filled(top, name, lists, depth, models, threads) for name in each]
    return found[0] if len(found) == 1 else Joined(found)


def _filled(
    top: Path, name: str, lists: Sequence[CandidateList], depth: int, models: Path, threads: int
) -> TokenCache:
    cache = TokenCache(top / name)
    queries = (given.query for given in lists)
    texts = (text for given in lists for text in given.texts[:depth])
    for what, tokens in ((queries, QUERY_TOKENS), (texts, PASSAGE_TOKENS)):
        for left in cache.fill(what, encoder_of(models, name, tokens, threads)):
            print(f"{name}: {left} texts left to encode", flush=True)
    return cache


def encoder_of(models: Path, name: str, tokens: int, threads: int) -> Encode:
    """Return what encodes texts by the tokens of the encoder `name`, as the service does: at most
    `tokens` of each, special tokens left out.
    """
    folder = ModelStore(models).open(name)
    scorer = MaxSimScorer.over(folder, OnnxRuntime.open(folder, threads=threads))
    rows = TextTokens(scorer.tokens.tokenizer, scorer.limit(tokens))
    return lambda texts: scorer.queue.run(rows.rows(texts).rows)
