"""An item as AP Media API's `contentitem`: with their names and types, and the document's other
members.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.content.answer_size import (
    CARRIED_BYTES,
    LISTED_ENTRIES,
    MAX_ANSWER_BYTES,
    Cut,
    first_entries,
    within,
)
from api.content.media_json import media_members, shots_json
from api.content.media_links import MediaLinks
from api.content.nested import MADE_HERE, Inside, look_inside, plain_name
from api.envelope import rfc3339
from core.callers import NOBODY, Caller, reaches
from core.items import Concept, Item, ItemType
from core.ports import Library

# Entitlements: only writers of the item may know which products may see it.
_PRIVATE = frozenset({"products", "meta"})
# Members of ninjs that repeat, in another form, what the contract's members say.
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
_LONG = frozenset({"body_text"})  # left out of search answers unless `include` names it
_NOT_CARRIED = frozenset({"body_text", "chain"})  # left out of an item inside another one
# ninjs 1.x and the contract say `subject`, ninjs 2 and later `subjects`.
_CONCEPTS = {
    "subject": "subjects",
    "person": "people",
    "organisation": "organisations",
    "place": "places",
}
# Other members of the document that a list of hits needs too.
_IN_LISTS = ("renditions", "associations", "keywords", "provider")
_BY_NAME = ("renditions", "associations")  # the contract and ninjs 1.x have objects by name here


def text_names(item: Item) -> dict[str, str]:
    """Our text members and their names in the contract, which depend on the item's type."""
    summary = item.type in (ItemType.TEXT, ItemType.COMPOSITE, ItemType.EVENT, ItemType.PLANNING)
    return {
        "headline": "headline",
        "description": "description_summary" if summary else "description_caption",
        "body": "body_text",
        "caption": "machine_caption",
    }


@dataclass(frozen=True, slots=True)
class ItemView:
    """How an answer shows items: to which caller, which members, and with addresses of media for
    which key (None for none). Without `include` it shows the members of a list of hits, or all
    members if it is `whole`.
    """

    caller: Caller
    include: Collection[str] = ()
    exclude: Collection[str] = ()
    links: MediaLinks | None = None
    whole: bool = False

    @property
    def shows_shots(self) -> bool:
        """Whether every shot is shown; there may be thousands."""
        return self.shows("shots") and (self.whole or "shots" in self.include)

    def cuts(self, name: str) -> bool:
        """Whether only the first entries of a list are shown: unless the request names the list."""
        return not self.whole and name not in self.include

    def shows(self, name: str) -> bool:
        """Whether the view shows a member; it always shows `uri`, which identifies the item."""
        listed = name in self.include if self.include else self.whole or name not in _LONG
        return name == "uri" or (listed and name not in self.exclude)


_CARRIED = ItemView(NOBODY, exclude=_NOT_CARRIED)


def items_json(
    items: Sequence[Item], view: ItemView, library: Library
) -> list[tuple[dict[str, Any], Cut]]:
    """Each item's members as `view` shows them, within its share of an answer, and which members
    are cut or left out. Items inside an item are as the guard lets the caller see them at this
    moment.
    """
    documents = [_document(item, view) for item in items]
    cuts = [_cut(item, document, view) for item, document in zip(items, documents, strict=True)]
    made: dict[str, dict[str, Any]] = {}  # items that stand in several places of the answer

    def carried(item: Item, renditions: dict[str, Any]) -> dict[str, Any]:
        if item.uri not in made:
            made[item.uri] = _carried(item, renditions, view.links)
        return made[item.uri]

    pairs = zip(items, documents, strict=True)
    inside = look_inside(library, view.caller, pairs, carried)
    share = MAX_ANSWER_BYTES // max(1, len(items))
    told: list[tuple[dict[str, Any], Cut]] = []
    for item, document, cut in zip(items, documents, cuts, strict=True):
        shown = inside.members(document, _private(item, view.caller))
        members, left_out = within(_members(item, shown, view, inside), share)
        told.append((members, cut | dict.fromkeys(left_out)))
    return told


def _cut(item: Item, document: dict[str, Any], view: ItemView) -> Cut:
    """Cuts the lists of a document as `view` says, and returns which lists are cut. For the
    document's own lists the length is not told, because an entry may be hidden from the caller.
    """
    found: Cut = {
        name: len(getattr(item, name))
        for name in _CONCEPTS
        if len(getattr(item, name)) > LISTED_ENTRIES and view.shows(name) and view.cuts(name)
    }
    for name, member in document.items():
        short = first_entries(member) if view.cuts(name) else member
        if short != member:
            document[name], found[name] = short, None
    return found


