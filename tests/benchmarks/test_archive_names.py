"""What known names do to those that a tagger found: kinds, added names, and the score."""

from __future__ import annotations

import pytest

from benchmarks.archive_names import WAYS, Corpus, f1, known
from training.tagger.conll import Sentence

ARCHIVE = (
    Sentence(("Port", "Varland", "wins"), ("B-ORG", "I-ORG", "O")),
    Sentence(("In", "Oslo", "and", "Reading"), ("O", "B-LOC", "O", "B-LOC")),
    Sentence(("Oslo", "lose", "to", "Oslo"), ("B-ORG", "O", "O", "B-LOC")),
    Sentence(("A", "German"), ("O", "B-MISC")),
)
QUERY = Sentence(
    ("port", "varland", "reading", "oslo", "german"), ("B-ORG", "I-ORG", "O", "B-LOC", "B-MISC")
)
FOUND = ((3, 4, "PER"), (4, 5, "MISC"))


def test_an_archive_knows_people_organisations_and_places_by_their_commonest_type() -> None:
    assert known(ARCHIVE) == {"portvarland": ["ORG"], "oslo": ["LOC", "ORG"], "reading": ["LOC"]}


@pytest.mark.parametrize(
    ("way", "names"),
    [
        ("tagger", {(3, 4, "PER"), (4, 5, "MISC")}),
        ("archive's type", {(3, 4, "LOC"), (4, 5, "MISC")}),
        ("with known names of two words or more", {(3, 4, "PER"), (4, 5, "MISC"), (0, 2, "ORG")}),
        (
            "with known names of any length",
            {(3, 4, "PER"), (4, 5, "MISC"), (0, 2, "ORG"), (2, 3, "LOC")},
        ),
    ],
)
def test_each_way_gives_its_names(way: str, names: set[tuple[int, int, str]]) -> None:
    assert set(WAYS[way](QUERY.words, FOUND, known(ARCHIVE))) == names


def test_f1_counts_exact_spans_and_types() -> None:
    corpus = Corpus(ARCHIVE, (QUERY,))
    book = known(ARCHIVE)
    assert f1(WAYS["tagger"], corpus, [FOUND], book) == pytest.approx(2 / 5)
    assert f1(WAYS["archive's type"], corpus, [FOUND], book) == pytest.approx(4 / 5)
    assert f1(WAYS["tagger"], corpus, [()], book) == 0.0
