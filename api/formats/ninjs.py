"""An item as ninjs of its own version, or of another one.

An item that arrived as ninjs goes back as it came: its document, without what the guard takes out,
with the state that the record has, and fitted to the schema of its version. What was another
document, or another family of ninjs (1, 2, 3), is made from the item's members.
https://iptc.org/std/ninjs/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import orjson

from api.access.receipts import Receive
from api.content.media_json import media_members
from api.content.media_links import MediaLinks
from api.content.nested import MADE_HERE, is_passed_on, look_inside, plain_name
from api.envelope import rfc3339
from api.formats.concepts import MEMBERS
from api.formats.fitting import GONE, Schema, fit, resolved
from api.formats.items import (
    ItemView,
    carried_members,
    items_json,
    listed_concepts,
    nobody_receives,
    private_members,
)
from api.formats.markup import addresses_in, safe_markup
from core.callers import Caller
from core.errors import DocumentError
from core.items import Item
from core.ports.engine import Library
from indexing.fields import moment

VERSIONS = ("1.4", "1.6", "2.1", "2.2", "3.0", "3.1")
_NEWEST = {"1": "1.6", "2": "2.2", "3": "3.1"}
_NO_FETCH = ("#", "mailto:", "tel:")  # addresses in markup that lead to no file
_PLAIN = (
    "uri", "type", "versioncreated", "firstcreated", "pubstatus", "urgency", "embargoed", "expires",
    "language", "copyrightnotice", "ednote", "slugline", "located", "title", "profile",
)  # fmt: skip
_SPELLINGS = {
    "headline": ("headline",),
    "body": ("body_", "bodies"),
    "description": ("description",),
    "by": ("by",),
    "embargoed": ("embargoed",),
}
_EMBARGOES = ("embargoed", "embargoeduntil")


class Ninjs(NamedTuple):
    """A document and the version of ninjs that it is valid for."""

    document: dict[str, Any]
    version: str


def ninjs(
    item: Item,
    caller: Caller,
    library: Library,
    version: str = "",
    links: MediaLinks | None = None,
    receive: Receive = nobody_receives,
) -> Ninjs:
    """Return an item as ninjs, with what the guard lets the caller see. Without `version` the
    document has the version of ninjs that the item came in, else the newest.

    `links` must be absolute; with them the document has the addresses of our own media. `receive`
    is called with the item and with the items inside it.
    """
    own = version_in(item.source)
    version = version or own or VERSIONS[-1]
    view = ItemView(caller, links=links, whole=True, receive=receive)
    ((members, _),) = items_json([item], view, library)
    made = _made(members, version)
    if own[:1] != version[:1] and not _fits(item.source, version):
        return Ninjs(made, version)
    shown = _shown(item, caller, library, version, links)
    schema = schema_of(version)
    told: dict[str, Any] = fit(
        {"uri": item.uri, **respelled(shown, schema, schema)}, schema, schema
    )
    # A member whose shape does not fit the document's version is written as the item has it.
    lost = {_meaning(name) for name in shown} - {_meaning(name) for name in told}
    told |= {name: value for name, value in made.items() if _meaning(name) in lost}
    _add_media(told, item, links, version)
    return Ninjs(_in_state(told, item, version), version)


@cache
def schema_of(version: str) -> Schema:
    """Return the JSON schema of a version, without its sentences."""
    text = files("api.formats").joinpath(f"ninjs_schemas/{version}.json").read_bytes()
    schema: Schema = orjson.loads(text)
    return schema


@cache
def _names(version: str) -> Mapping[str, str]:
    """Return the members of a version, by their names in lower case."""
    schema = schema_of(version)
    whole = resolved(schema, schema) if "$ref" in schema else schema
    return {name.lower(): name for name in whole["properties"]}


def _meaning(name: str) -> str:
    """Return one name for the spellings of a member in all families."""
    plain = plain_name(name)
    for meant, beginnings in _SPELLINGS.items():
        if plain.startswith(beginnings):
            return meant
    return next((single for single, plural in MEMBERS.items() if plain == plural), plain)


# --- which version a document is


def version_in(source: Mapping[str, Any]) -> str:
    """Return the version of ninjs that a document is: the one that it names, else the first that
    allows all of it, else the newest of the family whose names it has; "" for an empty document.
    """
    if not source:
        return ""
    if named := _named_version(source):
        return named
    fitting = (version for version in VERSIONS if _fits(source, version))
    return next(fitting, None) or _NEWEST[_family(source)]


def _fits(source: Mapping[str, Any], version: str) -> bool:
    """Return whether a version has all of a document that is ninjs at all."""
    schema = schema_of(version)
    ours = {name: value for name, value in source.items() if _is_ninjs(name)}
    return bool(ours) and fit(ours, schema, schema) == ours


def _named_version(source: Mapping[str, Any]) -> str:
    for name in ("$standard", "standard"):
        standard = source.get(name)
        said = standard.get("version") if isinstance(standard, Mapping) else None
        version = ".".join(said.split(".")[:2]) if isinstance(said, str) else ""
        if version in VERSIONS:
            return version
    return ""


def _is_ninjs(name: str) -> bool:
    plain = name.lower()
    return any(plain in _names(version) for version in VERSIONS) or plain.startswith(
        ("body_", "description_", "headline_")
    )


def _family(source: Mapping[str, Any]) -> str:
    spelt = {version: set(_names(version).values()) for version in _NEWEST.values()}
    if source.keys() & (spelt["3.1"] - spelt["2.2"] - spelt["1.6"]):
        return "3"
    listed = any(isinstance(source.get(n), list) for n in ("altids", "renditions", "associations"))
    return "2" if listed or source.keys() & (spelt["2.2"] - spelt["1.6"]) else "1"


# --- the document as it came


def _shown(
    item: Item, caller: Caller, library: Library, version: str, links: MediaLinks | None
) -> dict[str, Any]:
    """Return the item's document as the guard lets the caller see it; items inside are as they are
    now.
    """
    private = private_members(item, caller)
    document = {
        name: value
        for name, value in item.source.items()
        if plain_name(name) not in private | MADE_HERE
    }

    def carried(other: Item, renditions: dict[str, Any]) -> dict[str, Any]:
        (concepts,) = listed_concepts([other], caller, library)
        return _made(carried_members(other, renditions, concepts, links), version)

    inside = look_inside(library, caller, [(item, document)], carried)
    shown = inside.members(0, document, private)
    addresses = {address for text in _texts(shown) for address in addresses_in(text)}
    sights = library.sights(dict.fromkeys(addresses, item.products), caller) if addresses else {}
    hidden = {uri for uri, sight in sights.items() if not sight.in_chain}

    def passes(address: str) -> bool:
        if address in hidden:
            return False
        return address.startswith(_NO_FETCH) or is_passed_on(address, "href")

    cleaned: dict[str, Any] = _cleaned(shown, passes)
    return cleaned


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, Mapping)):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(part)


def _cleaned(value: Any, passes: Callable[[str], bool]) -> Any:
    """Return a document whose markup has no programs and no addresses that do not pass."""
    if isinstance(value, str):
        return safe_markup(value, passes)
    if isinstance(value, list):
        return [_cleaned(part, passes) for part in value]
    if isinstance(value, Mapping):
        return {name: _cleaned(part, passes) for name, part in value.items()}
    return value


def _in_state(told: dict[str, Any], item: Item, version: str) -> dict[str, Any]:
    """Return a document with the state and the embargo that the record has for its item."""
    names = _names(version)
    status = names["pubstatus"]
    if status in told or item.pubstatus.value != "usable":
        told[status] = item.pubstatus.value
    for name in (names[plain] for plain in _EMBARGOES if plain in names):
        if item.embargoed is None:
            told.pop(name, None)
        elif name not in told or _read(told[name]) != item.embargoed:
            told[name] = rfc3339(item.embargoed)
    return told


def _read(text: Any) -> Any:
    try:
        return moment(text, "", []) if isinstance(text, str) else None
    except DocumentError:
        return None


def _add_media(told: dict[str, Any], item: Item, links: MediaLinks | None, version: str) -> None:
    """Add addresses of our own media to the renditions of a document."""
    own = media_members(item, links).get("renditions")
    if not own:
        return
    made = _made({"uri": item.uri, "type": item.type.value, "renditions": own}, version)
    renditions, said = made.get("renditions", {}), told.get("renditions")
    if isinstance(renditions, list):
        names = {one["name"] for one in renditions}
        kept = [one for one in said or () if one.get("name") not in names]
        told["renditions"] = [*kept, *renditions]
    else:
        told["renditions"] = {**(said or {}), **renditions}


def respelled(value: Any, schema: Schema, root: Schema) -> Any:
    """Return a value whose members have the schema's spelling; ninjs 3 has `versionCreated`, the
    others `versioncreated`.
    """
    if "$ref" in schema:
        schema = resolved(schema, root)
    if isinstance(value, list):
        return [respelled(part, schema.get("items", {}), root) for part in value]
    if not isinstance(value, Mapping):
        return value
    known: Mapping[str, Schema] = schema.get("properties", {})
    spelt = {name.lower(): name for name in known}
    others = [
        schema.get("additionalProperties"),
        *schema.get("patternProperties", {}).values(),
    ]
    rest: Schema = next((rule for rule in others if isinstance(rule, Mapping)), {})
    told: dict[str, Any] = {}
    for name, part in value.items():
        own = str(name) if name in known else spelt.get(plain_name(name), str(name))
        if own == name or own not in value:
            told[own] = respelled(part, known.get(own, rest), root)
    return told


# --- ninjs of what was no ninjs


def _made(members: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Return a document from an item's members by our own names."""
    tree = {name: members[name] for name in _PLAIN if name in members}
    tree |= {"version": str(members["version"])} if "version" in members else {}
    if terms := members.get("usageterms"):
        tree["usageterms"] = "\n".join(terms)
    tree |= _first_family(members) if version[0] == "1" else _later_families(members)
    schema = schema_of(version)
    if "embargoed" in tree and "embargoed" not in _names(version):
        tree["embargoedUntil"] = tree.pop("embargoed")
    associations = {
        name: {"name": name, **_made(one, version)}
        for name, one in _objects(members.get("associations"))
        if one.get("uri")
    }
    if associations:
        tree["associations"] = _by_version(associations, version)
    fitted = fit(respelled(tree, schema, schema), schema, schema)
    return {} if fitted is GONE else fitted


