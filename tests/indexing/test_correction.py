"""The next version of an item, with some other texts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import DocumentError
from core.items import Item, MediaFile, PubStatus
from indexing.correction import corrected
from indexing.ninjs import read_tree

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OLD: dict[str, Any] = {
    "uri": "u",
    "version": "3",
    "headline": "Old",
    "body_text": "old text",
    "body_xhtml": "<p>old text</p>",
    "description_caption": "old caption",
    "description_creditline": "A photographer",
    "embargoed": "2026-02-01T00:00:00Z",
    "agency_mood": "calm",
}
NEW: dict[str, Any] = {
    "uri": "u",
    "version": 3,
    "versionCreated": "2026-01-01T00:00:00Z",
    "headlines": [{"role": "main", "value": "Old"}],
    "bodies": [{"contenttype": "text/html", "value": "<p>old text</p>"}],
    "descriptions": [
        {"role": "creditline", "value": "A photographer"},
        {"role": "caption", "value": "old caption"},
    ],
}


def clock() -> datetime:
    return NOW


def recorded(document: dict[str, Any], **members: Any) -> Item:
    return replace(read_tree(document, clock, ["wire"]).item, **members)


@pytest.mark.parametrize("document", [OLD, NEW])
def test_no_form_keeps_the_old_text_and_all_else_stays(document: dict[str, Any]) -> None:
    file = MediaFile("/a.jpg", "00", "image/jpeg", 1)
    item = recorded(document, media=file, pubstatus=PubStatus.WITHHELD, caption="By a machine")
    texts = {"headline": "New", "body": "One.\n\nTwo.", "description": "caption"}
    made = corrected(item, {**texts, "ednote": "Corrects the name."}, clock)
    assert (made.version, made.versioncreated) == (4, NOW)
    assert {name: getattr(made, name) for name in texts} == texts
    assert made.ednote == "Corrects the name."
    assert "old" not in str(made.source).lower()
    assert "A photographer" in str(made.source)
    kept = ("media", "pubstatus", "caption", "products", "chain", "firstcreated", "embargoed")
    assert {name: getattr(made, name) for name in kept} == {
        name: getattr(item, name) for name in kept
    }
    again = read_tree(made.source, clock).item
    assert (again.version, again.headline, again.body) == (4, "New", "One.\n\nTwo.")


def test_texts_that_are_not_named_keep_their_forms() -> None:
    made = corrected(recorded(OLD), {"headline": "New"}, clock)
    assert made.source["body_xhtml"] == OLD["body_xhtml"]
    assert made.source["version"] == "4"
    assert made.body == "old text"


def test_a_text_that_no_item_can_have_is_refused() -> None:
    with pytest.raises(DocumentError):
        corrected(recorded(OLD), {"headline": "x" * 3_000_000}, clock)
