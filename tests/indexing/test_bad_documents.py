"""What a bad document gets: a DocumentError with its member's path and the reason."""

from __future__ import annotations

import json
import time
import unicodedata
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DocumentError
from core.items import Item
from indexing import json_tree, texts
from indexing.ninjs import read_bytes, read_tree

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def refusal(data: bytes) -> tuple[str, str]:
    with pytest.raises(DocumentError) as caught:
        read_bytes(data, lambda: NOW)
    return caught.value.field, caught.value.what


def doc(**members: Any) -> bytes:
    return json.dumps({"uri": "u", **members}, ensure_ascii=False).encode()


BYTES = [
    (b"", "malformed JSON"),
    (b"{", "malformed JSON"),
    (b'{"uri": "u"} x', "malformed JSON"),
    (b'{"uri": NaN}', "malformed JSON"),
    (b'{"uri": "u", "urgency": Infinity}', "malformed JSON"),
    (b'{"uri": "u", "urgency": 1e999}', "malformed JSON"),
    (b'{"uri": "\\ud800"}', "malformed JSON"),
    (b'{"uri": "\xff\xfe"}', "malformed JSON"),
    (b'{"uri": "raw \x00 control"}', "malformed JSON"),
    (b"[]", "a document must be a JSON object"),
    (b'"text"', "a document must be a JSON object"),
    (b"null", "a document must be a JSON object"),
    (b'{"uri": "u", "x": ' + b"[" * 70 + b"]" * 70 + b"}", "nested too deeply"),
    (b'{"uri": "u", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deeply"),
    (b'{"uri": "u", "x": ' + b'{"a":' * 70 + b"1" + b"}" * 70 + b"}", "nested too deeply"),
    (b" " * (8 * 1024 * 1024 + 1), "document too large: over 8388608 bytes"),
]


@pytest.mark.parametrize(("data", "reason"), BYTES, ids=[repr(data[:30]) for data, _ in BYTES])
def test_not_a_document(data: bytes, reason: str) -> None:
    field, what = refusal(data)
    assert field == ""
    assert what.startswith(reason)


def test_sixty_four_levels_are_allowed() -> None:
    data = b'{"uri": "u", "x": ' + b"[" * 63 + b"]" * 63 + b"}"
    assert read_bytes(data, lambda: NOW).item.uri == "u"


WRONG = "wrong type"
MEMBERS = [
    ({"uri": None}, "uri", "uri is missing"),
    ({"uri": ""}, "uri", "identifier is empty"),
    ({"uri": "  "}, "uri", "identifier is empty"),
    ({"uri": 5}, "uri", WRONG),
    ({"uri": "a\x00b"}, "uri", "identifier with a control character"),
    ({"uri": "u" * 3000}, "uri", "identifier too long"),
    ({"headline": 5}, "headline", WRONG),
    ({"headline": ["x"]}, "headline", WRONG),
    ({"body_text": {"value": "x"}}, "body_text", WRONG),
    ({"bodies": "x"}, "bodies", WRONG),
    ({"bodies": [{"value": 5}]}, "bodies[0].value", WRONG),
    ({"bodies": [{"value": "a"}, {"contentType": 5}]}, "bodies[1].contentType", WRONG),
    ({"person": [{"name": "a"}, {"name": 5}]}, "person[1].name", WRONG),
    ({"people": ["Ann"]}, "people[0]", WRONG),
    ({"place": {"name": "a"}}, "place", WRONG),
    ({"renditions": "x"}, "renditions", WRONG),
    ({"altids": {"itemid": 5}}, "altids.itemid", WRONG),
    ({"altids": {"chain": "a\nb"}}, "chain", "identifier with a control character"),
    ({"altIds": [{"role": 5}]}, "altIds[0].role", WRONG),
    ({"associations": {"a": {"uri": 5}}}, "associations.a.uri", WRONG),
    ({"products": "a"}, "products", WRONG),
    ({"products": [5]}, "products[0]", WRONG),
    ({"products": ["a", {}]}, "products[1]", "a product without id, code or name"),
    ({"meta": {"products": [{"id": True}]}}, "meta.products[0].id", WRONG),
    ({"version": -1}, "version", "version is not a whole number >= 0"),
    ({"version": "1.5"}, "version", "version is not a whole number >= 0"),
    ({"version": 1.5}, "version", "version is not a whole number >= 0"),
    ({"version": True}, "version", "version is not a whole number >= 0"),
    ({"version": ""}, "version", "version is not a whole number >= 0"),
    ({"version": "٣"}, "version", "version is not a whole number >= 0"),
    ({"version": 10**30}, "version", "version is not a whole number >= 0"),
    ({"version": "9" * 40}, "version", "version is not a whole number >= 0"),
    ({"versioncreated": "yesterday"}, "versioncreated", "not an RFC 3339 time"),
    ({"versionCreated": "2026-13-01T00:00:00Z"}, "versionCreated", "no such date or time"),
    ({"versioncreated": "2026-02-30T00:00:00Z"}, "versioncreated", "no such date or time"),
    ({"versioncreated": "0001-01-01T00:00:00+14:00"}, "versioncreated", "no such date or time"),
    ({"versioncreated": "2026-01-01T00:00:00+99:00"}, "versioncreated", "no such date or time"),
    ({"versioncreated": 1700000000}, "versioncreated", WRONG),
    ({"embargoedUntil": "soon"}, "embargoedUntil", "not an RFC 3339 time"),
    ({"embargoed": ""}, "embargoed", "not an RFC 3339 time"),
    ({"embargoed": " "}, "embargoed", "not an RFC 3339 time"),
    ({"Embargoed": True}, "Embargoed", WRONG),
    ({"embargoed": "2020-01-01", "embargoedUntil": ""}, "embargoedUntil", "not an RFC 3339 time"),
    ({"embargo": "2030-01-01T00:00:00Z"}, "embargo", "an embargo that is not read"),
    ({"embargoDate": "2030-01-01"}, "embargoDate", "an embargo that is not read"),
    ({"embargo_until": ""}, "embargo_until", "an embargo that is not read"),
    ({"embagoed": "2030-01-01"}, "embagoed", "an embargo that is not read"),
    ({"$embargo": {"until": "2030-01-01"}}, "$embargo", "an embargo that is not read"),
    ({"expires": "20260101"}, "expires", "not an RFC 3339 time"),
    ({"type": "hologram"}, "type", "unknown type"),
    ({"pubStatus": "secret"}, "pubStatus", "unknown pubstatus"),
    ({"pubstatus": ""}, "pubstatus", "unknown pubstatus"),
    ({"urgency": 0}, "urgency", "urgency is not a whole number from 1 to 9"),
    ({"urgency": 10}, "urgency", "urgency is not a whole number from 1 to 9"),
    ({"urgency": 4.5}, "urgency", "urgency is not a whole number from 1 to 9"),
    ({"urgency": "4"}, "urgency", WRONG),
    ({"urgency": True}, "urgency", WRONG),
    ({"language": "en, fr"}, "language", "not a language tag"),
    ({"body_text": "x" * (1024 * 1024 + 1)}, "body", "text too large: over 1048576 bytes"),
    ({"body_text": "€" * 350_000}, "body", "text too large: over 1048576 bytes"),
    ({"body_text": "a." * 200_001}, "", "document too large: over 200000 words"),
    (
        {
            "type": "video",
            "shotlist": [{"start": n, "description": "a" * 40} for n in range(15_000)],
            "body_text": "a." * 100_000,
            "headline": "a." * 16_000,
        },
        "",
        "document too large: over 200000 words",
    ),
    ({"headline": "x" * (64 * 1024 + 1)}, "headline", "text too large: over 65536 bytes"),
    ({"body_xhtml": "<p>" * 200_001}, "body", "markup too large"),
    ({"bodies": [{"role": "html", "value": "<b>" * 999}] * 300}, "body", "markup too large"),
    ({"subject": [{"name": str(n)} for n in range(1001)]}, "subject", "too many entries: 1001"),
    ({"associations": {str(n): {} for n in range(1001)}}, "associations", "too many entries"),
    ({"mood": [[0] * 1001]}, "mood[0]", "too many entries: 1001"),
    ({"mood": [list(range(999))] * 51}, "mood", "too many values"),
    ({f"mood{n}": n for n in range(1001)}, "", "too many entries"),
    ({"mood": ["x" * 2100] * 999}, "", "document too large"),
    ({"person": [{"name": "x" * 2049}]}, "person", "name or code too long"),
    ({"products": ["x" * 2049]}, "products", "name or code too long"),
    ({"versionCreated": "a", "versioncreated": "b"}, "versioncreated", "the member"),
]


@pytest.mark.parametrize(
    ("members", "field", "reason"), MEMBERS, ids=[f"{f}-{r[:20]}" for _, f, r in MEMBERS]
)
def test_bad_member(members: dict[str, Any], field: str, reason: str) -> None:
    found, what = refusal(doc(**members))
    assert found == field
    assert what.startswith(reason)


def test_an_unknown_type_names_the_allowed_ones() -> None:
    with pytest.raises(DocumentError) as caught:
        read_bytes(doc(type="hologram"), lambda: NOW)
    assert "picture" in caught.value.mend
    assert "planning" in caught.value.mend


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "NaN or Infinity"),
        (float("inf"), "NaN or Infinity"),
        ("\ud800", "a lone surrogate"),
        (2**63, "a whole number beyond 64 bits"),
        (object(), "not a JSON value"),
        ({1: 2}, "a member's name must be a string"),
    ],
)
def test_a_parsed_document_is_checked_like_bytes(value: object, reason: str) -> None:
    with pytest.raises(DocumentError) as caught:
        json_tree.check({"uri": "u", "a": [0, value]})
    assert caught.value.what.startswith(reason)
    assert caught.value.field in ("a[1]", "")


