"""CoNLL files: one word and its tag a line, and an empty line after each sentence.

CoNLL-2003's tags are IOB1 (a name starts with I- unless it touches another of its type); the rest
of this project uses BIO (every name starts with B-).

Source: Tjong Kim Sang and De Meulder 2003. The text is Reuters RCV1's, for research only.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Probabilities that the extra copy of a training sentence takes each form.
BARE, WINDOW, SWAPPED, MISSPELT = 0.5, 0.5, 0.3, 0.15
LEAST_MISSPELT = 5  # letters; shorter words become other words

Names = Mapping[str, Sequence[tuple[str, ...]]]  # the words of each name, by label


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words and their BIO tags, equally many."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


def read_conll(path: Path) -> list[Sentence]:
    """Return all sentences; the word is a line's first column and the tag its last."""
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
    """Return IOB1 or BIO tags as BIO: a name's first word gets B-."""
    found = []
    before = "O"
    for tag in tags:
        starts = tag.startswith("I-") and before[2:] != tag[2:]
        found.append("B-" + tag[2:] if starts else tag)
        before = tag
    return tuple(found)


def without_punctuation(sentence: Sentence) -> Sentence:
    """Return the sentence as people type it into a search box, without words that are only
    signs.
    """
    kept = [
        (word, tag)
        for word, tag in zip(sentence.words, sentence.tags, strict=True)
        if any(character.isalnum() for character in word)
    ]
    return _joined(kept) if kept else sentence


def query_window(sentence: Sentence, chance: random.Random) -> Sentence:
    """Return a few words around a name, or anywhere if there is no name: about a query's length.

    A name is never cut: a window that begins or ends inside a name is widened to its edge.
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
    """Return all `sentences`, and for a `share` of them a copy that looks like a query.

    Some copies have other names of the corpus in place of their own, or a typing error. The model
    is uncased, so copies in lower or upper case would be the same to it.
    """
    names = names_of(sentences)
    copies = []
    for sentence in sentences:
        if chance.random() < share:
            short = query_window(sentence, chance) if chance.random() < WINDOW else sentence
            bare = without_punctuation(short) if chance.random() < BARE else short
            other = with_other_names(bare, names, chance) if chance.random() < SWAPPED else bare
            copies.append(misspelt(other, chance) if chance.random() < MISSPELT else other)
    return [*sentences, *copies]


def names_of(sentences: Sequence[Sentence]) -> Names:
    """Return every name of a corpus by its label, as often as it occurs."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for sentence in sentences:
        for begin, end in spans(sentence.tags):
            found.setdefault(sentence.tags[begin][2:], []).append(sentence.words[begin:end])
    return found


def spans(tags: Sequence[str]) -> list[tuple[int, int]]:
    """Begin and end of every name in BIO tags."""
    found = []
    for begin, tag in enumerate(tags):
        if tag.startswith("B-"):
            end = begin + 1
            while end < len(tags) and tags[end].startswith("I-"):
                end += 1
            found.append((begin, end))
    return found


def with_other_names(
    sentence: Sentence, names: Names, chance: random.Random, share: float = 0.5
) -> Sentence:
    """Return the sentence with a `share` of its names replaced by others of their label."""
    words: list[tuple[str, str]] = []
    last = 0
    for begin, end in spans(sentence.tags):
        words += zip(sentence.words[last:begin], sentence.tags[last:begin], strict=True)
        label = sentence.tags[begin][2:]
        name = sentence.words[begin:end]
        if label in names and chance.random() < share:
            name = chance.choice(names[label])
        words += [(word, f"{'I' if place else 'B'}-{label}") for place, word in enumerate(name)]
        last = end
    words += zip(sentence.words[last:], sentence.tags[last:], strict=True)
    return _joined(words)


def misspelt(sentence: Sentence, chance: random.Random) -> Sentence:
    """Return the sentence with one typing error in one of its longer words: a letter is lost or
    doubled, or two neighbours are swapped.
    """
    long = [n for n, word in enumerate(sentence.words) if len(word) >= LEAST_MISSPELT]
    if not long:
        return sentence
    place = chance.choice(long)
    word = sentence.words[place]
    at = chance.randrange(1, len(word) - 1)
    slips = (
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    )
    words = (*sentence.words[:place], chance.choice(slips), *sentence.words[place + 1 :])
    return Sentence(words, sentence.tags)


def _joined(words: Sequence[tuple[str, str]]) -> Sentence:
    return Sentence(tuple(word for word, _ in words), tuple(tag for _, tag in words))
