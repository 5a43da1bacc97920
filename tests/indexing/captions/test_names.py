"""Names that only a tagger can tell, by the one that ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.made_up_names import without_made_up_names
from indexing.captions.names import TaggedNames
from inference.models.store import ModelStore
from inference.tagger import NameTagger
from tests.core.test_made_up_names import picture

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture(scope="module")
def names() -> TaggedNames:
    tagger = NameTagger.open(ModelStore(MODELS), "distilbert-ner-news")
    return TaggedNames(tagger, tagger.folder.manifest.languages)


@pytest.mark.parametrize(
    ("said", "own", "stays"),
    [
        ("a woman beside angela merkel at a quay", "", "a woman beside … at a quay"),
        ("the president barack obama waves", "A wave", "the president … waves"),
        ("a crowd in berlin waves flags", "", "a crowd in … waves flags"),
        ("a crowd in berlin waves flags", "Berlin", "a crowd in berlin waves flags"),
        ("a woman beside angela merkel", "Angela Merkel", "a woman beside angela merkel"),
        ("two dogs running on a beach", "", "two dogs running on a beach"),
    ],
)
def test_lower_case_hides_no_name(names: TaggedNames, said: str, own: str, stays: str) -> None:
    item = picture(said, own)
    kept = without_made_up_names(item, names(item))
    assert kept.caption == stays
    assert without_made_up_names(kept, names(kept)) == kept


def test_a_tagger_says_nothing_of_a_language_that_it_does_not_read(names: TaggedNames) -> None:
    assert names(picture("une femme avec angela merkel", language="fr")) == {}
    assert names(picture("")) == {}