def test_a_body_of_a_megabyte_is_accepted() -> None:
    assert len(read_bytes(doc(body_text="x" * 1_048_576), lambda: NOW).item.body) == 1_048_576


def test_a_thousand_entries_are_accepted() -> None:
    subjects = [{"name": str(number)} for number in range(1000)]
    assert len(read_bytes(doc(subject=subjects), lambda: NOW).item.subject) == 1000


def test_a_shot_list_may_be_longer_than_other_lists() -> None:
    lines = [{"start": n, "end": n + 1, "description": f"shot {n}"} for n in range(5000)]
    item = read_bytes(doc(type="video", shotlist=lines), lambda: NOW).item
    assert len(item.shots) == 5000
    field, _ = refusal(doc(type="video", mood={"shotlist": lines}))
    assert field == "mood.shotlist"


def test_a_reference_of_a_million_digits_is_no_character() -> None:
    """Python reads no number of more than 4,300 digits."""
    assert texts.strip_markup("a &#" + "9" * 1_000_000 + "; b") == "a \ufffd b"


@pytest.mark.parametrize("piece", ["<", "<!--", "<a ", "<![", "&", "<?", "<a b='", "<p>", "&#"])
def test_unfinished_markup_takes_time_in_proportion_to_its_size(piece: str) -> None:
    markup = piece * texts.MAX_TAGS
    started = time.process_time()
    texts.strip_markup(markup)
    assert time.process_time() - started < 10  # html.parser takes an hour