def _private(item: Item, caller: Caller) -> frozenset[str]:
    return frozenset() if reaches(caller.writes, item.products) else _PRIVATE


def _document(item: Item, view: ItemView) -> dict[str, Any]:
    """The members of the item's document that `view` shows and the contract does not have."""
    if view.whole or view.include:
        hidden = _SAID | _private(item, view.caller) | MADE_HERE
        names = {name: _written(name) for name in item.source if plain_name(name) not in hidden}
    else:
        names = {name: name for name in _IN_LISTS if name in item.source}
    return {name: item.source[own] for own, name in names.items() if view.shows(name)}


def _written(name: str) -> str:
    """A member's name in the contract, which has one name for both spellings of ninjs."""
    plain = plain_name(name)
    return plain if plain in _BY_NAME else name


def _members(
    item: Item, document: dict[str, Any], view: ItemView, inside: Inside
) -> dict[str, Any]:
    """All members of an item that `view` shows. `document` has those from its document."""
    members = _contract_members(item, view)
    if "chain" in members and item.chain != item.uri and not inside.may_name(item.chain):
        members["chain"] = item.uri
    # ninjs has `versioncreated` and `versionCreated`; each member is given once.
    extra = {name: value for name, value in document.items() if plain_name(name) not in members}
    for name in _BY_NAME:
        _as_objects(extra, name)
    if view.shows_shots and item.shots:
        members["shots"] = shots_json(item, view.links)
    shown = _with_media({**extra, **members}, item, view.links)
    return {name: value for name, value in shown.items() if view.shows(name)}


def _carried(
    item: Item, renditions: dict[str, Any], links: MediaLinks | None = None
) -> dict[str, Any]:
    """The members of an item inside another one: what is said of it, and its media. `renditions`
    are those of its document. Its own answer has the rest.
    """
    renditions = first_entries(renditions)
    _as_objects(renditions, "renditions")
    contract = _contract_members(item, _CARRIED)
    return within(_with_media({**renditions, **contract}, item, links), CARRIED_BYTES)[0]


def _with_media(members: dict[str, Any], item: Item, links: MediaLinks | None) -> dict[str, Any]:
    """The members with this service's own media of the item. Its renditions replace those of the
    same name in the document.
    """
    own = media_members(item, links)
    said = members.get("renditions")
    if "renditions" in own and isinstance(said, dict):
        own["renditions"] = {**said, **own["renditions"]}
    return {**members, **own}


def _contract_members(item: Item, view: ItemView) -> dict[str, Any]:
    """The contract's members that `view` shows and the item has; others are not computed."""
    names = text_names(item)
    plain: dict[str, Any] = {
        "uri": item.uri,
        "version": item.version,
        "type": item.type.value,
        "language": item.language,
        "versioncreated": item.versioncreated,
        "firstcreated": item.firstcreated,
        "pubstatus": item.pubstatus.value,
        "chain": item.chain,
        "urgency": item.urgency,
        "embargoed": item.embargoed,
        "expires": item.expires,
        names["headline"]: item.headline,
        names["description"]: item.description,
        names["body"]: item.body,
        "slugline": item.slugline,
        "located": item.located,
        "ednote": item.ednote,
        "copyrightnotice": item.copyrightnotice,
        "bylines": item.byline and [{"by": item.byline}],
        "usageterms": item.usageterms and [item.usageterms],
        "rights": list(item.rights),
    }
    members = {
        name: rfc3339(value) if isinstance(value, datetime) else value
        for name, value in plain.items()
        if view.shows(name) and value not in (None, "", [])
    }
    for name, plural in _CONCEPTS.items():
        concepts = getattr(item, name) if view.shows(name) else ()
        if concepts:
            shown = concepts[:LISTED_ENTRIES] if view.cuts(name) else concepts
            members[name] = _concepts(shown, item.source.get(name) or item.source.get(plural))
    return members


def _concepts(concepts: Iterable[Concept], source: Any) -> list[dict[str, Any]]:
    """Concepts with the members that the contract requires; the scheme comes from the document."""
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
    """Turns a list of renditions or associations (ninjs 2 and 3) into the contract's object by
    name.
    """
    value = members.get(name)
    if isinstance(value, list):
        entries = [entry for entry in value if isinstance(entry, Mapping)]
        key: Callable[[int, Mapping[str, Any]], str] = lambda n, entry: str(  # noqa: E731
            entry.get("name") or n
        )
        members[name] = {key(n, entry): dict(entry) for n, entry in enumerate(entries, start=1)}
