"""The query path with the bundled encoder: what only meaning can find."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dateline.default_folders import default_models
from inference.encoder import SentenceEncoder
from inference.models.store import ModelStore
from tests.conftest import new_folder
from tests.search.room import Room, story, uris

STORIES = {
    "theft": ("Police arrest four over museum theft", "Paintings worth millions were recovered."),
    "drug": ("Tablet slows memory loss, trial finds", "Older patients forgot less in the study."),
    "moon": ("Lander reaches lunar surface", "The craft set down near the southern pole."),
    "rates": ("Central bank raises rates", "Borrowing becomes dearer for households."),
    "ferry": ("Ferry capsizes off island", "Rescuers pulled passengers from the water."),
    "vote": ("Opposition wins election", "The prime minister conceded late on Sunday."),
}


@pytest.fixture(scope="module")
def archive() -> Iterator[Room]:
    folder: Path = new_folder()
    encoder = SentenceEncoder.open(ModelStore(default_models()), "all-MiniLM-L6-v2", threads=2)
    room = Room(folder, encoder)
    room.put(*(story(uri, head, body=body) for uri, (head, body) in STORIES.items()))
    yield room
    room.engine.close()
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("query", "uri"),
    [
        ("cops nab gang who burgled gallery", "theft"),
        ("pill curbs forgetfulness in the elderly", "drug"),
        ("spaceship touches down on the moon", "moon"),
        ("mortgages get more expensive", "rates"),
        ("boat disaster at sea", "ferry"),
        ("government defeated at the polls", "vote"),
    ],
)
def test_a_paraphrase_finds_its_story(archive: Room, query: str, uri: str) -> None:
    for profile in ("vector", "hybrid", "hybrid-rrf"):
        assert uris(archive.ask(query, profile=profile))[0] == uri


def test_words_alone_do_not(archive: Room) -> None:
    assert uris(archive.ask("cops nab gang who burgled gallery", profile="lexical")) == []


def test_what_is_killed_is_found_by_no_meaning(archive: Room) -> None:
    archive.kill("vote")
    assert "vote" not in uris(archive.ask("government defeated at the polls"))


def test_negated_words_do_not_pull_their_meaning_in(archive: Room) -> None:
    answer = archive.ask("sea -ferry")
    assert answer.understood.vector_text == "sea"
    assert "ferry" not in uris(answer)
