"""What a model answers is text of a stranger: whatever it is, a caption is one clean short line."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.media import Caption
from indexing.captions.answer import (
    MOST_ANSWER,
    MOST_CAPTION,
    MOST_NAME,
    MOST_NAMES,
    caption_of,
    clean_line,
)

GOOD = {"caption": "A ferry.", "persons": [], "places": ["Riga"], "keywords": ["ferry", "sea"]}


def read(content: str, context: str = "") -> Caption | None:
    return caption_of(content, context=context, made_by="m@1")


def texts_of(found: Caption) -> list[str]:
    return [found.text, *found.persons, *found.places, *found.keywords]


def sound(found: Caption | None) -> None:
    if found is None:
        return
    assert found.text
    assert found.made_by == "m@1"
    assert len(found.text) <= MOST_CAPTION
    for names in (found.persons, found.places, found.keywords):
        assert len(names) <= MOST_NAMES
        assert all(0 < len(name) <= MOST_NAME for name in names)
        assert len(set(names)) == len(names)
    for text in texts_of(found):
        text.encode("utf-8")
        assert text == " ".join(text.split())
        for c in text:
            assert c in " \u200c\u200d" or unicodedata.category(c)[0] not in "CZ", hex(ord(c))


ANY_TEXT = st.text(st.characters(codec=None), max_size=2000)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=8,
)


@given(ANY_TEXT)
@example("[" * 50_000)
@example('{"caption": ' * 5_000)
@example('{"caption": "' + "\\ud800" * 9 + '"}')
@example("")
@example("null")
def test_no_text_breaks_the_reader(content: str) -> None:
    sound(read(content))


@given(
    st.fixed_dictionaries(
        {"caption": ANY_TEXT},
        optional={
            name: st.lists(ANY_TEXT, max_size=60) for name in ("persons", "places", "keywords")
        },
    ),
    ANY_TEXT,
)
def test_whatever_the_members_hold_comes_out_clean(answer: dict[str, object], context: str) -> None:
    found = read(json.dumps(answer), context)
    sound(found)
    if found is not None:
        assert found == read(json.dumps(answer), context)


@given(st.dictionaries(st.sampled_from([*GOOD, "other"]), VALUES, max_size=5))
def test_members_of_wrong_types_never_raise(answer: dict[str, object]) -> None:
    sound(read(json.dumps(answer)))


@given(ANY_TEXT, st.integers(1, 300))
def test_a_line_is_cleaned_once_and_for_all(text: str, most: int) -> None:
    line = clean_line(text, most)
    assert len(line) <= most
    assert clean_line(line, most) == line


def test_a_good_answer_is_taken_whole() -> None:
    found = read(json.dumps(GOOD))
    assert found == Caption("A ferry.", "m@1", (), ("Riga",), ("ferry", "sea"))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('```json\n{"caption": "A dog."}\n```', "A dog."),
        ("{'caption': 'A dog.'}", "A dog."),
        ('{"caption": "A dog.", "keywords": ["dog", "gr', "A dog."),
        ('Here it is: {"caption": "A dog.",}', "A dog."),
        ('{"caption": "A \\u0000do\\ng\\u202e."}', "A dog."),
        ('{"caption": "<b>A dog</b>"}', "<b>A dog</b>"),  # text, which nobody renders
        ('{"caption": "Cafe\\u0301"}', "Café"),
    ],
)
def test_it_is_repaired_once(content: str, text: str) -> None:
    found = read(content)
    assert found is not None
    assert found.text.replace("do g", "dog") == text


@pytest.mark.parametrize(
    "content",
    [
        "",
        "A dog on a beach.",
        "[]",
        "{}",
        '{"caption": ""}',
        '{"caption": " \\u0000 "}',
        '{"caption": 7}',
        '{"caption": ["A dog."]}',
        '{"caption": "A dog.", "persons": "nobody"}',
        '{"caption": "A dog.", "keywords": [1]}',
        '{"caption": "A dog.", "execute": "rm"}',
        '{"Caption": "A dog."}',
        '{"caption": "A dog."}' + " " * MOST_ANSWER,
    ],
)
def test_what_is_no_answer_is_none(content: str) -> None:
    assert read(content) is None


def test_what_is_too_long_ends_at_a_word() -> None:
    found = read(json.dumps({"caption": "word " * 1000, "keywords": ["x" * 500] * 3}))
    assert found is not None
    assert found.text.endswith(" word…")
    assert found.keywords == ("x" * (MOST_NAME - 1) + "…",)


def test_a_person_is_kept_only_where_the_agency_names_him() -> None:
    answer = json.dumps(
        {"caption": "Two men.", "persons": ["Ann  Lee", "Bob Ray", "ÉMILE ZOLA", "n L"]}
    )
    context = "Minister Ann Lee meets\nÉmile Zola"
    found = read(answer, context)
    assert found is not None
    assert found.persons == ("Ann Lee", "ÉMILE ZOLA")
