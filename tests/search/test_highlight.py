from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.query_tree import Node
from search.highlight import (
    END,
    SNIPPET_CHARACTERS,
    START,
    Highlighter,
    mark,
    read,
    snippet,
    words_of,
)
from search.understanding.language import parse
from storage.words.text_analysis import Analysis

MARKED = re.compile(f"{START}([^{START}{END}]*){END}")


@pytest.fixture(scope="module")
def highlighter() -> Highlighter:
    return Highlighter(Analysis())


def tree(query: str) -> Node:
    return parse(query).tree


def marked(highlighter: Highlighter, query: str, text: str, language: str = "en") -> list[str]:
    words = highlighter.words(tree(query), [read(text)], language)
    return MARKED.findall(mark(read(text), words))


def plain(text: str) -> str:
    return text.replace(START, "").replace(END, "")


@pytest.mark.parametrize(
    ("query", "text", "language", "words"),
    [
        (
            "floods",
            "Flooding hit; the flooded town, a FLOOD.",
            "en",
            ["Flooding", "flooded", "FLOOD"],
        ),
        ("ferry", "The ferries, the ferry's crew", "en", ["ferries", "ferry"]),
        ("cafe", "Un café au café", "fr", ["café", "café"]),
        ("élections", "L'élection présidentielle", "fr", ["élection"]),
        ("häuser", "Das Haus und die Häuser", "de", ["Haus", "Häuser"]),
        ("العربية", "اللغة العربية", "ar", ["العربية"]),
        ("גשר", "על הגשר: גשר", "he", ["גשר"]),
        ("floods", "flooding floods", "xx", ["floods"]),
        ('"cold furnaces"', "cold as the furnaces", "en", ["cold", "furnaces"]),
        ("solv*", "Solvane solved it; absolve", "en", ["Solvane", "solved"]),
        ("O'Hare", "At O'Hare today", "en", ["O", "Hare"]),
        ("AC/DC", "AC/DC plays", "en", ["AC", "DC"]),
        ("headline:storm quay", "storm at the quay", "en", ["storm", "quay"]),
        ("ferry AND NOT storm", "ferry storm", "en", ["ferry"]),
        ("-storm ferry", "a ferry in a storm", "en", ["ferry"]),
        ("-(storm OR rain)", "storm rain", "en", []),
        ("type:ferry", "ferry type", "en", []),
        ("*", "anything", "en", []),
        ("😀", "a 😀 b", "en", []),
    ],
)
def test_words_are_marked_by_stem(
    highlighter: Highlighter, query: str, text: str, language: str, words: list[str]
) -> None:
    assert marked(highlighter, query, text, language) == words


def test_markup_is_data(highlighter: Highlighter) -> None:
    text = "<b>ferry</b> & [bold]storm[/]"
    words = highlighter.words(tree("ferry"), [read(text)], "en")
    assert mark(read(text), words) == f"<b>{START}ferry{END}</b> & [bold]storm[/]"


@pytest.mark.parametrize(
    "text",
    [
        f"{START}fake{END} and ferry",
        f"{END}ferry{START}",
        f"fer{START}ry",
        f"{START}{START}ferry",
        f"{START}nothing to mark{END}",
    ],
)
def test_a_text_can_not_fake_marks(highlighter: Highlighter, text: str) -> None:
    words = highlighter.words(tree("ferry"), [read(text)], "en")
    for shown in (mark(read(text), words), snippet(read(text), words)):
        assert set(MARKED.findall(shown)) <= {"ferry"}
        assert shown.count(START) == shown.count(END) == len(MARKED.findall(shown))


texts = st.text(
    st.one_of(st.sampled_from(f"{START}{END} .\n"), st.characters(codec="utf-8")), max_size=1500
)


@given(texts, st.sampled_from(["ferry a", "e*", "1 OR x", "-a b"]))
def test_any_text_is_marked_in_pairs_and_kept(text: str, query: str) -> None:
    highlighter = Highlighter(Analysis())
    words = highlighter.words(tree(query), [read(text), read("ferry x a")], "en")
    whole = mark(read(text), words)
    assert plain(whole) == plain(text)
    short = snippet(read(text), words)
    for shown in (whole, short):
        depth = 0
        for character in shown:
            depth += (character == START) - (character == END)
            assert depth in (0, 1)
        assert depth == 0
    assert len(plain(short)) <= SNIPPET_CHARACTERS + len("…  …")
    assert plain(short).removeprefix("… ").removesuffix(" …").strip() in plain(text)


FILLER = "Nothing of interest happened here on that long and quiet day. "