def _by_version(named: Mapping[str, dict[str, Any]], version: str) -> Any:
    """Return objects by name in ninjs 1, a list of named objects in the others."""
    if version[0] != "1":
        return list(named.values())
    return {
        name: {key: value for key, value in one.items() if key != "name"}
        for name, one in named.items()
    }


def _objects(value: Any) -> Iterable[tuple[str, Mapping[str, Any]]]:
    items = value.items() if isinstance(value, Mapping) else ()
    return [(name, one) for name, one in items if isinstance(one, Mapping)]


def _renditions(members: Mapping[str, Any], version: str) -> Any:
    told = {}
    for name, one in _objects(members.get("renditions")):
        spelt = {plain_name(key): value for key, value in one.items()}
        kind = spelt.get("mimetype") or spelt.get("contenttype")  # ninjs 1 has the first
        told[name] = {"name": name, **spelt, "mimetype": kind, "contenttype": kind}
        seconds = one.get("duration")
        if members.get("type") == "video" and isinstance(seconds, (int, float)):
            told[name]["duration"] = seconds / 1000
    return _by_version(told, version)


def _first_family(members: Mapping[str, Any]) -> dict[str, Any]:
    tree = {
        name: value
        for name, value in members.items()
        if name in (*MEMBERS, "headline", "altids")
        or name.startswith(("body_", "description_", "headline_"))
    }
    if by := _by(members):
        tree["byline"] = by
    if renditions := _renditions(members, "1"):
        tree["renditions"] = renditions
    return tree


def _later_families(members: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    if headline := members.get("headline"):
        tree["headlines"] = [{"role": "main", "value": headline}]
    texts = [
        {"role": name.removeprefix("description_"), "value": value}
        for name, value in members.items()
        if name.startswith("description_")
    ]
    if texts:
        tree["descriptions"] = texts
    if body := members.get("body_text"):
        tree["bodies"] = [{"role": "main", "contenttype": "text/plain", "value": body}]
    if by := _by(members):
        tree["by"] = by
    for single, plural in MEMBERS.items():
        if concepts := members.get(single):
            tree[plural] = [{**one, "literal": one.get("code") or None} for one in concepts]
    if ids := members.get("altids"):
        tree["altids"] = [{"role": role, "value": value} for role, value in ids.items()]
    if renditions := _renditions(members, "2"):
        tree["renditions"] = renditions
    return tree


def _by(members: Mapping[str, Any]) -> str:
    bylines = members.get("bylines", ())
    return ", ".join(one["by"] for one in bylines if isinstance(one.get("by"), str))
