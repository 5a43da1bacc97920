"""An item as AP Media API's `contentitem`: their names and types, and what else was sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from api.envelope import rfc3339
from api.media_json import media_members, shots_json
from api.media_links import MediaLinks
from api.nested import MADE_HERE, Inside, look_inside, plain_name
from core.callers import Caller, reaches
from core.items import Concept, Item, ItemType
from core.ports import Library

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
_NOT_CARRIED = frozenset({"body_text", "chain"})  # by an item that stands inside of another
# ninjs 1.x and the contract say `subject`, ninjs 2 and later `subjects`.
_CONCEPTS = {
    "subject": "subjects",
    "person": "people",
    "organisation": "organisations",
    "place": "places",
}
# Of what else the document said, what a list of hits needs too.
_IN_LISTS = ("renditions", "associations", "keywords", "provider")
_BY_NAME = ("renditions", "associations")  # objects by name in the contract and in ninjs 1.x


def text_names(item: Item) -> dict[str, str]:
    """Our text members and what they are called in the contract, which depends on the type."""
    summary = item.type in (ItemType.TEXT, ItemType.COMPOSITE, ItemType.EVENT, ItemType.PLANNING)
    return {
        "headline": "headline",
        "description": "description_summary" if summary else "description_caption",
        "body": "body_text",
        "caption": "machine_caption",
    }


@dataclass(frozen=True, slots=True)
class ItemView:
    """How an answer shows items: to whom, which members, and addresses of media for which key (None
    for none). Without `include` these are the members of a list of hits, or all where it is
    `whole`.
    """

    caller: Caller
    include: Collection[str] = ()
    exclude: Collection[str] = ()
    links: MediaLinks | None = None
    whole: bool = False

    @property
    def shows_shots(self) -> bool:
        """Whether every shot is told of: there may be thousands."""
        return self.shows("shots") and (self.whole or "shots" in self.include)

    def shows(self, name: str) -> bool:
        """Whether it shows a member; `uri` always, as it says what this is."""
        listed = not self.include or name in self.include
        return name == "uri" or (listed and name not in self.exclude)


def items_json(items: Sequence[Item], view: ItemView, library: Library) -> list[dict[str, Any]]:
    """Each item's members as `view` shows them; what stands inside of them is as the guard lets the
    caller see it at this moment.
    """
    documents = [_document(item, view) for item in items]
    chains = [item.chain for item in items if item.chain != item.uri]
    carried = partial(_carried, links=view.links)
    inside = look_inside(library, view.caller, documents, chains, carried)
    return [
        _members(item, inside.members(document, _private(item, view.caller)), view, inside)
        for item, document in zip(items, documents, strict=True)
    ]


def _private(item: Item, caller: Caller) -> frozenset[str]:
    return frozenset() if reaches(caller.writes, item.products) else _PRIVATE


def _document(item: Item, view: ItemView) -> dict[str, Any]:
    """What the item's document said that `view` shows and that no member of the contract says."""
    if view.whole or view.include:
        hidden = _SAID | _private(item, view.caller) | MADE_HERE
        names = {name: _written(name) for name in item.source if plain_name(name) not in hidden}
    else:
        names = {name: name for name in _IN_LISTS if name in item.source}
    return {name: item.source[own] for own, name in names.items() if view.shows(name)}


def _written(name: str) -> str:
    """What a member is called in the contract, which parts its two kinds of things in one way."""
    plain = plain_name(name)
    return plain if plain in _BY_NAME else name


def _members(
    item: Item, document: dict[str, Any], view: ItemView, inside: Inside
) -> dict[str, Any]:
    """All members of an item that `view` shows, `document` being what its document says beside."""
    members = _contract_members(item)
    if item.chain != item.uri and not inside.may_name(item.chain):
        members["chain"] = item.uri
    # ninjs spells `versioncreated` and `versionCreated`; what is said already is said once.
    extra = {name: value for name, value in document.items() if plain_name(name) not in members}
    for name in _BY_NAME:
        _as_objects(extra, name)
    if view.shows_shots and item.shots:
        members["shots"] = shots_json(item, view.links)
    shown = _with_media({**extra, **members}, item, view.links)
    if not view.include and not view.whole:
        shown = {name: value for name, value in shown.items() if name not in _LONG}
    return {name: value for name, value in shown.items() if view.shows(name)}


def _carried(
    item: Item, renditions: dict[str, Any], links: MediaLinks | None = None
) -> dict[str, Any]:
    """The members of an item that stands inside of another one: what is said of it, and its media,
    of which its document has `renditions`. For more there is its own answer.
    """
    _as_objects(renditions, "renditions")
    members = _with_media({**renditions, **_contract_members(item)}, item, links)
    return {name: value for name, value in members.items() if name not in _NOT_CARRIED}


def _with_media(members: dict[str, Any], item: Item, links: MediaLinks | None) -> dict[str, Any]:
    """The members with what this service has of the item's media: its own renditions go before
    those of the same name that the document brought, and a machine's words before nothing.
    """
    own = media_members(item, links)
    said = members.get("renditions")
    if "renditions" in own and isinstance(said, dict):
        own["renditions"] = {**said, **own["renditions"]}
    return {**members, **own}


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
