"""Queries that nothing answers: made by chance, in two halves that share nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.sets.absent_queries import (
    _SUFFIXES,
    _THINGS,
    COUNTS,
    AbsentQuery,
    Kind,
    absent_queries,
    words_of,
)

NOTHING: frozenset[str] = frozenset()
SUBJECTS = _THINGS.split("|")


def half(kind: Kind, *, sealed: bool) -> list[AbsentQuery]:
    return [one for one in absent_queries(NOTHING) if one.kind is kind and one.sealed is sealed]


def subjects(queries: list[AbsentQuery]) -> set[str]:
    return {thing for one in queries for thing in SUBJECTS if thing in one.text}


def last_names(queries: list[AbsentQuery]) -> set[str]:
    """The words with an ending of names."""
    ends = tuple(_SUFFIXES.split())
    return {word for one in queries for word in one.text.lower().split() if word.endswith(ends)}


def test_a_seed_gives_its_queries_again() -> None:
    assert absent_queries(NOTHING, 7) == absent_queries(NOTHING, 7)
    assert absent_queries(NOTHING, 7) != absent_queries(NOTHING, 8)


@pytest.mark.parametrize("kind", Kind)
def test_there_are_as_many_of_each_half(kind: Kind) -> None:
    for sealed in (False, True):
        texts = [one.text for one in half(kind, sealed=sealed)]
        assert len(set(texts)) == len(texts) == COUNTS[kind] // 2


@pytest.mark.parametrize("kind", Kind)
def test_the_halves_share_no_query(kind: Kind) -> None:
    open_, sealed = ({one.text for one in half(kind, sealed=way)} for way in (False, True))
    assert not open_ & sealed


def test_the_halves_share_no_subject_and_no_name() -> None:
    open_, sealed = (half(Kind.TOPIC, sealed=way) for way in (False, True))
    assert subjects(open_)
    assert subjects(sealed)
    assert not subjects(open_) & subjects(sealed)
    open_, sealed = (half(Kind.NAME, sealed=way) for way in (False, True))
    assert len(last_names(open_)) > 20
    assert not last_names(open_) & last_names(sealed)


def test_what_the_collection_has_is_left_out(tmp_path: Path) -> None:
    names = {one.text.split()[-1] for one in half(Kind.NAME, sealed=False)}
    nonsense = {one.text.split()[0] for one in half(Kind.NONSENSE, sealed=True)}
    rows = [
        {"_id": "1", "title": " ".join(sorted(names)).upper(), "text": "Sourdough."},
        {"headline": " ".join(sorted(nonsense))},
    ]
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("\n".join(map(json.dumps, rows)) + "\n", "utf-8")
    words = words_of(corpus)
    made = absent_queries(words)
    held = {name.lower() for name in names} & words
    assert held
    for one in made:
        if one.kind is not Kind.TOPIC:
            assert not last_names([one]) & held
    assert not any("sourdough" in one.text for one in made)
    assert not any(set(one.text.split()) & nonsense for one in made if one.kind is Kind.NONSENSE)


def test_letters_beyond_ascii_are_letters_of_words(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(json.dumps({"text": "Aino Drukström and Fezoğlu's"}) + "\n", "utf-8")
    assert {"drukström", "fezoğlu"} <= words_of(corpus)
