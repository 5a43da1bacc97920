"""CoNLL files: one word and its tag a line, sentences apart by empty lines.

CoNLL-2003's tags are IOB1 (a name starts with I- unless it touches another of its type); the
rest of this project speaks BIO (every name starts with B-).
Source: Tjong Kim Sang and De Meulder 2003. The text is Reuters RCV1's, for research only.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Chances that a training sentence's extra copy takes each form.
BARE, WINDOW = 0.5, 0.5


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words and their BIO tags, equally many."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


def read_conll(path: Path) -> list[Sentence]:
    """All sentences; the word is a line's first column and the tag its last."""
    sentences: list[Sentence] = []
    words: list[str] = []
    tags: list[str] = []
    for line in [*path.read_text(encoding="utf-8").splitlines(), ""]:
        if line.strip() and not line.startswith("-DOCSTART-"):
            columns = line.split()
            words.append(columns[0])
            tags.append(columns[-1])
        elif words:
            sentences.append(Sentence(tuple(words), to_bio(tags)))
            words, tags = [], []
    return sentences


def to_bio(tags: Sequence[str]) -> tuple[str, ...]:
    """IOB1 or BIO tags as BIO: a name's first word gets B-."""
    found = []
    before = "O"
    for tag in tags:
        starts = tag.startswith("I-") and before[2:] != tag[2:]
        found.append("B-" + tag[2:] if starts else tag)
        before = tag
    return tuple(found)


def without_punctuation(sentence: Sentence) -> Sentence:
    """The sentence as people type it into a search box; words of signs alone are dropped."""
    kept = [
        (word, tag)
        for word, tag in zip(sentence.words, sentence.tags, strict=True)
        if any(character.isalnum() for character in word)
    ]
    return _joined(kept) if kept else sentence


def query_window(sentence: Sentence, chance: random.Random) -> Sentence:
    """A few words around a name, or anywhere if there is none: about a query's length.

    A name is never cut: a window that begins or ends inside one is widened to its edge.
    """
    size = len(sentence.words)
    starts = [place for place, tag in enumerate(sentence.tags) if tag.startswith("B-")]
    first = chance.choice(starts) if starts else chance.randrange(size)
    begin = max(0, first - chance.randint(0, 3))
    end = min(size, first + chance.randint(1, 5))
    while begin > 0 and sentence.tags[begin].startswith("I-"):
        begin -= 1
    while end < size and sentence.tags[end].startswith("I-"):
        end += 1
    words = list(zip(sentence.words, sentence.tags, strict=True))
    return _joined(words[begin:end])


def augmented(sentences: Sequence[Sentence], share: float, chance: random.Random) -> list[Sentence]:
    """All `sentences`, and for a `share` of them a copy that looks like a query.

    The model is uncased, so copies in lower or upper case would be the same to it.
    """
    copies = []
    for sentence in sentences:
        if chance.random() < share:
            short = query_window(sentence, chance) if chance.random() < WINDOW else sentence
            copies.append(without_punctuation(short) if chance.random() < BARE else short)
    return [*sentences, *copies]


def _joined(words: Sequence[tuple[str, str]]) -> Sentence:
    return Sentence(tuple(word for word, _ in words), tuple(tag for _, tag in words))
