"""Our answers against the schemas of AP Media API 2.2, for the members that both have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.api.conftest import OTHER, Served

CONTRACT = Path(__file__).parents[3] / "shared/contract/ap-media-api/openapi-2.2.yml"

if not CONTRACT.exists():
    pytest.skip(f"the contract is not beside this checkout ({CONTRACT})", allow_module_level=True)

COMPONENTS = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))["components"]


def faults(name: str, answer: Any) -> list[str]:
    schema = {"$ref": f"#/components/schemas/{name}", "components": COMPONENTS}
    found = jsonschema.Draft202012Validator(schema).iter_errors(answer)
    return [f"{error.json_path}: {error.message}" for error in found]


def test_schema_refuses_what_it_should() -> None:
    assert faults("searchresponse", {"data": {"page_size": "many"}})


def test_search_fits(served: Served) -> None:
    for key in ("read-key-1234", OTHER):
        answer = served.get(
            "/content/search", key=key, page_size=1, explain=1, facets="type", session_label="x"
        ).json()
        assert answer["data"]["items"]
        assert faults("searchresponse", answer) == []


def test_item_fits(served: Served) -> None:
    for uri in ("urn:news:ferry", "urn:news:mixed"):
        assert faults("contentresponse", served.get(f"/content/{uri}").json()) == []


def test_error_fits_but_for_its_code(served: Served) -> None:
    answer = served.get("/content/urn:none").json()
    assert faults("errorresponse", answer) == ["$.error.code: 'not_found' is not of type 'integer'"]


def test_members_that_theirs_has_are_named_as_theirs() -> None:
    from api.contract import ErrorDetail, SearchData

    theirs = COMPONENTS["schemas"]
    data = theirs["searchresponse"]["allOf"][1]["properties"]["data"]["properties"]
    assert set(data) - set(SearchData.model_fields) == {"feed_href"}
    error = theirs["errorresponse"]["allOf"][1]["properties"]["error"]["properties"]
    assert set(error) - set(ErrorDetail.model_fields) == {"item"}
