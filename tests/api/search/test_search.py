"""What a search takes and answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from api.contract import SearchAnswer
from api.search.search_json import found_name_json
from core.entities import EntityLabel, KnownName, NameMatch
from core.query_tree import Bool, DateRange, Keyword
from core.retrieval import SortOrder
from search.answers import EntityUse, FoundName
from tests.api.conftest import READ, Served


def uris(answer: dict[str, Any]) -> list[str]:
    return [hit["item"]["uri"] for hit in answer["data"]["items"]]


def test_answer_fits_its_model_and_has_the_contracts_members(served: Served) -> None:
    answer = served.get("/content/search", q="ferry", explain="true", facets="type,place")
    parsed = SearchAnswer.model_validate(answer.json())
    assert answer.headers["content-type"] == "application/json"
    assert parsed.org_name == "Morning Post"
    assert parsed.method == "GET /content/search"
    assert parsed.params == {"q": "ferry", "explain": "true", "facets": "type,place"}
    assert parsed.id == answer.headers["x-request-id"]
    data = parsed.data
    assert (data.total_items, data.total_relation, data.current_item_count) == (2, "exact", 2)
    assert data.timings_ms["total"] == pytest.approx(3.4)
    hit = data.items[1]
    assert hit.item.headline == "Ferry service resumes after storm"
    assert hit.meta.explanation is not None
    assert hit.meta.explanation["vectors"][0]["rank"] >= 0
    assert hit.meta.highlights["headline"] == "\ue000Ferry\ue001 service resumes after storm"


def test_item_members_follow_the_contract(served: Served) -> None:
    items = served.get("/content/search", q="resumes").json()["data"]["items"]
    item = items[0]["item"]
    assert item["bylines"] == [{"by": "Ana Reyes"}]
    assert item["usageterms"] == ["Editorial use only"]
    assert item["versioncreated"] == "2024-03-05T07:30:00Z"
    assert item["subject"][0] == {
        "name": "transport",
        "code": "medtop:20000337",
        "scheme": "medtop",
        "creator": "Editorial",
        "rels": ["direct"],
    }
    assert "body_text" not in item


def test_caption_of_a_picture_is_named_as_in_the_contract(served: Served) -> None:
    items = served.get("/content/search", key="other-key-9012", q="quay").json()["data"]["items"]
    assert items[0]["item"]["description_caption"] == "A ferry at the quay on Monday."


def test_filters_or_within_a_field_and_and_across_fields(served: Served) -> None:
    served.get(
        "/content/search",
        type=["text", "picture,video"],
        place='"Porto Alto, Lower Quay",Lisbon',
        since="2024-03-05",
        until="2024-03-05",
    )
    assert served.room.asked[-1][0].filters == Bool(
        must=(
            Keyword("type", ("text", "picture", "video")),
            Keyword("place", ("Porto Alto, Lower Quay", "Lisbon")),
            DateRange(
                "versioncreated",
                datetime(2024, 3, 5, tzinfo=UTC),
                datetime(2024, 3, 6, tzinfo=UTC),
            ),
        )
    )


def test_filters_find_what_they_say(served: Served) -> None:
    answer = served.get("/content/search", place='"Porto Alto, Lower Quay"', until="2024-03-04")
    assert uris(answer.json()) == ["https://news.example/stories/storm?id=1&x=ü"]


def test_times_are_read_in_their_zone(served: Served) -> None:
    served.get("/content/search", since="2024-03-05T01:00:00+02:00")
    expected = DateRange("versioncreated", datetime(2024, 3, 4, 23, tzinfo=UTC), None)
    assert served.room.asked[-1][0].filters == expected


def test_every_parameter_reaches_the_core(served: Served) -> None:
    served.get(
        "/content/search",
        q="ferry",
        sort="versioncreated:asc",
        page=2,
        page_size=7,
        cursor="from:0",
        facets="type",
        facet_limit=3,
        explain=1,
        profile="lexical",
        highlight="false",
        entities="filter",
        dates="off",
        tz="Europe/Berlin",
        locale="en-US",
    )
    request = served.room.asked[-1][0]
    assert (request.q, request.order, request.page, request.page_size) == (
        "ferry",
        SortOrder.OLDEST,
        2,
        7,
    )
    assert (request.cursor, request.facets, request.facet_limit) == ("from:0", ("type",), 3)
    assert (request.explain, request.profile, request.highlight) == (True, "lexical", False)
    assert request.entities is EntityUse.FILTER
    assert (request.dates, request.tz, request.locale) == ("off", "Europe/Berlin", "en-US")


def test_names_are_given_as_typed_and_as_the_archive_has_them() -> None:
    names = ("Angela Merkel", "Frau Merkel")
    known = KnownName(names[0], "person", NameMatch.FUZZY, names, aliases=names[1:])
    found = FoundName("merkle", EntityLabel.PER, 6, 12, 0.98765, known, EntityUse.BOOST)
    assert found_name_json(found) == {
        "text": "merkle",
        "label": "PER",
        "start": 6,
        "end": 12,
        "score": 0.9877,
        "canonical": "Angela Merkel",
        "aliases": ["Frau Merkel"],
        "field": "person",
        "match": "fuzzy",
        "use": "boost",
        "ignored": False,
    }
    unknown = found_name_json(FoundName("nobody", EntityLabel.PER, 0, 6, 0.5))
    assert (unknown["canonical"], unknown["aliases"], unknown["field"]) == ("", [], "")
    assert (unknown["match"], unknown["use"]) == ("none", "off")


def test_links_lead_through_the_pages(served: Served) -> None:
    first = served.get("/content/search", q="ferry", page_size=1, type="text").json()
    data = first["data"]
    assert "previous_page" not in data
    assert data["page_template"] == "/content/search?q=ferry&page_size=1&type=text&page={page}"
    second = served.get(data["next_page"]).json()
    assert second["data"]["current_page"] == 2
    assert uris(second) != uris(first)
    assert "next_page" not in second["data"]
    assert uris(served.get(second["data"]["previous_page"]).json()) == uris(first)


def test_include_and_exclude_choose_members(served: Served) -> None:
    only = served.get("/content/search", q="resumes", include="headline,body_text").json()
    assert set(only["data"]["items"][0]["item"]) == {"uri", "headline", "body_text"}
    less = served.get("/content/search", q="resumes", exclude="headline,renditions").json()
    assert {"headline", "renditions"}.isdisjoint(less["data"]["items"][0]["item"])


def test_session_label_comes_back(served: Served) -> None:
    answer = served.get("/content/search", session_label="desk 4").json()
    assert answer["session_label"] == "desk 4"


@pytest.mark.parametrize("query", ["القمة 🌍", "👩‍🚀", "\u200fשלום", "ﬁ ﷽ e\u0301", "'; DROP--<b>"])
def test_any_script_goes_there_and_back(served: Served, query: str) -> None:
    answer = served.get("/content/search", q=query).json()
    assert answer["data"]["query"] == query
    assert served.room.asked[-1][0].q == query
    mixed = served.get("/content/urn:news:mixed").json()["data"]["item"]
    assert mixed["headline"] == "القمة تبدأ 🌍 today"
    assert mixed["body_text"] == "مرحبا 👩‍🚀 \u200fשלום"


def test_item_is_found_by_a_uri_with_any_characters(served: Served) -> None:
    path = "/content/https%3A%2F%2Fnews.example%2Fstories%2Fstorm%3Fid%3D1%26x%3D%C3%BC"
    item = served.get(path).json()["data"]["item"]
    assert item["uri"] == "https://news.example/stories/storm?id=1&x=ü"
    assert item["body_text"] == "A storm closed the port."


def test_item_has_the_agencys_own_members(served: Served) -> None:
    item = served.get("/content/urn:news:ferry").json()["data"]["item"]
    assert item["agency_mood"] == "relieved"
    assert item["renditions"]["main"]["mimetype"] == "text/plain"


def test_versions_give_the_chain(fresh: Served) -> None:
    newer = {
        "uri": "urn:news:ferry",
        "version": 3,
        "headline": "Ferry service resumes, late",
        "products": ["wire"],
    }
    fresh.room.put_documents([newer], ())
    data = fresh.get("/content/urn:news:ferry", versions="all").json()["data"]
    assert [entry["item"]["version"] for entry in data["versions"]] == [3, 2]
    assert "versions" not in fresh.get("/content/urn:news:ferry").json()["data"]


def test_search_wins_over_an_item_of_that_name(served: Served) -> None:
    assert "items" in served.get("/content/search", key=READ).json()["data"]


def test_a_story_is_read_as_nitf_and_as_plain_text(served: Served) -> None:
    nitf = served.get("/content/urn:news:ferry/renditions/nitf")
    assert nitf.headers["content-type"] == "application/nitf+xml"
    assert "<byline>Ana Reyes</byline>" in nitf.text
    plain = served.get("/content/urn:news:ferry/renditions/plain")
    assert plain.headers["content-type"] == "text/plain; charset=utf-8"
    assert plain.text.startswith("Ferry service resumes after storm\n\nAna Reyes\n\n")
    assert served.get("/content/urn:news:photo/renditions/plain").status_code == 404
    assert served.get("/content/urn:news:ferry/renditions/pdf").status_code == 400


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [("headlin", "headline"), ("subject.nmae", "name"), ("headline.x", "headline.x")],
)
def test_an_unknown_member_is_refused_with_the_nearest(
    served: Served, asked: str, nearest: str
) -> None:
    for name in ("include", "exclude"):
        for path in ("/content/search", "/content/urn:news:ferry"):
            answer = served.get(path, **{name: asked})
            assert answer.status_code == 400
            error = answer.json()["error"]
            assert error["field"] == name
            assert f"'{nearest}'" in error["message"]


def test_an_item_is_read_as_ninjs(served: Served) -> None:
    answer = served.get("/content/urn:news:ferry", format="ninjs")
    assert answer.headers["x-ninjs-version"] == "1.6"
    document = answer.json()
    assert (document["uri"], document["urgency"]) == ("urn:news:ferry", 3)
    assert "agency_mood" not in document
    later = served.get("/content/urn:news:ferry", format="ninjs-3.1").json()
    assert later["headlines"][0]["value"] == document["headline"]
    for refused in ({"format": "ninjs-9"}, {"format": "ninjs", "include": "headline"}):
        assert served.get("/content/urn:news:ferry", **refused).status_code == 400
    assert served.get("/content/urn:news:photo", format="ninjs").status_code == 404
