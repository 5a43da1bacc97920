"""Which text, names and characters of a document an item gets."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from core.items import Concept, Item, PubStatus
from indexing.ninjs import Checked, read_bytes

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def read(**members: Any) -> Checked:
    document = {"uri": "urn:x:1", **members}
    return read_bytes(json.dumps(document).encode(), lambda: NOW, ("wire",))


def item(**members: Any) -> Item:
    return read(**members).item


BODY_CASES = [
    ({"body_text": "plain", "body_xhtml": "<p>marked</p>"}, "plain"),
    ({"body_xhtml": "<p>One <b>two</b></p><p>three</p>", "body_text": ""}, "One two\n\nthree"),
    ({"bodies": [{"role": "html", "value": "<p>h</p>"}, {"role": "text", "value": "t"}]}, "t"),
    ({"bodies": [{"contentType": "text/html5", "value": "<p>h</p>"}]}, "h"),
    (
        {
            "bodies": [
                {"role": "nitf", "contentType": "text/vnd.IPTC.NITF", "value": "<nitf>n</nitf>"},
                {"role": "xhtml", "value": "<p>x</p>"},
            ]
        },
        "x",
    ),
    ({"bodies": [{"role": "nitf", "value": "<nitf><head>no</head><p>n</p></nitf>"}]}, "n"),
    ({"bodies": [{"role": "text", "value": None}, {"value": "second"}]}, "second"),
    ({}, ""),
]


@pytest.mark.parametrize(("members", "expected"), BODY_CASES)
def test_body(members: dict[str, Any], expected: str) -> None:
    assert item(**members).body == expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"description_text": "t", "description_caption": "c"}, "c"),
        ({"description_summary": "s", "description_creditline": "AP"}, "s"),
        ({"description_creditline": "AP", "description_editornotes": "n"}, ""),
        ({"description_caption_xhtml": "<p>c</p>"}, "c"),
        ({"description_xhtml": "<p>x</p>", "description_text": "t"}, "t"),
        ({"descriptions": [{"role": "writer", "value": "w"}, {"role": "lead", "value": "l"}]}, "l"),
        ({"descriptions": [{"role": "odd", "value": "o"}]}, "o"),
    ],
)
def test_description(members: dict[str, Any], expected: str) -> None:
    assert item(**members).description == expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"headline": " Two\n words "}, "Two words"),
        ({"headlines": [{"role": "short", "value": "s"}, {"role": "main", "value": "m"}]}, "m"),
        ({"headlines": [{"role": "short", "value": "s"}]}, "s"),
        ({"headlines": [{"contentType": "text/html", "value": "<b>b</b>"}]}, "b"),
        ({"title": "only a title"}, "only a title"),
        ({"headline": "h", "title": "t"}, "h"),
    ],
)
def test_headline(members: dict[str, Any], expected: str) -> None:
    assert item(**members).headline == expected


def test_concepts_of_both_spellings_each_once() -> None:
    checked = read(
        subject=[{"name": "a"}, {"name": "b", "code": "2"}],
        subjects=[{"name": "b", "literal": "2"}, {"literal": "only-code"}, {"rel": "about"}],
    )
    assert checked.item.subject == (
        Concept("a"),
        Concept("b", "2"),
        Concept("only-code", "only-code"),
    )
    assert checked.warnings == ("subjects without name or code, left out",)


def test_unknown_members_are_kept_and_named() -> None:
    checked = read(x_house_style={"deep": [1, 2]}, headline="h", keywords=["AP knows this"])
    assert checked.unknown == ("x_house_style",)
    assert checked.item.source["x_house_style"] == {"deep": [1, 2]}


def test_a_null_member_is_a_member_that_is_not_there() -> None:
    found = item(headline=None, embargoed=None, subject=None, pubstatus=None, body_text=None)
    assert (found.headline, found.embargoed, found.subject) == ("", None, ())
    assert found.pubstatus is PubStatus.USABLE


@pytest.mark.parametrize(
    "text",
    [
        "שלום עולם \u200fRTL",
        "مرحبا بالعالم",
        "👩‍👩‍👧‍👦 family 🇺🇳 flag",
        "Ünïcödé ﬁ 中文",
    ],
)
def test_other_writing_systems_pass_unchanged(text: str) -> None:
    found = item(headline=text, body_text=text, person=[{"name": text}])
    assert found.headline == found.body == found.person[0].name == text


def test_searchable_text_is_nfc_and_the_source_is_as_it_arrived() -> None:
    found = item(headline="Cafe\u0301")
    assert found.headline == "Caf\u00e9"
    assert found.source["headline"] == "Cafe\u0301"


def test_control_characters_are_removed_and_counted() -> None:
    checked = read(body_text="a\x00b\x1bc\td\ne")
    assert checked.item.body == "abc\td\ne"
    assert checked.warnings == ("control characters or endless marks removed",)
    assert checked.item.source["body_text"] == "a\x00b\x1bc\td\ne"


LISTED = [
    {"start": "00:00", "end": "00:04", "description": "A quay"},
    {"start": 4, "description": "The ferry\u0000 leaves"},
]


def test_a_shot_list_of_a_video_is_its_shots() -> None:
    checked = read(type="video", shotlist=LISTED, renditions=[{"duration": 9.5}])
    shots = checked.item.shots
    assert [(s.start_s, s.end_s, s.description) for s in shots] == [
        (0, 4, "A quay"),
        (4, 9.5, "The ferry leaves"),
    ]
    assert checked.unknown == ()
    assert checked.item.shotlist == "A quay\nThe ferry leaves"
    assert checked.item.agency_shotlist == checked.item.shotlist


def test_a_shot_list_counts_from_its_tape_s_hour_where_the_length_is_known() -> None:
    text = "10:00:00:00 - 10:00:04:00 A quay\n10:00:04:00 - 10:00:09:00 The ferry"
    made = item(type="video", shotlist=text, renditions={"main": {"duration": 60}})
    assert [shot.start_s for shot in made.shots] == [0, 4]
    assert item(type="video", shotlist=text).shots[0].start_s == 36_000


def test_what_of_a_shot_list_is_no_shot_is_text() -> None:
    made = item(type="video", shotlist=LISTED, body_text="Script.")
    assert [shot.description for shot in made.shots] == ["A quay"]  # how long is not known
    assert made.body == "Script.\n00:00:04.000 The ferry leaves"
    story = item(type="text", shotlist=LISTED)
    assert story.shots == ()
    assert story.body == "A quay\n00:00:04.000 The ferry leaves"


@pytest.mark.parametrize("odd", [7, True, {"href": "x"}, [7], [{"start": 1}], "\n"])
def test_what_is_no_shot_list_is_left_out_and_told(odd: object) -> None:
    checked = read(type="video", shotlist=odd)
    assert checked.item.shots == ()
    assert [w for w in checked.warnings if w.startswith("shotlist left out")]


@pytest.mark.parametrize("nothing", [None, "", []])
def test_an_empty_shot_list_says_nothing(nothing: object) -> None:
    assert read(type="video", shotlist=nothing).warnings == read(type="video").warnings
