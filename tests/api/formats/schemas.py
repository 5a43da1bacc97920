"""Validators of the published schemas: AP's content item, and ninjs by version.

`skip_without` skips a module where the schemas are not beside this checkout.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from referencing import Registry, Resource

SHARED = Path(__file__).parents[4] / "shared/contract"
AP, NINJS = SHARED / "ap-media-api/openapi-2.2.yml", SHARED / "ninjs"
NINJS_VERSIONS = ("1.4", "1.6", "2.1", "2.2", "3.0", "3.1")
_GEO_JSON = "https://geojson.org/schema/GeoJSON.json"


def skip_without(path: Path) -> None:
    if not path.exists():
        pytest.skip(f"{path} is not beside this checkout", allow_module_level=True)


def faults(validator: Any, value: Any) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]


@cache
def _ap_components() -> Any:
    return yaml.safe_load(AP.read_text(encoding="utf-8"))["components"]


@cache
def content_item() -> Any:
    """AP's `contentitem`; one of its members is written with a blank in its name."""
    schema = {"$ref": "#/components/schemas/contentitem", "components": _ap_components()}
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


@cache
def ninjs(version: str) -> Any:
    """The schema of a version of ninjs. GeoJSON's own schema, which it names, is not fetched."""
    schema = json.loads((NINJS / f"ninjs-schema_{version}.json").read_text(encoding="utf-8"))
    anything = Resource.from_contents({"$schema": "https://json-schema.org/draft/2020-12/schema"})
    registry: Registry[Any] = Registry().with_resource(_GEO_JSON, anything)
    kind: Callable[..., Any] = jsonschema.validators.validator_for(schema)
    return kind(schema, registry=registry, format_checker=jsonschema.FormatChecker())
