"""What each member of a document becomes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.items import Concept, Item, ItemType, PubStatus
from indexing.ninjs import Checked, read_bytes

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
URI = "urn:x:1"


def read(products: tuple[str, ...] = ("wire",), /, **members: Any) -> Checked:
    document = {"uri": URI, **members}
    return read_bytes(json.dumps(document).encode(), lambda: NOW, products)


def item(**members: Any) -> Item:
    return read(**members).item


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def test_a_uri_is_enough() -> None:
    assert item() == Item(
        uri=URI,
        version=0,
        type=ItemType.TEXT,
        versioncreated=NOW,
        firstcreated=NOW,
        chain=URI,
        products=("wire",),
        source={"uri": URI},
    )


SAME_STORY = {
    "1.x": {
        "versioncreated": "2026-01-02T03:04:05Z",
        "firstcreated": "2026-01-02T03:00:00Z",
        "embargoed": "2026-01-03T00:00:00Z",
        "expires": "2027-01-01T00:00:00Z",
        "version": "7",
        "pubstatus": "withheld",
        "urgency": 2,
        "language": "en-GB",
        "headline": "Harbour opens",
        "description_text": "A new harbour.",
        "body_text": "The harbour opened.",
        "byline": "Ann Lee",
        "slugline": "harbour-open",
        "located": "Port Vale",
        "ednote": "Corrects date",
        "copyrightnotice": "(c) us",
        "usageterms": "No archive",
        "subject": [{"name": "trade", "code": "medtop:1", "scheme": "s", "rel": "about"}],
        "person": [{"name": "Ann Lee", "code": "p1"}],
        "organisation": [{"name": "Port Co", "code": "o1"}],
        "place": [{"name": "Vale", "code": "v1"}],
    },
    "2.x": {
        "versioncreated": "2026-01-02T03:04:05Z",
        "firstcreated": "2026-01-02T03:00:00Z",
        "embargoed": "2026-01-03T00:00:00Z",
        "expires": "2027-01-01T00:00:00Z",
        "version": "7",
        "pubstatus": "withheld",
        "urgency": 2,
        "language": "en-GB",
        "headlines": [{"role": "main", "value": "Harbour opens"}],
        "descriptions": [{"role": "text", "contenttype": "text/plain", "value": "A new harbour."}],
        "bodies": [{"role": "text", "contenttype": "text/plain", "value": "The harbour opened."}],
        "by": "Ann Lee",
        "slugline": "harbour-open",
        "located": "Port Vale",
        "ednote": "Corrects date",
        "copyrightnotice": "(c) us",
        "usageterms": "No archive",
        "subjects": [{"name": "trade", "literal": "medtop:1", "rel": "about"}],
        "people": [{"name": "Ann Lee", "literal": "p1"}],
        "organisations": [{"name": "Port Co", "literal": "o1"}],
        "places": [{"name": "Vale", "literal": "v1"}],
    },
    "3.x": {
        "versionCreated": "2026-01-02T03:04:05Z",
        "firstCreated": "2026-01-02T03:00:00Z",
        "embargoedUntil": "2026-01-03T00:00:00Z",
        "expires": "2027-01-01T00:00:00Z",
        "version": "7",
        "pubStatus": "withheld",
        "urgency": 2,
        "language": "en-GB",
        "headlines": [{"role": "main", "value": "Harbour opens"}],
        "descriptions": [{"role": "text", "contentType": "text/plain", "value": "A new harbour."}],
        "bodies": [{"role": "text", "contentType": "text/plain", "value": "The harbour opened."}],
        "by": "Ann Lee",
        "slugline": "harbour-open",
        "located": "Port Vale",
        "edNote": "Corrects date",
        "copyrightNotice": "(c) us",
        "usageTerms": "No archive",
        "subjects": [{"name": "trade", "literal": "medtop:1"}],
        "people": [{"name": "Ann Lee", "uri": "p1"}],
        "organisations": [{"name": "Port Co", "literal": "o1"}],
        "places": [{"name": "Vale", "literal": "v1"}],
    },
    "AP": {
        "versioncreated": "2026-01-02T03:04:05Z",
        "firstcreated": "2026-01-02T03:00:00Z",
        "embargoed": "2026-01-03T00:00:00Z",
        "expires": "2027-01-01T00:00:00Z",
        "version": 7,
        "pubstatus": "withheld",
        "urgency": 2,
        "language": "en-GB",
        "headline": "Harbour opens",
        "description_caption": "A new harbour.",
        "description_creditline": "AP",
        "body_text": "The harbour opened.",
        "bylines": [{"by": "Ann Lee", "title": "Reporter"}],
        "slugline": "harbour-open",
        "located": "Port Vale",
        "ednote": "Corrects date",
        "copyrightnotice": "(c) us",
        "usageterms": ["No archive"],
        "subject": [
            {"name": "trade", "code": "medtop:1", "creator": "Machine", "rels": ["direct"]}
        ],
        "person": [{"name": "Ann Lee", "code": "p1", "creator": "Editorial", "rels": []}],
        "organisation": [{"name": "Port Co", "code": "o1", "creator": "Machine"}],
        "place": [{"name": "Vale", "code": "v1", "creator": "Machine", "rels": []}],
    },
}


@pytest.mark.parametrize("shape", SAME_STORY)
def test_every_shape_of_a_story_is_the_same_item(shape: str) -> None:
    checked = read(**SAME_STORY[shape])
    assert checked.unknown == ()
    assert checked.warnings == ()
    assert checked.item == Item(
        uri=URI,
        version=7,
        type=ItemType.TEXT,
        versioncreated=at(2026, 1, 2, 3, 4, 5),
        firstcreated=at(2026, 1, 2, 3),
        chain=URI,
        language="en-gb",
        pubstatus=PubStatus.WITHHELD,
        embargoed=at(2026, 1, 3),
        expires=at(2027, 1, 1),
        urgency=2,
        headline="Harbour opens",
        description="A new harbour.",
        body="The harbour opened.",
        byline="Ann Lee",
        slugline="harbour-open",
        located="Port Vale",
        ednote="Corrects date",
        copyrightnotice="(c) us",
        usageterms="No archive",
        rights=("restricted",),
        subject=(Concept("trade", "medtop:1"),),
        person=(Concept("Ann Lee", "p1"),),
        organisation=(Concept("Port Co", "o1"),),
        place=(Concept("Vale", "v1"),),
        products=("wire",),
        source={"uri": URI, **SAME_STORY[shape]},
    )


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"version": 3}, 3),
        ({"version": "12"}, 12),
        ({"version": 3.0}, 3),
        ({"version": 0}, 0),
        ({"versioncreated": "1970-01-01T00:01:40.9Z"}, 100),
        ({"versioncreated": "1965-01-01T00:00:00Z"}, 0),
        ({"firstcreated": "2026-01-01T00:00:00Z"}, 0),
        ({"version": None, "versioncreated": "1970-01-01T00:00:07Z"}, 7),
    ],
)
def test_version(members: dict[str, Any], expected: int) -> None:
    assert item(**members).version == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-05-06T07:08:09Z", at(2026, 5, 6, 7, 8, 9)),
        ("2026-05-06t07:08:09z", at(2026, 5, 6, 7, 8, 9)),
        ("2026-05-06 07:08:09Z", at(2026, 5, 6, 7, 8, 9)),
        ("2026-05-06T07:08:09.25+02:00", at(2026, 5, 6, 5, 8, 9, 250_000)),
        ("2026-05-06T07:08:09.123456789Z", at(2026, 5, 6, 7, 8, 9, 123_456)),
        ("2026-05-06T01:00:00-0530", at(2026, 5, 6, 6, 30)),
        ("2016-12-31T23:59:60Z", at(2016, 12, 31, 23, 59, 59)),
    ],
)
def test_time(written: str, expected: datetime) -> None:
    checked = read(versioncreated=written)
    assert checked.item.versioncreated == expected
    assert checked.item.versioncreated.tzinfo is UTC
    assert checked.warnings == ()


@pytest.mark.parametrize("written", ["2026-05-06T00:00:00", "2026-05-06T00:00", "2026-05-06"])
def test_a_time_without_a_zone_is_utc_and_a_warning(written: str) -> None:
    checked = read(versioncreated=written)
    assert checked.item.versioncreated == at(2026, 5, 6)
    assert checked.warnings == ("time without a zone, taken as UTC",)


@pytest.mark.parametrize(
    ("members", "versioncreated", "firstcreated"),
    [
        ({}, NOW, NOW),
        ({"versioncreated": ""}, NOW, NOW),
        ({"firstcreated": "2026-01-01T00:00:00Z"}, at(2026, 1, 1), at(2026, 1, 1)),
        ({"versioncreated": "2026-01-02T00:00:00Z"}, at(2026, 1, 2), at(2026, 1, 2)),
    ],
)
def test_missing_times(
    members: dict[str, Any], versioncreated: datetime, firstcreated: datetime
) -> None:
    found = item(**members)
    assert (found.versioncreated, found.firstcreated) == (versioncreated, firstcreated)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"altids": [{"role": "chain", "value": "c"}, {"role": "itemid", "value": "i"}]}, "c"),
        ({"altIds": [{"key": "chain", "value": "c"}]}, "c"),
        ({"altids": {"itemid": "i", "chain": "c", "etag": 5}}, "c"),
        ({"altids": {"itemid": "i"}}, "i"),
        ({"altids": {"etag": "e"}}, URI),
        ({"associations": {"predecessor": {"uri": "urn:x:0"}}}, "urn:x:0"),
        ({"associations": [{"name": "writethru_of", "uri": "urn:x:0"}]}, "urn:x:0"),
        ({"associations": [{"name": "a1", "rel": "predecessor", "uri": "urn:x:0"}]}, "urn:x:0"),
        ({"associations": {"mainpic": {"uri": "urn:x:9"}}}, URI),
        ({"altids": {"itemid": "i"}, "associations": {"predecessor": {"uri": "p"}}}, "i"),
    ],
)
def test_chain(members: dict[str, Any], expected: str) -> None:
    assert item(**members).chain == expected


@pytest.mark.parametrize(
    ("members", "option", "expected"),
    [
        ({"products": ["a", "b", "a"]}, (), ("a", "b")),
        (
            {"products": [{"id": "a"}, {"code": "b"}, {"name": "c"}, {"id": 4}]},
            (),
            ("a", "b", "c", "4"),
        ),
        ({"meta": {"products": [{"id": 45, "name": "World"}]}}, (), ("45",)),
        ({"products": ["a"], "meta": {"products": [{"id": 1}]}}, ("z", "a"), ("a", "1", "z")),
        ({}, ("z",), ("z",)),
    ],
)
def test_products(
    members: dict[str, Any], option: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    checked = read(option, **members)
    assert checked.item.products == expected
    assert checked.warnings == ()


def test_what_names_no_product_has_none() -> None:
    assert read(()).item.products == ()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("picture", ItemType.PICTURE),
        ("Photo", ItemType.PICTURE),
        ("image", ItemType.PICTURE),
        ("story", ItemType.TEXT),
        ("clip", ItemType.VIDEO),
        ("event", ItemType.EVENT),
        ("planning", ItemType.PLANNING),
    ],
)
def test_type(written: str, expected: ItemType) -> None:
    assert item(type=written).type is expected


@pytest.mark.parametrize(
    ("members", "expected", "warnings"),
    [
        ({"pubstatus": "usable"}, PubStatus.USABLE, ()),
        ({"pubStatus": "stat:canceled"}, PubStatus.CANCELED, ()),
        ({"pubstatus": "cancelled"}, PubStatus.CANCELED, ()),
        ({"pubstatus": "embargoed", "embargoed": "2030-01-01T00:00:00Z"}, PubStatus.USABLE, ()),
        (
            {"pubstatus": "embargoed"},
            PubStatus.WITHHELD,
            ("embargoed without a time, taken as withheld",),
        ),
    ],
)
def test_pubstatus(members: dict[str, Any], expected: PubStatus, warnings: tuple[str, ...]) -> None:
    checked = read(**members)
    assert checked.item.pubstatus is expected
    assert checked.warnings == warnings


def test_of_two_embargoes_the_later_holds() -> None:
    found = item(embargoed="2026-01-01T00:00:00Z", embargoedUntil="2026-02-01T00:00:00Z")
    assert found.embargoed == at(2026, 2, 1)


def test_no_embargo_is_made_up() -> None:
    found = item(embargoed=None, embargo=None, embarked="2030-01-01", subject=[])
    assert found.embargoed is None


@pytest.mark.parametrize(
    ("written", "expected"), [("nb-NO", "nb-no"), ("nb_NO", "nb-no"), ("EN", "en"), ("", "en")]
)
def test_language(written: str, expected: str) -> None:
    assert item(language=written).language == expected


def test_a_result_of_ap_media_api_is_its_item() -> None:
    document = {"meta": {"products": [{"id": 7}]}, "item": {"uri": "urn:ap:1", "headline": "h"}}
    checked = read_bytes(json.dumps(document).encode(), lambda: NOW)
    assert (checked.item.uri, checked.item.headline) == ("urn:ap:1", "h")
    assert checked.item.products == ("7",)


def test_a_byte_order_mark_is_tolerated() -> None:
    assert read_bytes(b'\xef\xbb\xbf{"uri": "u"}', lambda: NOW).item.uri == "u"


def test_the_standard_s_own_examples(shared: Path) -> None:
    examples = sorted((shared / "contract" / "ninjs" / "examples").rglob("*.json"))
    assert len(examples) > 30
    for path in examples:
        checked = read_bytes(path.read_bytes(), lambda: NOW, ("demo",))
        assert checked.unknown == (), path
        assert checked.item.headline, path
        assert checked.item.body or checked.item.description, path
