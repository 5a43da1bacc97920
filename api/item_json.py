"""An item as AP Media API's `contentitem`: their names and types, and what else was sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from api.envelope import rfc3339
from api.media_json import media_members, shots_json
from api.media_links import MediaLinks
from core.callers import Caller, reaches
from core.items import Concept, Item, ItemType

# Entitlements: which products may see an item is between who writes it and each of them.
_PRIVATE = frozenset({"products", "meta"})
# Members of ninjs that say in their own way what the members below say already.
_SAID = frozenset(
    {
        "body_text",
        "body_xhtml",
        "bodies",
        "headlines",
        "descriptions",
        "description_text",
        "byline",
        "by",
        "subjects",
        "people",
        "organisations",
        "places",
    }
)
_LONG = frozenset({"body_text"})  # left out of search answers unless asked for by `include`
# ninjs 1.x and the contract say `subject`, ninjs 2 and later `subjects`.
_CONCEPTS = {
    "subject": "subjects",
    "person": "people",
    "organisation": "organisations",
    "place": "places",
}
# Of what else the document said, what a list of hits needs too.
_IN_LISTS = ("renditions", "associations", "keywords", "provider")


def text_names(item: Item) -> dict[str, str]:
    """Our text members and what they are called in the contract, which depends on the type."""
    summary = item.type in (ItemType.TEXT, ItemType.COMPOSITE, ItemType.EVENT, ItemType.PLANNING)
    return {
        "headline": "headline",
        "description": "description_summary" if summary else "description_caption",
        "body": "body_text",
        "caption": "machine_caption",
    }


def full_item(
    item: Item, caller: Caller, links: MediaLinks | None = None, *, shots: bool = True
) -> dict[str, Any]:
    """Every member of an item that `caller` may see, the agency's own extensions included; without
    `shots` where nobody asked for those, of which there may be thousands.
    """
    hidden = _SAID if reaches(caller.writes, item.products) else _SAID | _PRIVATE
    members = _contract_members(item)
    # ninjs spells `versioncreated` and `versionCreated`; what is said already is said once.
    extra = {
        name: value
        for name, value in item.source.items()
        if name.lower() not in hidden and name.lower() not in members
    }
    _as_objects(extra, "renditions")
    _as_objects(extra, "associations")
    extra.pop("shots", None)  # a document can't speak for a machine
    if shots and item.shots:
        members["shots"] = shots_json(item, links)
    return _with_media({**extra, **members}, item, links)


def listed_item(item: Item, links: MediaLinks | None = None) -> dict[str, Any]:
    """The members of an item that a list of hits shows: everything but its long texts."""
    extra = {name: item.source[name] for name in _IN_LISTS if name in item.source}
    _as_objects(extra, "renditions")
    _as_objects(extra, "associations")
    members = _with_media({**extra, **_contract_members(item)}, item, links)
    return {name: value for name, value in members.items() if name not in _LONG}


def _with_media(members: dict[str, Any], item: Item, links: MediaLinks | None) -> dict[str, Any]:
    """The members with what this service has of the item's media: its own renditions go before
    those of the same name that the document brought, and a machine's words before nothing.
    """
    own = media_members(item, links)
    said = members.get("renditions")
    if "renditions" in own and isinstance(said, dict):
        own["renditions"] = {**said, **own["renditions"]}
    members.pop("machine_caption", None)  # a document can't speak for a machine
    return {**members, **own}


def selected_item(
    item: Item,
    caller: Caller,
    include: Collection[str],
    exclude: Collection[str],
    links: MediaLinks | None = None,
) -> dict[str, Any]:
    """The members that were asked for; `uri` always comes along, as it says what this is."""
    members = (
        full_item(item, caller, links, shots="shots" in include)
        if include
        else listed_item(item, links)
    )
    return selected(members, include, exclude)


def selected(
    members: Mapping[str, Any], include: Collection[str], exclude: Collection[str]
) -> dict[str, Any]:
    """`members` narrowed to `include` (all where empty) less `exclude`."""
    return {
        name: value
        for name, value in members.items()
        if name == "uri" or ((not include or name in include) and name not in exclude)
    }


def _contract_members(item: Item) -> dict[str, Any]:
    names = text_names(item)
    members: dict[str, Any] = {
        "uri": item.uri,
        "version": item.version,
        "type": item.type.value,
        "language": item.language,
        "versioncreated": rfc3339(item.versioncreated),
        "firstcreated": rfc3339(item.firstcreated),
        "pubstatus": item.pubstatus.value,
        "chain": item.chain,
    }
    optional: dict[str, Any] = {
        "urgency": item.urgency,
        "embargoed": item.embargoed and rfc3339(item.embargoed),
        "expires": item.expires and rfc3339(item.expires),
        names["headline"]: item.headline,
        names["description"]: item.description,
        names["body"]: item.body,
        "slugline": item.slugline,
        "located": item.located,
        "ednote": item.ednote,
        "copyrightnotice": item.copyrightnotice,
        "bylines": [{"by": item.byline}] if item.byline else [],
        "usageterms": [item.usageterms] if item.usageterms else [],
        "rights": list(item.rights),
    }
    members |= {name: value for name, value in optional.items() if value}
    for name, plural in _CONCEPTS.items():
        if concepts := getattr(item, name):
            members[name] = _concepts(concepts, item.source.get(name) or item.source.get(plural))
    return members


def _concepts(concepts: Iterable[Concept], source: Any) -> list[dict[str, Any]]:
    """Concepts with the members that the contract requires; the scheme is the document's own."""
    known = [entry for entry in source or () if isinstance(entry, Mapping)]
    schemes = {str(entry.get("name", "")): str(entry.get("scheme", "")) for entry in known}
    return [
        {
            "name": concept.name,
            "code": concept.code,
            "scheme": schemes.get(concept.name, ""),
            "creator": "Editorial",
            "rels": ["direct"],
        }
        for concept in concepts
    ]


def _as_objects(members: dict[str, Any], name: str) -> None:
    """A list of renditions or associations (ninjs 2 and 3) as the contract's object, by name."""
    value = members.get(name)
    if isinstance(value, list):
        entries = [entry for entry in value if isinstance(entry, Mapping)]
        key: Callable[[int, Mapping[str, Any]], str] = lambda n, entry: str(  # noqa: E731
            entry.get("name") or n
        )
        members[name] = {key(n, entry): dict(entry) for n, entry in enumerate(entries, start=1)}
