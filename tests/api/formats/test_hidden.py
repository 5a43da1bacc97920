"""No form of an item tells of a hidden one, wherever its document names it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.formats.ninjs import VERSIONS, ninjs
from api.formats.renditions import text_rendition
from core.errors import DocumentError
from core.items import Item, PubStatus
from tests.api.formats.answers import READER, ap, item_of, newsroom

MARK = "zanzibar"
KILLED, THEIRS = "https://news.example/killed", "urn:news:theirs"
COPY = {"uri": KILLED, "type": "picture", "headline": f"{MARK} burns", "name": "main"}
HIDDEN = (
    replace(item_of({"uri": KILLED, "headline": MARK}), pubstatus=PubStatus.CANCELED),
    item_of({"uri": THEIRS, "headline": MARK}, "premium"),
)
TAGS = {
    "subject": [{"name": MARK, "code": THEIRS}, {"name": "Fire", "code": "medtop:1"}],
    "people": [{"name": MARK, "uri": KILLED}],
}
SHOWN = item_of(
    {"uri": "urn:news:shown", "headline": "Shown", "altids": {"itemid": THEIRS}, **TAGS}
)


def forms(item: Item) -> dict[str, str]:
    room = newsroom(item, SHOWN, *HIDDEN)
    told = {
        "ap": orjson.dumps(ap(item, SHOWN, *HIDDEN)).decode(),
        "ap list": orjson.dumps(ap(item, SHOWN, *HIDDEN, whole=False)).decode(),
        "own": orjson.dumps(ap(item, SHOWN, *HIDDEN, addresses=None)).decode(),
        "own list": orjson.dumps(ap(item, SHOWN, *HIDDEN, whole=False, addresses=None)).decode(),
        "nitf": text_rendition("nitf", item, READER, room).decode(),
        "newsmlg2": text_rendition("newsmlg2", item, READER, room).decode(),
        "plain": text_rendition("plain", item, READER, room).decode(),
    }
    for version in ("", *VERSIONS):
        made = ninjs(item, READER, room, version)
        told[f"ninjs {version}"] = orjson.dumps(made.document).decode()
    return told


def assert_nothing_told(item: Item) -> None:
    for form, text in forms(item).items():
        for hidden in (MARK, f'"{KILLED}"', f'"{THEIRS}"', f"/{THEIRS}", f"'{KILLED}'"):
            assert hidden not in text, (form, hidden)


@pytest.mark.parametrize(
    "members",
    [
        {"associations": {"main": COPY}},
        {"associations": [COPY]},
        {"associations": {"shown": {"uri": "urn:news:shown"}}},
        {"altids": {"itemid": THEIRS, "picture": KILLED}},
        {"altids": [{"role": "itemid", "value": KILLED}]},
        {"altids": {"chain": KILLED}},
        {"links": [{"rel": "picture", "href": KILLED, "title": MARK}]},
        {"keywords": ["fire", KILLED]},
        {"subject": [{"name": MARK, "uri": KILLED}]},
        {"subject": [{"name": MARK, "code": THEIRS}]},
        {"people": [{"name": MARK, "uri": KILLED, "rel": "about"}]},
        {"body_xhtml": f"<p>See <a href='{KILLED}'>this</a></p>"},
        {"bodies": [{"contenttype": "text/html", "value": f'<img src="{KILLED}">One'}]},
    ],
)
def test_a_hidden_item_is_named_in_no_form(members: dict[str, Any]) -> None:
    assert_nothing_told(item_of({"uri": "urn:news:story", "headline": "Fire", **members}))


@pytest.mark.parametrize(
    ("chain", "told"),
    [
        ("urn:news:shown", "urn:news:shown"),
        ("no item's", "no item's"),
        (KILLED, "urn:news:story"),
        (THEIRS, "urn:news:story"),
    ],
)
def test_the_chain_is_told_unless_it_is_a_hidden_item(chain: str, told: str) -> None:
    item = item_of({"uri": "urn:news:story", "headline": "Fire", "altids": {"chain": chain}})
    assert ap(item, SHOWN, *HIDDEN, addresses=None)["chain"] == told


@pytest.mark.parametrize("scheme", ["javascript", "vbscript", "data", "file", "blob", "JavaScript"])
def test_no_member_is_an_address_that_is_none(scheme: str) -> None:
    item = item_of({"uri": "urn:n", "headline": "Fire", "keywords": ["fire", f"{scheme}:x"]})
    assert ap(item, addresses=None)["keywords"] == ["fire"]


_TREES = st.recursive(
    st.sampled_from([KILLED, f" {KILLED}", THEIRS, "urn:else:1", "text", 7, None]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["uri", "$URI", "name", "href", "altids", "renditions", "itemid"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=10,
)
_NAMES = st.sampled_from(
    ["associations", "links", "renditions", "altids", "subject", "places", "infosource", "event"]
)


@given(members=st.dictionaries(_NAMES, _TREES, max_size=3))
def test_no_shape_of_a_document_names_it(members: dict[str, Any]) -> None:
    try:
        item = item_of({"uri": "urn:news:story", "headline": "Fire", **members})
    except DocumentError:
        return
    assert_nothing_told(item)
