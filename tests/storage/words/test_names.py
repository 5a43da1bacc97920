"""Which of the names that there are a typed one is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.words.names import NameBook, most_edits

PEOPLE = (
    "Angela Merkel",
    "Ingrid Solvane",
    "Shinzo Abe",
    "J. K. Rowling",
    "Sinéad O'Connor",
    "Farah Lindqvist-Tan",
    "George Walker Bush",
    "Barry",
    "Peter Berg",
    "Anna Berg",
    "Christiane Amanpour",
)
PLACES = ("Slovenia", "Slovakia", "Austria", "Australia", "The Hague", "Iran", "Kyiv", "New York")


def book(*names: str, people: bool = True) -> NameBook:
    made = NameBook(people=people)
    for number, name in enumerate(names):
        made.add(number, name)
    return made


def read(names: tuple[str, ...], text: str, *, people: bool = True) -> str:
    """What `text` is read as, "" where it is no name or no telling which."""
    made = book(*names, people=people)
    numbers = made.same(text) or made.similar(text, lambda _: True)
    return names[numbers[0]] if numbers else ""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("angela merkel", "Angela Merkel"),
        ("ANGELA MERKEL'S", "Angela Merkel"),
        ("Angela Merkel’s", "Angela Merkel"),
        ("jk rowling", "J. K. Rowling"),
        ("J.K. Rowling", "J. K. Rowling"),
        ("sinead oconnor", "Sinéad O'Connor"),
        ("farah lindqvist tan", "Farah Lindqvist-Tan"),
        ("lindqvist-tan", "Farah Lindqvist-Tan"),
        ("oconnor", "Sinéad O'Connor"),
        ("O’Connor's", "Sinéad O'Connor"),
        ("angela merkle", "Angela Merkel"),
        ("angella merkel", "Angela Merkel"),
        ("merkel", "Angela Merkel"),
        ("merkle", "Angela Merkel"),
        ("a. merkel", "Angela Merkel"),
        ("a merkle", "Angela Merkel"),
        ("christianne amanpur", "Christiane Amanpour"),
        ("ingrd solvain", "Ingrid Solvane"),
        ("ingrid solvain", "Ingrid Solvane"),
        ("christiane amampoor", "Christiane Amanpour"),
        ("i. solvain", "Ingrid Solvane"),
        ("ingemar solvain", ""),
        ("george bush", "George Walker Bush"),
        ("g w bush", "George Walker Bush"),
        ("bush", "George Walker Bush"),
        # no telling, or too far
        ("peter merkel", ""),
        ("ingrid", ""),
        ("berg", ""),
        ("angela", ""),
        ("berry", ""),
        ("abe", ""),
        ("buhs", ""),
        ("merkelmeister", ""),
        ("", ""),
        ("'s", ""),
    ],
)
def test_people(text: str, name: str) -> None:
    assert read(PEOPLE, text) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hague", "The Hague"),
        ("the hague", "The Hague"),
        ("new-york", "New York"),
        ("slovenai", "Slovenia"),
        ("austrai", "Austria"),
        ("iraq", ""),
        ("kiev", ""),
        ("york", ""),
        ("slovnia", "Slovenia"),
        ("slova", ""),
    ],
)
def test_places_have_no_surnames(text: str, name: str) -> None:
    assert read(PLACES, text, people=False) == name


def test_between_two_that_are_equally_near_nothing_is_chosen() -> None:
    assert read(("Marina Costa", "Marisa Costa"), "marica costa") == ""
    assert read(("Marina Costa", "Marisa Costa"), "marinna costa") == "Marina Costa"


def test_what_does_not_count_is_neither_found_nor_in_the_way() -> None:
    made = book("Angela Merkel", "Una Merkel", "Angelo Merkel")
    assert made.similar("merkel", lambda _: True) == []
    assert made.similar("merkel", lambda number: number == 1) == [1]
    assert made.similar("angele merkel", lambda _: True) == []
    assert made.similar("angele merkel", lambda number: number != 0) == [2]
    assert made.similar("merkle", lambda _: False) == []


def test_where_a_hidden_spelling_cuts_its_words_is_not_known() -> None:
    made = book("Angela Merkel Smith", "Angela Merkelsmith")
    assert made.similar("smith", lambda number: number == 1) == []
    assert made.similar("merkelsmith", lambda number: number == 1) == [0, 1]


def test_spellings_of_one_name_come_together() -> None:
    assert book("José Álvarez", "Jose Alvarez", "Joseph").same("JOSE ALVAREZ") == [0, 1]


def test_a_name_of_signs_only_is_itself() -> None:
    assert book("🌍", "!!!").same("!!!") == [1]
    assert book("🌍").similar("!", lambda _: True) == []


def test_edits_grow_with_the_name() -> None:
    assert [most_edits(n) for n in (0, 4, 5, 9, 10, 15, 40)] == [0, 0, 1, 1, 2, 3, 3]


@given(st.lists(st.text(max_size=20), max_size=6), st.text(max_size=30), st.booleans())
def test_any_text_is_survived(names: list[str], text: str, people: bool) -> None:
    made = book(*names, people=people)
    assert set(made.similar(text, lambda _: True)) <= set(range(len(names)))
    for number, name in enumerate(names):
        assert number in made.same(name)
