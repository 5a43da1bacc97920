"""Tags are converted, and query-like copies never cut a name."""

import random
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from training.conll import (
    Sentence,
    augmented,
    query_window,
    read_conll,
    to_bio,
    without_punctuation,
)

TEXT = """-DOCSTART- -X- O O

Peter NNP I-NP I-PER
Blackburn NNP I-NP I-PER

BRUSSELS NNP I-NP I-LOC
1996-08-22 CD I-NP O
. . O O
"""


def test_reading(tmp_path: Path) -> None:
    place = tmp_path / "eng.train"
    place.write_text(TEXT)
    first, second = read_conll(place)
    assert first == Sentence(("Peter", "Blackburn"), ("B-PER", "I-PER"))
    assert second.tags == ("B-LOC", "O", "O")
    assert without_punctuation(second).words == ("BRUSSELS", "1996-08-22")


def test_iob1_becomes_bio() -> None:
    given_tags = ("I-LOC", "B-LOC", "I-LOC", "O", "I-PER", "I-ORG")
    assert to_bio(given_tags) == ("B-LOC", "B-LOC", "I-LOC", "O", "B-PER", "B-ORG")
    assert to_bio(to_bio(given_tags)) == to_bio(given_tags)


@given(
    st.lists(st.sampled_from(["O", "I-PER", "B-PER", "I-LOC"]), min_size=1, max_size=20),
    st.integers(0, 99),
)
def test_windows_hold_whole_names(tags: list[str], seed: int) -> None:
    bio = to_bio(tags)
    sentence = Sentence(tuple(f"w{number}" for number in range(len(bio))), bio)
    window = query_window(sentence, random.Random(seed))
    start = sentence.words.index(window.words[0])
    end = start + len(window.words)
    assert window.tags == bio[start:end]
    assert not window.tags[0].startswith("I-")
    assert end == len(bio) or not bio[end].startswith("I-")


def test_copies_come_after_the_originals() -> None:
    sentences = [Sentence(("Bonn", "."), ("B-LOC", "O"))] * 10
    everything = augmented(sentences, 1.0, random.Random(0))
    assert everything[:10] == sentences
    assert len(everything) == 20
    assert ("Bonn",) in {sentence.words for sentence in everything[10:]}
