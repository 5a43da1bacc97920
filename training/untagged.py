"""Sentences of news that nobody has tagged, for a student to hear its teacher on."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

from inference.words import split_words
from training.beir import read_lines
from training.conll import Sentence

CORPORA = (("reuters21578", 16_000), ("bbc_news", 8_000))  # and how many sentences of each
MOST_WORDS = 60
_END = re.compile(r"(?<=[.!?])\s+(?=[\"'A-Z0-9])|\n+")


def untagged(datasets: Path, limit: int | None = None) -> list[Sentence]:
    """Sentences and titles of the corpora in `datasets`, each word with O, in random order: at most
    `limit` of each. A corpus that is not there gives none.
    """
    chance = random.Random(3)  # noqa: S311
    chosen: list[Sentence] = []
    for name, count in CORPORA:
        if (datasets / name).exists():
            found = sorted(set(_sentences(datasets / name)))
            chosen += map(_unknown, chance.sample(found, min(len(found), count, limit or count)))
    chance.shuffle(chosen)
    return chosen


def _sentences(corpus: Path) -> Iterator[str]:
    """The titles of a corpus in BEIR's layout, and its texts sentence by sentence."""
    for row in read_lines(corpus, "corpus"):
        for piece in (row.get("title", ""), *_END.split(row["text"])):
            if 2 < len(piece.split()) <= MOST_WORDS:
                yield " ".join(piece.split())


def _unknown(text: str) -> Sentence:
    words = tuple(split_words(text))
    return Sentence(words, ("O",) * len(words))
