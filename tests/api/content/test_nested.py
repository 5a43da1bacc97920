"""What stands inside of an item is as the guard shows it, to each caller and at each moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.content.nested import PRIVATE, look_inside
from core.callers import Caller
from core.items import PubStatus
from core.media_words import MEDIA_WORDS
from core.standing import Sight
from core.writes import SetStatus
from dateline.archive import envelope_json
from indexing import ninjs
from search.answers import SearchRequest
from tests.api.archive import answering
from tests.api.conftest import INGEST, OTHER, READ
from tests.search.room import READER, START, Room
from tests.storage.world import make_item

PICTURE, THEIRS, STORY = "urn:news:picture", "urn:news:theirs", "urn:news:story"
MARK = "zanzibar"  # in all that hidden items say, and nowhere else
COPY = {
    "uri": PICTURE,
    "type": "picture",
    "headline": f"{MARK} burns",
    "renditions": {"thumbnail": {"href": f"https://media.example/{MARK}.jpg"}},
}
SPELLINGS: list[Mapping[str, Any]] = [
    {"associations": {"main": COPY}},
    {"associations": [{"name": "main", **COPY}]},
    {"Associations": {"main": COPY}},
    {"$associations": [COPY]},
    {"associations": {"frame": {"headline": "Gallery", "associations": {"one": COPY}}}},
    {"associations": [{"uri": "urn:else:1", "name": "gallery", "associations": [COPY]}]},
    {"associations": {"main": {"$uri": f" {PICTURE} ", "headline": MARK}}},
    {"related": [{"uri": PICTURE, "title": MARK}]},
    {"links": [{"rel": "picture", "href": PICTURE, "title": MARK}]},
    {"planning": {"coverage": [[{"item": PICTURE, "what": MARK}]]}},
    {"pictures": {PICTURE: {"headline": MARK}}},
    {"lead_picture": PICTURE},
    {"altids": [{"role": "picture", "value": PICTURE}]},
    {"altids": {"picture": PICTURE}},
    {"keywords": ["fire", PICTURE]},
]


class Desk:
    """An archive, and a client before it."""

    def __init__(self, room: Room, client: TestClient) -> None:
        self.room = room
        self.client = client

    def put(self, uri: str, *, products: tuple[str, ...] = ("wire",), **members: Any) -> None:
        tree = {"uri": uri, "version": 1, "versioncreated": START.isoformat(), **members}
        self.room.put(ninjs.read_tree(tree, lambda: START, products).item)

    def item(self, uri: str = STORY, key: str = READ, **params: str) -> dict[str, Any]:
        answer = self.client.get(
            f"/content/{quote(uri, safe='')}", params=params, headers={"x-api-key": key}
        )
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def answers(self, key: str = READ, uri: str = STORY) -> dict[str, str]:
        """What each surface says of a story, as it is sent; searches say it of all of them."""
        headers = {"x-api-key": key}
        get = lambda path, **params: self.client.get(path, params=params, headers=headers).text  # noqa: E731
        whole = f"/content/{quote(uri, safe='')}"
        request = SearchRequest("harbour")
        found = self.room.pipeline.search(request, READER)
        return {
            "search": get("/content/search", q="harbour", facets="type,person", explain="true"),
            "searched whole": get("/content/search", q="harbour", include="associations,altids"),
            "item": get(whole),
            "versions": get(whole, versions="all"),
            "command line": envelope_json(request, found, READER, self.room.engine).decode(),
        }


@pytest.fixture
def desk(folder: Path) -> Iterator[Desk]:
    room = Room(folder)
    with answering(room) as client:
        yield Desk(room, client)
    room.engine.close()


def hide(desk: Desk, how: str) -> None:
    """Records the picture so that the reader may not see it."""
    products = ("photos",) if how == "of another product" else ("wire",)
    expires = (START - timedelta(hours=1)).isoformat() if how == "expired" else None
    desk.put(PICTURE, type="picture", headline=f"{MARK} burns", expires=expires, products=products)
    changes = {
        "killed": SetStatus(PICTURE, PubStatus.CANCELED),
        "withheld": SetStatus(PICTURE, PubStatus.WITHHELD),
        "embargoed": SetStatus(PICTURE, embargoed=START + timedelta(hours=3)),
    }
    if how in changes:
        desk.room.engine.set_status([changes[how]])
    if how == "superseded":
        desk.put(PICTURE, version=2, headline=MARK, altids={"chain": "pictures"})
        desk.put("urn:news:other", version=2, headline="Fire", altids={"chain": "pictures"})


def test_a_killed_item_is_inside_of_no_answer(desk: Desk) -> None:
    stories = {f"{STORY}:{number}": spelt for number, spelt in enumerate(SPELLINGS)}
    for uri, spelt in stories.items():
        desk.put(uri, headline="Fire in the harbour", **spelt)
    hide(desk, "killed")
    for uri, spelt in stories.items():
        for surface, text in desk.answers(uri=uri).items():
            assert uri in text, (surface, spelt)
            assert MARK not in text, (surface, spelt)
            assert PICTURE not in text, (surface, spelt)


def test_a_kill_of_what_is_not_recorded_is_inside_of_no_answer(desk: Desk) -> None:
    desk.put(STORY, headline="Fire in the harbour", associations={"main": COPY})
    assert MARK in desk.answers()["search"]
    desk.room.kill(PICTURE)
    for surface, text in desk.answers().items():
        assert MARK not in text, surface
        assert PICTURE not in text, surface


@pytest.mark.parametrize(
    "how", ["withheld", "embargoed", "expired", "superseded", "of another product"]
)
def test_nor_is_one_that_is_hidden_in_another_way(desk: Desk, how: str) -> None:
    hide(desk, how)
    desk.put(STORY, headline="Fire in the harbour", associations={"main": COPY})
    for surface, text in desk.answers().items():
        assert MARK not in text, surface
        assert PICTURE not in text, surface


def test_nothing_tells_that_something_was_there(desk: Desk) -> None:
    hide(desk, "killed")
    said = [{"uri": "urn:else:1", "headline": "Quay"}]
    desk.put(STORY, headline="Fire in the harbour", associations=[COPY, *said], links=[PICTURE])
    item = desk.item()["item"]
    assert list(item["associations"]) == ["1"]
    assert "links" not in item


def test_each_caller_gets_what_the_key_may_see(desk: Desk) -> None:
    hide(desk, "of another product")
    both = {"main": COPY, "map": {"uri": "urn:else:1", "headline": "A map"}}
    desk.put(STORY, headline="Fire", associations=both, products=("wire", "photos"))
    assert set(desk.item(key=READ)["item"]["associations"]) == {"map"}
    assert set(desk.item(key=OTHER)["item"]["associations"]) == {"main", "map"}


def test_what_is_shown_is_the_item_of_now_and_not_the_copy(desk: Desk) -> None:
    """A caption that was corrected lives on in no story that carries the picture."""
    link = {"name": "main", "rel": "illustrates", "role": "lead", "caption_override": "old"}
    desk.put(STORY, headline="Fire in the harbour", associations=[{**COPY, **link}])
    desk.put(
        PICTURE, type="picture", headline="A boat", description_caption="Before", body_text="x"
    )
    desk.put(PICTURE, type="picture", headline="A ship", description_caption="After", version=2)
    shown = desk.item()["item"]["associations"]["main"]
    assert {"name": "main", "rel": "illustrates", "role": "lead"}.items() <= shown.items()
    assert (shown["uri"], shown["version"], shown["headline"]) == (PICTURE, 2, "A ship")
    assert shown["description_caption"] == "After"
    assert not {"caption_override", "body_text", "associations"} & set(shown)
    assert not any(MARK in text or "Before" in text for text in desk.answers().values())


def test_items_that_carry_each_other_end(desk: Desk) -> None:
    for one, other in ((STORY, PICTURE), (PICTURE, STORY)):
        inside = {"other": {"uri": other}, "self": {"uri": one}}
        desk.put(one, headline=one, associations=inside, renditions={"self": {"uri": one}})
    shown = desk.item()["item"]["associations"]
    assert {name: member["headline"] for name, member in shown.items()} == {
        "other": PICTURE,
        "self": STORY,
    }


def test_what_was_never_recorded_stays_as_its_parent_says(desk: Desk) -> None:
    said = {"uri": "urn:else:1", "type": "picture", "headline": "A quay", "rel": "main"}
    private = {"products": ["premium"], "meta": {"products": [{"id": 7}]}}
    faked = {"machine_caption": {"text": "seen"}, "shots": [{"number": 1}]}
    faked |= {name: {"lines": [{"text": "seen"}]} for name in MEDIA_WORDS}
    desk.put(STORY, headline="Fire", associations={"main": {**said, **private, **faked}})
    assert desk.item()["item"]["associations"] == {"main": said}
    assert desk.item(key=INGEST)["item"]["associations"] == {"main": {**said, **private}}


def test_private_members_are_private_in_any_spelling(desk: Desk) -> None:
    desk.put(STORY, **{"headline": "Fire", "$products": ["premium"], "Meta": {"products": []}})
    assert not {"$products", "Meta"} & set(desk.item()["item"])


ADDRESSES = [
    ("https://media.example/1.jpg?size=2#top", True),
    ("http://[::1]:8080/1.jpg", True),
    ("HTTPS://media.example/1.jpg", True),
    ("javascript:alert(1)", False),
    ("vbscript:alert(1)", False),
    (" javascript:alert(1)", False),
    ("java\tscript:alert(1)", False),
    ("data:text/html,<script>", False),
    ("file:///archive/original.jpg", False),
    ("s3://bucket/original.jpg", False),
    ("ftp://media.example/1.jpg", False),
    ("/v1/media/original/1", False),
    ("//media.example/1.jpg", False),
    ("1.jpg", False),
    ("", False),
    ("https://", False),
    ("https:1.jpg", False),
    ("https://desk:secret@media.example/1.jpg", False),
    ("https://desk@media.example/1.jpg", False),
    ("https://[media.example/1.jpg", False),
    ("https://media.example\\@evil.example/", False),
]


def test_addresses_are_passed_on_only_as_safe_ones(desk: Desk) -> None:
    for number, (address, _) in enumerate(ADDRESSES):
        there = {"href": address, "mimetype": "image/jpeg"}
        desk.put(
            f"{STORY}:{number}",
            headline="Fire",
            renditions={"main": there},
            links=[there],
            associations={"map": {"uri": "urn:else:1", "renditions": [there]}},
        )
    params = {"page_size": "50"}
    found = desk.client.get("/content/search", params=params, headers={"x-api-key": READ})
    hits = {hit["item"]["uri"]: hit["item"] for hit in found.json()["data"]["items"]}
    for number, (address, passes) in enumerate(ADDRESSES):
        kept = {"href": address} if passes else {}
        kept |= {"mimetype": "image/jpeg"}
        item = desk.item(uri := f"{STORY}:{number}")["item"]
        assert item["renditions"] == hits[uri]["renditions"] == {"main": kept}, address
        assert item["links"] == [kept], address
        assert item["associations"]["map"]["renditions"] == [kept], address


def test_an_address_in_any_other_member_is_no_password_and_no_file(desk: Desk) -> None:
    desk.put(
        STORY,
        headline="Fire",
        original="file:///archive/1.jpg",
        feed="https://desk:secret@wire.example/",
        site="https://wire.example/",
        note="file: this under fires",
        code="medtop:1",
    )
    item = desk.item()["item"]
    assert not {"original", "feed"} & set(item)
    assert item["site"], item["note"] == ("https://wire.example/", "file: this under fires")
    assert item["code"] == "medtop:1"


def test_a_story_is_not_named_by_a_hidden_item(desk: Desk) -> None:
    """The chain's key is often its first item's uri; the chain view shows that one, or nothing."""
    first = {"type": "text", "headline": "Fire", "version": 1}
    desk.put(PICTURE, **first)
    later = (START + timedelta(hours=1)).isoformat()
    desk.put(STORY, headline="Fire is out", altids={"chain": PICTURE}, versioncreated=later)
    item = desk.item()["item"]
    assert (item["chain"], item["altids"]) == (PICTURE, {"chain": PICTURE})
    desk.room.kill(PICTURE)
    item = desk.item(versions="all")
    assert item["item"]["chain"] == STORY
    assert "altids" not in item["item"]
    assert [one["item"]["chain"] for one in item["versions"]] == [STORY]


trees = st.recursive(
    st.sampled_from([PICTURE, f" {PICTURE}", THEIRS, "urn:else:1", "text", 7, None]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["uri", "$URI", "a", "href", "altids", "renditions", PICTURE, THEIRS]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=12,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(inside=st.dictionaries(st.sampled_from(["associations", "links", "x"]), trees, max_size=3))
def test_no_shape_of_a_document_tells_of_a_hidden_item(desk: Desk, inside: dict[str, Any]) -> None:
    from api.formats.items import ItemView, items_json
    from tests.search.room import story

    if desk.room.engine.item("urn:news:shown", READER) is None:
        hide(desk, "killed")
        desk.put(THEIRS, headline=MARK, products=("photos",))
        desk.put("urn:news:shown", headline="Shown")
    item = story(STORY, "Fire", source=inside)
    for view in (ItemView(READER, whole=True), ItemView(READER)):
        told = orjson.dumps(items_json([item], view, desk.room.engine)).decode()
        addresses = told.replace(f'"{STORY}"', "")
        assert f'"{PICTURE}"' not in addresses
        assert f'" {PICTURE}"' not in addresses
        assert f'"{THEIRS}"' not in addresses


_NAMES = st.sampled_from(
    ("uri", "altids", "products", "$Meta", "shots", "href", "headline", "subject", PICTURE)
)
_TEXTS = st.sampled_from(
    ("fire", "", PICTURE, f" {THEIRS} ", "https://a.example/x", "javascript:x", "medtop:04", "a: b")
)
_DOCUMENTS = st.dictionaries(
    _NAMES,
    st.recursive(
        _TEXTS | st.none() | st.integers(0, 9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


class _Guard:
    """What a caller sees: one item that it may not know of, and one that it may."""

    def sights(self, named: Any, caller: Caller) -> Mapping[str, Sight]:
        known = {PICTURE: Sight(), THEIRS: Sight(None, True)}
        return {uri: sight for uri, sight in known.items() if uri in named}


@given(_DOCUMENTS, st.sampled_from((frozenset(), PRIVATE)))
def test_a_document_that_is_shown_as_it_is_has_nothing_to_leave_out(
    document: dict[str, Any], private: frozenset[str]
) -> None:
    item = make_item(STORY)
    library: Any = _Guard()
    inside = look_inside(library, READER, [(item, document)], lambda other, renditions: {})
    walked = replace(inside, plain=[frozenset()]).members(0, document, private)
    told = inside.members(0, document, private)
    assert (told, [*told]) == (walked, [*walked])
