"""AP's contract with what it lacks: targets of its broken references, parameters that it defines
and uses nowhere, and the statuses that AP's guide and HTTP add. The file itself is not copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml

CONTRACT = Path(__file__).parents[4] / "shared/contract/ap-media-api/openapi-2.2.yml"
BROKEN = "#/definitions/monitorsResponse"
# Statuses that no operation of the contract declares. 404 and 429 are in AP's guide.
MORE_STATUSES = {"404": "Not found", "405": "Method not allowed", "429": "Quota exceeded"}
_TABLES = ("/account/followedtopics", "/account/plans", "/account/downloads")
_VERSIONED = ("/content/{item_id}", "/content/search", "/content/feed", "/content/ondemand")

MONITOR: dict[str, Any] = {
    "monitor": {
        "name": "night",
        "notify": [{"channelType": "email", "channelDestinations": ["desk@gazette.example"]}],
        "conditions": [{"type": "idleFeed", "criteria": {"idleTime": "PT10M"}}],
    }
}


def needs_contract() -> None:
    if not CONTRACT.exists():
        pytest.skip(
            f"the contract is not beside this checkout ({CONTRACT})", allow_module_level=True
        )


@cache
def contract() -> dict[str, Any]:
    """The contract with the overlay."""
    found: dict[str, Any] = yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
    components = found["components"]
    rendition = components["schemas"]["contentitem"]["properties"]["renditions"]
    # Numbers in place of "16:9" and "4:3": YAML reads a colon between digits as base 60.
    ratio = rendition["additionalProperties"]["properties"]["aspectratio"]
    ratio["enum"] = ["16:9", "4:3"]
    for path, _, operation in operations(found):
        for status, told in MORE_STATUSES.items():
            operation["responses"][status] = _answer(told, "errorresponse")
        operation["responses"].setdefault("304", {"description": "Not modified", "content": {}})
        if operation["responses"]["200"] == {"$ref": BROKEN}:
            operation["responses"]["200"] = _answer("The answer", "monitorsResponse")
        if path in _TABLES:
            table = {"text/csv": {"schema": {"type": "string"}}}
            operation["responses"]["200"]["content"] |= table
        if path in _VERSIONED:
            names = ("Versions", "View", "Text-Links")
            more = [deepcopy(components["parameters"][name]) for name in names]
            operation["parameters"] = [*operation.get("parameters", []), *more]
    return found


def operations(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation: its path, its method and what is said of it."""
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _answer(told: str, schema: str) -> dict[str, Any]:
    kind = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": told, "content": kind}


def faults(name: str, answer: Any) -> list[str]:
    """How an answer breaks a schema of the contract."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": contract()["components"]}
    found = jsonschema.Draft202012Validator(_without_null(schema)).iter_errors(answer)
    return [f"{error.json_path}: {error.message}" for error in found]


def _without_null(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 as JSON schema: `nullable` is a type of its own there."""
    if isinstance(schema, list):
        return [_without_null(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: _without_null(one) for name, one in schema.items() if name != "nullable"}
    if schema.get("nullable") is True:
        told["type"] = [schema["type"], "null"]
    return told


def code_of(answer: httpx.Response) -> tuple[int, int]:
    """The status and AP's code of an error, whose shape is the contract's."""
    assert faults("errorresponse", answer.json()) == []
    error = answer.json()["error"]
    assert error["status"] == answer.status_code
    return answer.status_code, error["code"]
