"""Tags are converted, and query-like copies never cut a name."""

import random
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from training.tagger.conll import (
    LEAST_MISSPELT,
    Sentence,
    augmented,
    misspelt,
    names_of,
    query_window,
    read_conll,
    spans,
    to_bio,
    with_other_names,
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


def test_other_names_keep_the_sentence_and_its_labels() -> None:
    corpus = [
        Sentence(("Kohl", "met", "Helmut", "Schmidt"), ("B-PER", "O", "B-PER", "I-PER")),
        Sentence(("Bonn",), ("B-LOC",)),
    ]
    names = names_of(corpus)
    assert names == {"PER": [("Kohl",), ("Helmut", "Schmidt")], "LOC": [("Bonn",)]}
    seen = {with_other_names(corpus[0], names, random.Random(seed)).words for seed in range(40)}
    assert ("Helmut", "Schmidt", "met", "Kohl") in seen
    assert all("met" in words and "Bonn" not in words for words in seen)
    changed = with_other_names(corpus[0], names, random.Random(1))
    assert len(changed.words) == len(changed.tags)
    assert spans(changed.tags)[0][0] == 0


@given(st.text("abcde", min_size=1, max_size=12), st.integers(0, 99))
def test_a_slip_changes_one_longer_word_a_little(word: str, seed: int) -> None:
    typed = misspelt(Sentence(("of", word), ("O", "B-PER")), random.Random(seed))
    assert typed.tags == ("O", "B-PER")
    assert typed.words[0] == "of"
    if len(word) < LEAST_MISSPELT:
        assert typed.words[1] == word
    else:
        assert abs(len(typed.words[1]) - len(word)) <= 1
        assert (typed.words[1][0], typed.words[1][-1]) == (word[0], word[-1]) or sorted(
            typed.words[1]
        ) == sorted(word)