def test_the_snippet_begins_where_most_words_are(highlighter: Highlighter) -> None:
    text = FILLER * 5 + "A ferry left. " + FILLER * 8 + "The ferry sank in a storm. " + FILLER * 5
    shown = snippet(read(text), highlighter.words(tree("ferry storm"), [read(text)], "en"))
    assert shown.startswith(f"… The {START}ferry{END} sank in a {START}storm{END}.")
    assert shown.endswith(" …")


def test_the_first_of_equal_places_is_shown(highlighter: Highlighter) -> None:
    text = "A ferry left. " + FILLER * 10 + "A ferry came. " + FILLER * 10
    shown = snippet(read(text), highlighter.words(tree("ferry"), [read(text)], "en"))
    assert shown.startswith(f"A {START}ferry{END} left.")


def test_a_text_without_the_words_is_shown_from_its_beginning(highlighter: Highlighter) -> None:
    text = "It begins. " + FILLER * 20
    shown = snippet(read(text), highlighter.words(tree("ferry"), [read(text)], "en"))
    assert shown.startswith("It begins.")


@pytest.mark.parametrize("gap", [" ", ", "])
def test_a_word_deep_in_a_sentence_without_end_is_shown(highlighter: Highlighter, gap: str) -> None:
    text = gap.join(["word"] * 300 + ["ferry"] + ["word"] * 300)
    shown = snippet(read(text), highlighter.words(tree("ferry"), [read(text)], "en"))
    assert MARKED.findall(shown) == ["ferry"]
    assert len(plain(shown)) <= SNIPPET_CHARACTERS + 4


def test_a_word_behind_a_run_without_spaces_is_shown(highlighter: Highlighter) -> None:
    text = "=" * 1000 + "ferry" + "=" * 1000
    shown = snippet(read(text), highlighter.words(tree("ferry"), [read(text)], "en"))
    assert MARKED.findall(shown) == ["ferry"]


def test_sentences_end_at_other_scripts_full_stops_and_at_line_ends(
    highlighter: Highlighter,
) -> None:
    text = "東京 都。 " * 80 + "\nferry 地震。 " + "東京 都。 " * 80
    shown = snippet(read(text), highlighter.words(tree("ferry"), [read(text)], "en"))
    assert plain(shown).startswith("… ferry 地震。")


def test_a_short_text_is_shown_whole(highlighter: Highlighter) -> None:
    text = "  A ferry.\nA quay.  "
    shown = snippet(read(text), highlighter.words(tree("quay"), [read(text)], "en"))
    assert plain(shown) == text


@given(st.text(st.characters(codec="ascii"), max_size=300))
def test_ascii_is_read_as_other_texts_are(text: str) -> None:
    highlighter = Highlighter(Analysis())
    said = f"{text} ferries_1 ferries"
    query = tree("ferry a* 1")
    plain_words = highlighter.words(query, [read(said)], "en")
    assert plain_words == highlighter.words(query, [read(said + " · é")], "en")


@given(texts)
def test_the_words_of_a_text_are_what_a_pattern_finds(text: str) -> None:
    assert sorted(words_of(read(text))) == sorted(re.findall(r"\w+", plain(text)))


def test_a_page_s_words_are_marked_in_each_of_its_texts(highlighter: Highlighter) -> None:
    texts = ["Ferries left", "a ferry, the ferries", "no ferryman"]
    words = highlighter.words(tree("ferry"), [*map(read, texts)], "en")
    assert [MARKED.findall(mark(read(text), words)) for text in texts] == [
        ["Ferries"],
        ["ferry", "ferries"],
        [],
    ]


def test_a_known_text_is_marked_for_another_query(highlighter: Highlighter) -> None:
    text = read("A ferryboat, ferries and a quay")
    for query, found in (("quay", ["quay"]), ("ferry", ["ferries"]), ("boat", [])):
        assert MARKED.findall(mark(text, highlighter.words(tree(query), [text], "en"))) == found


def test_a_prefix_of_one_letter_marks_nothing_as_it_finds_nothing(highlighter: Highlighter) -> None:
    assert marked(highlighter, "a* fe*", "a ferry at anchor") == ["ferry"]


def test_many_words_are_looked_for_only_where_they_are(highlighter: Highlighter) -> None:
    texts = [" ".join(f"ab{n}x{m}" for m in range(30)) for n in range(10)]
    words = highlighter.words(tree("ab*"), [*map(read, texts)], "en")
    assert len(words) == 300
    for text in texts:
        assert MARKED.findall(mark(read(text), words)) == text.split()
