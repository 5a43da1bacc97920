"""The forms of an item as AP's contract serves them."""

from __future__ import annotations

from tests.api.conftest import Served

ITEM = "/media/v/content/urn:news:ferry"


def test_a_client_follows_an_item_to_its_text(served: Served) -> None:
    item = served.get(ITEM).json()["data"]["item"]
    nitf = served.get(item["renditions"]["nitf"]["href"])
    assert nitf.status_code == 200
    assert '<hl1 id="headline">Ferry service resumes after storm</hl1>' in nitf.text
    plain = served.get(item["renditions"]["plain"]["href"])
    assert plain.text.startswith("Ferry service resumes after storm\n\n")
    again = served.get(item["uri"]).json()["data"]["item"]
    assert again["altids"] == item["altids"]


def test_an_item_is_read_as_ninjs_there_too(served: Served) -> None:
    document = served.get(ITEM, format="ninjs").json()
    assert document["headline"] == "Ferry service resumes after storm"
    later = served.get(ITEM, format="ninjs-3.1").json()
    assert later["headlines"][0]["value"] == document["headline"]
    assert served.get(ITEM, format="ninjs-9").json()["error"]["code"] == 5001
