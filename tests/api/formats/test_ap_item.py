"""AP's content item: with the document's provenance, and valid for whatever ingest takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.content.media_links import MediaLinks, MediaSigner
from api.formats.concepts import listed_of
from api.formats.ninjs import ninjs
from core.errors import DocumentError
from core.items import MediaFile, PubStatus
from tests.api.formats.answers import (
    BASE,
    COMPANY,
    PERSON,
    PHOTO,
    PLACE,
    READER,
    STORY,
    SUBJECT,
    VIDEO,
    ap,
    item_of,
    newsroom,
)
from tests.api.formats.schemas import AP, content_item, faults, skip_without

skip_without(AP)


def test_provenance_is_as_it_came_in() -> None:
    item = ap(STORY)
    assert item["subject"] == [SUBJECT]
    assert item["person"] == [{"code": "", "scheme": "", **PERSON}]
    assert item["place"] == [PLACE]
    assert item["organisation"] == [COMPANY]
    assert item["bylines"] == STORY["bylines"]
    assert item["usageterms"] == STORY["usageterms"]
    assert (item["altids"]["itemid"], item["altids"]["friendlykey"]) == ("f00d", "42")


def test_in_a_list_of_hits_too() -> None:
    item = ap(STORY, whole=False, addresses=None)
    assert item["subject"][0]["creator"] == "Machine"
    assert item["subject"][0]["rels"] == ["inferred", "ancestor"]
    assert item["person"][0]["types"] == ["POLITICIAN"]
    assert item["bylines"] == STORY["bylines"]
    assert item["usageterms"] == STORY["usageterms"]


def test_what_clients_read_of_a_text() -> None:
    item = ap(STORY)
    assert item["uri"] == f"{BASE}/content/f00d"
    assert (item["versioncreated"], item["firstcreated"]) == (
        "2026-02-01T10:00:00Z",
        "2026-02-01T08:00:00Z",
    )
    assert (item["slugline"], item["urgency"]) == ("Ferry freed", 4)
    assert item["renditions"]["nitf"]["href"] == f"{BASE}/content/f00d.3/download?rid=nitf"
    assert item["renditions"]["nitf"]["rel"] == "Main"


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"type": "composite"}, {"type": "text"}),
        ({"type": "event"}, {"type": "text"}),
        ({"type": "planning"}, {"type": "text"}),
        ({"type": "component"}, {"type": "text"}),
        ({"language": "nb-NO"}, {"language": "nb"}),
        ({"language": "zh-Hant"}, {"language": "zh"}),
        ({"language": "gsw"}, {"language": None}),
        ({"altids": [{"role": "itemid", "value": "f00d"}]}, {"itemid": "f00d"}),
        ({"altids": [{"role": "transref", "value": "T1"}]}, {"itemid": "urn:news:ferry"}),
        ({"usageterms": ""}, {"usageterms": None}),
        ({"usageterms": "No sales."}, {"usageterms": ["No sales."]}),
        ({"keywords": "fire, harbour; quay"}, {"keywords": ["fire", "harbour", "quay"]}),
    ],
)
def test_valid_input_gets_an_answer_inside_the_schema(
    members: dict[str, Any], told: dict[str, Any]
) -> None:
    item = ap({**STORY, **members})
    assert faults(content_item(), item) == []
    item = {**item, **item["altids"]}
    assert {name: item.get(name) for name in told} == told


@pytest.mark.parametrize("name", ["mimetype", "contenttype", "contentType"])
def test_a_rendition_has_its_media_type_in_any_version_of_ninjs(name: str) -> None:
    web = {"name": "web", "href": "https://m.example/1.jpg", name: "image/jpeg"}
    told = ap({"uri": "urn:n", "type": "picture", "renditions": [web]})["renditions"]
    assert told["web"]["mimetype"] == "image/jpeg"


def test_sizes_are_whole_and_durations_in_milliseconds() -> None:
    sizes = {"href": "https://m.example/1.mp4", "height": 719.6, "width": "1280"}
    film = {**STORY, "type": "video", "renditions": {"main": {**sizes, "duration": 12.5}}}
    told = ap(film)["renditions"]["main"]
    assert (told["height"], told["width"], told["duration"]) == (720, 1280, 12500)
    of_ap = {**film, "renditions": {"main": {**sizes, "rel": "Main", "duration": 12500}}}
    assert ap(of_ap)["renditions"]["main"]["duration"] == 12500


def test_a_picture_whose_file_lies_elsewhere_has_a_main_rendition() -> None:
    file = {
        "name": "original",
        "href": "https://m.example/a/1%20b.jpg",
        "contentType": "image/jpeg",
    }
    photo = {"uri": "urn:news:photo", "type": "picture", "renditions": [{**file, "width": 5184}]}
    item = ap(photo)
    assert faults(content_item(), item) == []
    told = item["renditions"]["main"]
    assert told["href"] == "https://m.example/a/1%20b.jpg?"
    assert (told["mimetype"], told["width"]) == ("image/jpeg", 5184)
    assert told["originalfilename"] == "1-b.jpg"
    assert "main" not in ap({**photo, "type": "text"})["renditions"]
    own = ap({**photo, "renditions": [{**file, "name": "main", "href": "https://m.example/2?x"}]})
    assert own["renditions"]["main"]["href"] == "https://m.example/2?x"


def test_associations_have_addresses_and_those_without_uri_are_left_out() -> None:
    picture = item_of({"uri": "urn:news:photo", "type": "picture", "headline": "A ferry"})
    hidden = replace(item_of({"uri": "urn:news:killed"}), pubstatus=PubStatus.CANCELED)
    inside = {
        "1": {"uri": "urn:news:photo"},
        "2": {"headline": "Nowhere"},
        "3": {"uri": "urn:news:killed", "headline": "Killed"},
        "4": {"uri": "urn:else:1", "type": "picture"},
    }
    item = ap({**STORY, "associations": inside}, picture, hidden)
    assert faults(content_item(), item) == []
    told = item["associations"]
    assert set(told) == {"1", "4"}
    assert told["1"]["uri"] == f"{BASE}/content/urn:news:photo"
    assert told["1"]["altids"]["itemid"] == "urn:news:photo"
    assert told["4"]["uri"] == "urn:else:1"


def test_associations_of_one_name_are_all_there() -> None:
    inside = [{"name": "picture", "uri": f"urn:else:{n}"} for n in (1, 2, 3)]
    told = ap({**STORY, "associations": inside})["associations"]
    assert {name: one["uri"] for name, one in told.items()} == {
        "picture": "urn:else:1",
        "picture-2": "urn:else:2",
        "picture-3": "urn:else:3",
    }


def test_an_item_is_not_named_by_a_hidden_one() -> None:
    hidden = replace(item_of({"uri": "first"}), pubstatus=PubStatus.CANCELED)
    later = item_of({"uri": "urn:news:photo", "type": "picture", "altids": {"itemid": "first"}})
    for others in ((later,), (later, hidden)):
        story = ap({**STORY, "associations": {"1": {"uri": "urn:news:photo"}}}, *others)
        for item in (ap(later, *others), story["associations"]["1"]):
            itemid = "urn:news:photo" if hidden in others else "first"
            assert item["altids"]["itemid"] == itemid
            assert item["uri"] == f"{BASE}/content/{itemid}"


def test_members_of_both_spellings_are_chosen_by_the_contracts_name() -> None:
    for name in ("subject", "subjects"):
        document = {**STORY, "subject": None, name: [SUBJECT]}
        assert ap(document, include=("subject.creator",))["subject"] == [{"creator": "Machine"}]


def test_a_caption_made_by_a_machine_has_a_member_of_its_own() -> None:
    item = replace(item_of(PHOTO), caption="A boat at a quay", caption_by="a model")
    told = ap(item, addresses=None)
    assert told["description_caption"] == "At noon."
    assert told["machine_caption"] == {"text": "A boat at a quay", "made_by": "a model"}


def test_what_is_carried_is_received_too() -> None:
    video, photo = item_of(VIDEO), item_of(PHOTO)
    for include, uris in ((("*",), {video.uri, photo.uri}), (("headline",), {video.uri})):
        received: set[str] = set()
        ap(
            video, photo, include=include,
            receive=lambda items, to=received: to.update(one.uri for one in items),
        )  # fmt: skip
        assert received == uris


def test_our_own_media_stands_beside_the_renditions_of_the_document() -> None:
    links = MediaLinks(MediaSigner(b"s" * 32, lambda: 0.0), "reader", lambda _: True)
    file = MediaFile("/1.jpg", "d1", "image/jpeg", 10, width=640)
    web = {"href": "https://m.example/w.jpg"}
    photo = item_of({**PHOTO, "renditions": {"main": {"href": "https://no.example/"}, "web": web}})
    photo = replace(photo, media=file)
    for item in (
        ap(photo, addresses=None, links=links),
        *(ninjs(photo, READER, newsroom(photo), v, links).document for v in ("1.4", "3.1")),
    ):
        told = item["renditions"]
        by_name = {one["name"]: one for one in told} if isinstance(told, list) else told
        assert {name: one["href"].partition("?")[0] for name, one in by_name.items()} == {
            "main": "/v1/media/original/urn%3Anews%3Aphoto",
            "web": "https://m.example/w.jpg",
        }


def etag_of(item: dict[str, Any]) -> str:
    etag: str = item["altids"]["etag"]
    return etag


def test_the_etag_is_of_what_the_caller_sees() -> None:
    picture = item_of({"uri": "urn:news:photo", "type": "picture", "headline": "A ferry"})
    carrying = {**STORY, "associations": {"1": {"uri": "urn:news:photo"}}}
    first = etag_of(ap(carrying, picture))
    assert first == etag_of(ap(carrying, picture, include=("headline",), whole=False))
    assert first != etag_of(ap({**carrying, "version": 4}, picture))
    assert first != etag_of(ap({**carrying, "body_text": "It moved again."}, picture))
    assert first != etag_of(ap(carrying, replace(picture, headline="A ship")))
    assert first != etag_of(ap(carrying, replace(picture, products=("photos",))))
    photo = MediaFile("s3://b/1.jpg", "d1", "image/jpeg", 10)
    assert etag_of(ap(replace(picture, media=photo))) != etag_of(
        ap(replace(picture, media=replace(photo, digest="d2")))
    )


def test_members_are_chosen_by_paths() -> None:
    item = ap(STORY, include=("subject.name", "renditions.nitf.href"))
    assert set(item) == {"uri", "altids", "subject", "renditions"}
    assert item["subject"] == [{"name": "Ferries"}]
    assert set(item["renditions"]) == {"nitf"}
    assert set(item["renditions"]["nitf"]) == {"href"}
    item = ap(STORY, exclude=("subject.creator", "renditions.plain", "place"))
    assert "creator" not in item["subject"][0]
    assert "nitf" in item["renditions"]
    assert "plain" not in item["renditions"]
    assert "place" not in item
    assert set(ap(STORY, include=("*",), whole=False)) == set(ap(STORY))


# --- properties

_TEXTS = st.sampled_from(["", "Ferry", "fire, quay", "12", "urn:x:1", "https://m.example/1"])
_SCALARS = st.one_of(
    _TEXTS, st.none(), st.booleans(), st.integers(-3, 9999), st.floats(-10, 10_000)
)
_INNER = st.sampled_from(
    [
        "name",
        "code",
        "creator",
        "rels",
        "scheme",
        "parentids",
        "types",
        "symbols",
        "locationtype",
        "geometry_geojson",
        "uri",
        "href",
        "rel",
        "type",
        "altids",
        "itemid",
        "etag",
        "height",
        "width",
        "duration",
        "coordinates",
        "by",
        "headline",
    ]
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_INNER, inner, max_size=4)
    ),
    max_leaves=10,
)
_MEMBERS = st.sampled_from(
    [
        "altids",
        "foreignkeys",
        "profile",
        "editorialpriority",
        "fixture",
        "ednote",
        "editorialtypes",
        "signals",
        "title",
        "headline_seo",
        "slugline",
        "bylines",
        "producer",
        "photographer",
        "located",
        "datelinelocation",
        "usageterms",
        "keywords",
        "outcue",
        "provider",
        "infosource",
        "links",
        "person",
        "subject",
        "organisation",
        "place",
        "event",
        "audiences",
        "associations",
        "renditions",
        "subjects",
        "people",
        "urgency",
        "type",
        "language",
    ]
)


@given(members=st.dictionaries(_MEMBERS, _VALUES, max_size=6))
def test_whatever_ingest_takes_is_answered_inside_the_schema(members: dict[str, Any]) -> None:
    try:
        item = item_of({"uri": "urn:news:any", "headline": "Any", **members})
    except DocumentError:
        return
    told = orjson.loads(orjson.dumps(ap(item, caller=READER)))
    assert faults(content_item(), told) == []


def test_what_a_list_says_of_a_concept_stays_in_the_order_of_the_document() -> None:
    entry = {
        "name": "Ferries",
        "types": ["x"],
        "rel": "about",
        "topparent": True,
        "creator": "desk",
    }
    item = item_of({"uri": "urn:a", "headline": "A ferry", "subject": [entry]})
    (said,) = listed_of(item).said["subject"]
    assert list(said.entry) == ["types", "rel", "topparent", "creator"]
