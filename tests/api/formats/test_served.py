"""The forms of an item as AP's contract serves them."""

from __future__ import annotations

from tests.api.conftest import Served

ITEM, OWN = "/media/v/content/urn:news:ferry", "/content/urn:news:ferry"


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


def test_an_item_is_read_as_newsml(served: Served) -> None:
    for path, asked in ((ITEM, {"format": "newsmlg2"}), (f"{OWN}/renditions/newsmlg2", {})):
        answer = served.get(path, **asked)
        assert answer.headers["content-type"] == "application/vnd.iptc.g2.newsitem+xml"
        assert 'guid="urn:news:ferry"' in answer.text
