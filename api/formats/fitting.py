"""Fits a value to a JSON schema: it is changed as little as the schema needs, or left out.

A number becomes text if the schema wants text, `"640"` and `640.4` become 640, one value becomes a
list of one, a word gets the case of the list that it is in. A value that the schema can't express
is left out, and so is an object that lacks a required member without a default.

It knows the keywords that the ninjs schemas and `ap_contract` use: `$ref` within the document,
`type`, `enum`, `pattern`, `minimum`, `maximum`, `maxLength`, `format: date-time`, `items`,
`properties`, `patternProperties`, `additionalProperties`, `unevaluatedProperties: false`,
`required`, `default`, `anyOf`, and `oneOf` over required members.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from api.formats.carried import of_the_same_item
from core.errors import DocumentError
from indexing.fields import moment

Schema = Mapping[str, Any]
GONE: Any = object()
"""What `fit` returns for a value that can't be told in the schema's terms."""

_RFC3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})", re.IGNORECASE | re.ASCII
)
_WHOLE = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?", re.ASCII)
_REFERENCE = re.compile(r"#(?:/(?:\$defs|definitions)/([^/]+))?")
PLAIN = "plain"  # ours, in a schema: the members that any text fits
_NO_TYPE = "none"  # of a schema that no value fits


def fit(value: Any, schema: Schema, root: Schema) -> Any:
    """Return `value` as `schema` allows it, or GONE. `root` is the document that references point
    into.
    """
    if "$ref" in schema:
        schema = resolved(schema, root)
    value = _typed(value, schema, root)
    if value is not GONE and "anyOf" in schema:
        fitted = (fit(value, option, root) for option in schema["anyOf"])
        value = next((one for one in fitted if one is not GONE), GONE)
    return value


def resolved(schema: Schema, root: Schema) -> Schema:
    """Return a schema with its reference resolved; a reference to another document allows
    everything.
    """
    found = _REFERENCE.fullmatch(schema["$ref"])
    if found is None:
        return {name: rule for name, rule in schema.items() if name != "$ref"}
    definitions = root.get("$defs") or root.get("definitions") or {}
    named: Schema = definitions[found[1]] if found[1] else root
    if named is root:
        named = {name: rule for name, rule in root.items() if name != "$ref"}
        named = resolved({**named, "$ref": root["$ref"]}, root) if "$ref" in root else named
    merged = {**named, **{name: rule for name, rule in schema.items() if name != "$ref"}}
    merged["type"] = _both(named.get("type"), schema.get("type"))
    for name in ("properties", "required"):
        both = [part[name] for part in (named, schema) if name in part]
        if len(both) == 2:
            merged[name] = {**both[0], **both[1]} if name == "properties" else both[0] + both[1]
    return merged


def _both(one: Any, other: Any) -> Any:
    return one if other in (None, one) else other if one is None else _NO_TYPE


def _typed(value: Any, schema: Schema, root: Schema) -> Any:
    kind = schema.get("type")
    if kind == "object":
        return _object(value, schema, root)
    if kind == "array":
        return _array(value, schema, root)
    if kind == "string":
        return _text(value, schema)
    if kind in ("integer", "number"):
        return _number(value, schema)
    if kind == "boolean":
        return value if isinstance(value, bool) else GONE
    if kind == _NO_TYPE:
        return GONE
    return _chosen(value, schema) if isinstance(value, Mapping) else value


def _text(value: Any, schema: Schema) -> Any:
    if not isinstance(value, str) and isinstance(value, Mapping):
        value = value.get("name")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return GONE
    if (words := schema.get("enum")) is not None:
        value = _word(value, words)
    elif schema.get("format") == "date-time":
        value = _moment(value)
    if value is GONE or len(value) > schema.get("maxLength", len(value)):
        return GONE
    pattern = schema.get("pattern")
    return value if pattern is None or re.search(pattern, value) else GONE


def _word(value: str, words: Sequence[str]) -> Any:
    if value in words:
        return value
    folded = {word.casefold(): word for word in words}
    return folded.get(value.strip().casefold(), GONE)


def _moment(value: str) -> Any:
    """Return a time as RFC 3339; one that ingest reads in another shape is written as that."""
    if _RFC3339.fullmatch(value):
        return value
    try:
        return moment(value, "", []).isoformat().replace("+00:00", "Z")
    except DocumentError:
        return GONE


def _number(value: Any, schema: Schema) -> Any:
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return GONE
    if schema["type"] == "integer":
        value = round(value)
    inside = schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return value if inside else GONE


def _array(value: Any, schema: Schema, root: Schema) -> Any:
    entries = value if isinstance(value, list) else [value]
    of_entries = schema.get("items", {})
    fitted = [fit(entry, of_entries, root) for entry in entries]
    kept = [entry for entry in fitted if entry is not GONE]
    return kept if kept or value == [] else GONE


def _object(value: Any, schema: Schema, root: Schema) -> Any:
    known: Mapping[str, Schema] = schema.get("properties", {})
    if isinstance(value, str) and "name" in known:
        value = {"name": value}
    if not isinstance(value, (dict, Mapping)):  # the first is faster
        return GONE
    kept = _members(value, schema, root)
    for name in schema.get("required", ()):
        if name not in kept and "default" in known.get(name, {}):
            kept[name] = known[name]["default"]
    if not kept and value:
        return GONE
    return _chosen(kept, schema)


def _members(value: Mapping[str, Any], schema: Schema, root: Schema) -> dict[str, Any]:
    kept = of_the_same_item(value, {})
    known: Mapping[str, Schema] = schema.get("properties", {})
    plain: Collection[str] = schema.get(PLAIN, ())
    patterns: Mapping[str, Schema] = schema.get("patternProperties", {})
    others = schema.get("additionalProperties", schema.get("unevaluatedProperties", True))
    for name, member in value.items():
        if type(member) is str and name in plain:
            kept[name] = member
            continue
        rule = known.get(name)
        if not patterns and (rule is not None or others is True):
            fitted = member if rule is None else fit(member, rule, root)
            if fitted is not GONE:
                kept[name] = fitted
            continue
        rules: list[Any] = [] if rule is None else [rule]
        rules += [rule for pattern, rule in patterns.items() if re.search(pattern, name)]
        if not rules and others is not True:
            rules = [others]
        fitted = member
        for each in rules:
            if fitted is not GONE:
                fitted = GONE if each is False else fit(fitted, each, root)
        if fitted is not GONE:
            kept[name] = fitted
    return kept


def _chosen(value: Mapping[str, Any], schema: Schema) -> Any:
    """Return an object with its required members, and with exactly one alternative of `oneOf`."""
    for name in schema.get("required", ()):
        if name not in value:
            return GONE
    if "oneOf" not in schema:
        return value
    alternatives = [option.get("required", ()) for option in schema["oneOf"]]
    met = [names for names in alternatives if all(name in value for name in names)]
    if not met:
        return GONE
    beside = {name for names in met[1:] for name in names} - set(met[0])
    return {name: member for name, member in value.items() if name not in beside}
