"""ninjs goes back as it came in, valid for its version, without what the guard takes out."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.content.nested import is_passed_on
from api.formats.ninjs import VERSIONS, Ninjs, ninjs
from core.errors import DocumentError
from core.items import Item, PubStatus
from tests.api.formats import schemas
from tests.api.formats.answers import READER, STORY, item_of, newsroom
from tests.api.formats.schemas import NINJS, NINJS_VERSIONS, faults, skip_without

skip_without(NINJS)

EXAMPLES = sorted((NINJS / "examples").glob("*/*.json"))


def told(document: dict[str, Any] | Item, *others: Item, version: str = "") -> Ninjs:
    item = document if isinstance(document, Item) else item_of(document)
    made = ninjs(item, READER, newsroom(item, *others), version)
    assert faults(schemas.ninjs(made.version), made.document) == []
    return made


def allowed(value: Any, name: str = "") -> Any:
    """A document without addresses that are not passed on."""
    if isinstance(value, dict):
        kept = {key: allowed(part, key.lower()) for key, part in value.items()}
        return {key: part for key, part in kept.items() if part is not None}
    if isinstance(value, list):
        return [part for one in value if (part := allowed(one, name)) is not None]
    return value if not isinstance(value, str) or is_passed_on(value, name) else None


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_each_example_comes_back_as_it_was(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    made = told(document)
    assert made.version[0] == path.parent.name[0]
    assert made.document == allowed(document)


def test_the_shipped_schemas_are_iptcs() -> None:
    from scripts.ninjs_schemas import INTO, written

    assert VERSIONS == NINJS_VERSIONS
    for version in VERSIONS:
        assert (INTO / f"{version}.json").read_text(encoding="utf-8") == written(version, NINJS)


def test_items_inside_are_as_the_guard_shows_them() -> None:
    picture = item_of({"uri": "urn:news:photo", "type": "picture", "headline": "After"})
    old = {"uri": "urn:news:photo", "headline": "Before"}
    for document, one in (
        ({"uri": "urn:n", "associations": {"main": old}}, {"headline": "After"}),
        (
            {"uri": "urn:n", "associations": [{"name": "main", **old}]},
            {"headlines": [{"role": "main", "value": "After"}]},
        ),
    ):
        shown = told(document, picture).document["associations"]
        first = shown["main"] if isinstance(shown, dict) else shown[0]
        assert one.items() <= first.items()
        assert "Before" not in str(shown)
        killed = replace(picture, pubstatus=PubStatus.CANCELED)
        assert "associations" not in told(document, killed).document


def test_the_state_is_the_records() -> None:
    until = datetime(2026, 1, 1, tzinfo=UTC)
    document = {"uri": "urn:n", "pubStatus": "withheld", "headlines": [{"value": "Fire"}]}
    item = replace(item_of(document), pubstatus=PubStatus.USABLE, embargoed=until)
    made = told(item)
    assert (made.version, made.document["pubStatus"]) == ("3.0", "usable")
    assert made.document["embargoedUntil"] == "2026-01-01T00:00:00Z"
    assert "embargoedUntil" not in told(replace(item_of(made.document), embargoed=None)).document


def test_private_and_foreign_members_are_left_out() -> None:
    document = {"uri": "urn:n", "headline": "Fire", "products": ["wire"], "mood": "calm"}
    made = told({**document, "renditions": {"main": {"href": "s3://bucket/1.jpg", "width": 4}}})
    assert made.document == {
        "uri": "urn:n",
        "headline": "Fire",
        "renditions": {"main": {"width": 4}},
    }


def test_markup_keeps_all_but_programs_and_unsafe_addresses() -> None:
    good = "<p>One <a href='https://x.example/'>two</a><br>three</p>"
    assert told({"uri": "urn:n", "body_xhtml": good}).document["body_xhtml"] == good
    bad = "<p onclick='x()'>One <a href='file:///etc/passwd'>two</a></p><script>x()</script>"
    assert told({"uri": "urn:n", "body_xhtml": bad}).document["body_xhtml"] == (
        "<p>One <a>two</a></p>"
    )
    link = "<p>See <a href='urn:news:killed'>it</a></p>"
    made = told({"uri": "urn:n", "bodies": [{"contenttype": "text/html", "value": link}]})
    assert made.document["bodies"][0]["value"] == "<p>See <a>it</a></p>"


def test_ap_content_items_become_ninjs_with_their_texts() -> None:
    made = told(STORY)
    assert made.version == "1.6"
    members = ("version", "headline", "byline", "body_text", "urgency")
    assert [made.document[name] for name in members] == [
        "3", "Ferry freed", "Ana Reyes", "It moved.", 4,
    ]  # fmt: skip
    assert made.document["usageterms"] == "No archives.\nNo sales."
    assert made.document["subject"][0]["code"] == "ap:ferries"
    assert made.document["altids"]["itemid"] == "f00d"


@pytest.mark.parametrize("version", NINJS_VERSIONS)
def test_an_item_is_made_in_any_version(version: str) -> None:
    picture = item_of({"uri": "urn:news:photo", "type": "picture", "headline": "A ferry"})
    for source in (STORY, {"uri": "urn:n", "type": "planning", "headlines": [{"value": "Plan"}]}):
        document = {**source, "associations": [{"name": "main", "uri": "urn:news:photo"}]}
        made = told(document, picture, version=version)
        again = item_of(made.document)
        first = item_of(document)
        assert made.version == version
        assert (again.headline, again.body, again.byline) == (
            first.headline, first.body, first.byline,
        )  # fmt: skip
        assert [one.name for one in again.subject] == [one.name for one in first.subject]
        assert "A ferry" in str(made.document["associations"])


# --- properties

_WORDS = st.sampled_from(["Fire", "", "urn:x:1", "2026-02-01T10:00:00Z", "2026-02-01", "7"])
_ANY = st.recursive(
    st.one_of(_WORDS, st.integers(-2, 9), st.floats(0, 9), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from([
                "name", "uri", "value", "role", "href", "rel", "code", "literal", "contenttype",
                "contentType", "width", "duration", "address", "versionCreated", "main", "type",
                "startDate", "expectedStartDate", "geojson", "symbols", "contactinfo",
            ]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=10,
)  # fmt: skip
_NAMES = st.sampled_from(sorted({
    "type", "version", "versioncreated", "versionCreated", "pubstatus", "urgency", "usageterms",
    "headlines", "bodies", "descriptions", "subject", "subjects", "person", "people", "places",
    "organisations", "organisation", "altids", "altIds", "renditions", "associations", "events",
    "eventDetails", "plannedCoverage", "rightsinfo", "rightsInfo", "genres", "trustindicators",
    "infosources", "digitalsourcetype", "title", "byline", "by", "keywords", "body_text", "expires",
}))  # fmt: skip


@given(members=st.dictionaries(_NAMES, _ANY, max_size=6), version=st.sampled_from(["", *VERSIONS]))
def test_whatever_ingest_takes_is_valid_ninjs(members: dict[str, Any], version: str) -> None:
    try:
        item = item_of({"uri": "urn:news:any", **members})
    except DocumentError:
        return
    made = told(item, version=version)
    assert made.document["uri"] == "urn:news:any"
    again = told(orjson.loads(orjson.dumps(made.document)), version=made.version)
    assert again.document == made.document