def test_of_a_long_run_of_marks_thirty_are_kept() -> None:
    """Whoever normalises more of them takes time that grows with their square."""
    text, removed = texts.clean("a" + "\u0315\u0300" * 200_000 + " b")
    assert (len(text), removed) == (32, 399_970)
    assert unicodedata.is_normalized("NFC", text)


KNOWN = st.sampled_from([
    "uri", "version", "versioncreated", "versionCreated", "type", "pubstatus", "embargoed",
    "expires", "urgency", "language", "headline", "headlines", "descriptions", "bodies",
    "body_text", "body_xhtml", "description_caption", "person", "people", "subjects", "place",
    "altids", "altIds", "associations", "products", "meta", "usageterms", "bylines", "item",
    "title",
])  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.sampled_from(["2026-01-01T00:00:00Z", "usable", "text", "1", "<p>a<", "urn:x"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["value", "role", "name", "uri", "id", "contentType", "itemid"])
            | st.text(),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(KNOWN | st.text(), VALUES, max_size=8))
@settings(max_examples=3 * settings.default.max_examples)
def test_any_document_is_an_item_or_a_document_error(tree: dict[str, Any]) -> None:
    try:
        checked = read_tree(json_tree.check({"uri": "urn:x:1", **tree}), lambda: NOW)
    except DocumentError:
        return
    assert checked.item.uri
    assert checked.item.versioncreated.tzinfo is UTC
    checked.item.body.encode()


@given(st.binary(max_size=200))
def test_any_bytes_are_an_item_or_a_document_error(data: bytes) -> None:
    with suppress(DocumentError):
        assert read_bytes(data, lambda: NOW).item.uri


@given(st.text(st.sampled_from("<>/!-&;\"'= apbrsciptdiv\n[]?#x0")))
@settings(max_examples=2 * settings.default.max_examples)
def test_any_markup_becomes_text(markup: str) -> None:
    stripped = texts.strip_markup(markup)
    assert stripped == stripped.strip()


PLAIN = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Mn", "Z"]), min_size=1
)


@given(
    PLAIN, PLAIN, st.integers(0, 10**12), st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1))
)
def test_round_trip(headline: str, body: str, version: int, created: datetime) -> None:
    """What is written as ninjs comes back as it was, up to NFC."""
    moment = created.replace(tzinfo=UTC)
    data = doc(
        headline=headline, body_text=body, version=version, versioncreated=moment.isoformat()
    )
    item: Item = read_bytes(data, lambda: NOW).item
    expected = (texts.clean(headline)[0], texts.clean(body)[0], version, moment)
    assert (item.headline, item.body, item.version, item.versioncreated) == expected
    assert json.loads(data) == item.source
