"""What comes in as XML is delivered again, and what is delivered as NITF can be read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from api.formats.ninjs import ninjs
from api.formats.renditions import text_rendition
from indexing.ninjs import read_tree
from tests.api.formats.answers import READER, item_of, newsroom
from tests.indexing.formats.golden import XML, expected, xml_entries

NOW = datetime(2026, 3, 1, tzinfo=UTC)
STORIES = [
    entry["tree"]
    for name in XML
    for entry in expected(name)
    if "tree" in entry and entry["tree"].get("bodies")
]


@pytest.mark.parametrize("tree", STORIES, ids=[tree["uri"][-20:] for tree in STORIES])
def test_what_is_delivered_as_nitf_is_read_as_the_same_text(tree: dict[str, Any]) -> None:
    item = item_of(tree)
    [entry] = xml_entries(text_rendition("nitf", item, READER, newsroom(item)))
    assert entry.tree is not None
    again = read_tree(entry.tree, lambda: NOW)
    assert again.item.headline == item.headline
    assert again.item.body.split() == item.body.split()


@pytest.mark.parametrize("tree", STORIES, ids=[tree["uri"][-20:] for tree in STORIES])
def test_members_of_xml_are_delivered_as_ninjs(tree: dict[str, Any]) -> None:
    item = item_of(tree)
    told = orjson.loads(orjson.dumps(ninjs(item, READER, newsroom(item), "3.1").document))
    for name in ("uri", "slugline", "by", "located", "subjects", "people", "copyrightNotice"):
        assert told.get(name) == tree.get(name), name
