"""An item as AP Media API's `contentitem`: with their names and types, and the document's other
members.

It has two forms. Our own routes use our words: every type of ninjs, whole language tags, uris as
they were recorded. AP's contract (`ItemView.addresses`) has the words, absolute addresses and
required members that AP's clients read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from api.content.answer_size import (
    CARRIED_BYTES,
    LISTED_ENTRIES,
    MAX_ANSWER_BYTES,
    Cut,
    first_entries,
    within,
)
from api.content.media_json import media_members, media_words_json, shots_json
from api.content.media_links import MediaLinks
from api.content.nested import MADE_HERE, PRIVATE, Inside, look_inside, plain_name
from api.envelope import rfc3339
from api.formats.ap_item import (
    BY_NAME,
    ItemAddresses,
    as_contract,
    our_members,
    usage_terms,
)
from api.formats.carried import carried_in
from api.formats.concepts import (
    MEMBERS,
    Said,
    concepts_json,
    listed_of,
    passed,
    said_of,
)
from api.formats.members import EVERYTHING, heads_of, picked
from core.callers import NOBODY, Caller, reaches
from core.items import Concept, Item, ItemType, itemid_of
from core.media_words import MEDIA_WORDS
from core.ports.engine import Sights
from core.standing import Head, Sight

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
        "usageterms",
        "uri",
    }
)
_LONG = frozenset({"body_text"})  # left out of search answers unless `include` names it
_NOT_CARRIED = frozenset({"body_text", "chain"})  # left out of an item inside another one
# Other members of the document that a list of hits needs too.
_IN_LISTS = (
    *("renditions", "associations", "keywords", "provider", "bylines"),
    *("creditline", "creditLine", "credit", "description_creditline"),
)
_SINGULAR = {plural: name for name, plural in MEMBERS.items()}
_CONTRACT = frozenset({*BY_NAME, *MEMBERS, *MEMBERS.values(), "altids"})
_ALWAYS = ("uri", "altids")  # what AP's clients identify an item by


def text_names(item: Item) -> dict[str, str]:
    """Return our text members and their names in the contract, which depend on the item's type."""
    summary = item.type in (ItemType.TEXT, ItemType.COMPOSITE, ItemType.EVENT, ItemType.PLANNING)
    return {
        "headline": "headline",
        "description": "description_summary" if summary else "description_caption",
        "body": "body_text",
        "caption": "machine_caption",
    }


def nobody_receives(_: Iterable[Item | Head]) -> None:
    """Do nothing: the answer goes to no account."""


@dataclass(frozen=True, slots=True)
class ItemView:
    """How an answer shows items: to which caller, which members, and with addresses of media for
    which key (None for none). Without `include` it shows the members of a list of hits, or all
    members if it is `whole`.

    With `addresses`, below which AP's contract is served, items are AP's to the letter. `receive`
    is called with every item that leaves in the answer, also inside others, before it does
    (`api.access.receipts.receiving`).
    """

    caller: Caller
    include: Collection[str] = ()
    exclude: Collection[str] = ()
    links: MediaLinks | None = None
    whole: bool = False
    addresses: ItemAddresses | None = None
    receive: Callable[[Iterable[Item | Head]], None] = field(default=nobody_receives, compare=False)
    _shown: dict[str, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    def shows_all_of(self, name: str) -> bool:
        """Return whether the shots, or the words found in the media, are shown; there may be
        thousands.
        """
        return self.shows(name) and (self._is_whole or name in heads_of(self.include))

    @property
    def shows_document(self) -> bool:
        """Return whether the agency's own members are shown, and not those of a list only."""
        return bool(self._is_whole or self.include or self.addresses)

    @property
    def cuts_lists(self) -> bool:
        """Return whether only the first entries of lists are shown that the request does not
        name.
        """
        return not (self._is_whole or self.addresses)

    def cuts(self, name: str) -> bool:
        """Return whether only the first entries of a list are shown: unless the request names the
        list.
        """
        return self.cuts_lists and name not in heads_of(self.include)

    def shows(self, name: str) -> bool:
        """Return whether the view shows a member; it always shows what identifies the item."""
        known = self._shown.get(name)
        if known is None:
            known = self._shown[name] = self._shows(name)
        return known

    def _shows(self, name: str) -> bool:
        if name == "uri" or (self.addresses and name in _ALWAYS):
            return True
        if self.include and EVERYTHING not in self.include:
            listed = name in heads_of(self.include)
        else:
            listed = self._is_whole or name not in _LONG
        return listed and name not in self.exclude

    @property
    def _is_whole(self) -> bool:
        return self.whole or EVERYTHING in self.include


_CARRIED = ItemView(NOBODY, exclude=_NOT_CARRIED)


class Made(NamedTuple):
    """An item's members, and which of them are cut or left out. `sights` is what the guard said of
    the `names` in its document, and in those of the items that it carries, that are items' uris.
    `carried` are the items inside it that leave with it.
    """

    members: dict[str, Any]
    cut: Cut
    names: AbstractSet[str]
    sights: Mapping[str, Sight]
    carried: Sequence[Item]


def items_json(
    items: Sequence[Item], view: ItemView, library: Sights
) -> list[tuple[dict[str, Any], Cut]]:
    """Return the members of each item that `view` shows, and which of them are cut or left out.
    Each item has an equal share of the answer's size. The guard decides at this moment what the
    caller sees of the items inside.
    """
    share = share_of(len(items))
    return [(made.members, made.cut) for made in made_items(items, view, library, share)]


def share_of(count: int) -> int:
    """Return the bytes that each of this many items may take in an answer."""
    return MAX_ANSWER_BYTES // max(1, count)


def made_items(items: Sequence[Item], view: ItemView, library: Sights, share: int) -> list[Made]:
    """Return the items as `view` shows them, each within `share` bytes."""
    # AP's `etag` is the digest of all members, so all of them are made, and chosen from at the end.
    made = replace(view, include=(EVERYTHING,), exclude=()) if view.addresses else view
    documents = [_document(item, made) for item in items]
    cuts = [_cut(item, document, made) for item, document in zip(items, documents, strict=True)]
    carrying = _Carrying(view)
    pairs = zip(items, documents, strict=True)
    inside = look_inside(library, view.caller, pairs, carrying.members)
    carried = [sight.item for sight in inside.sights.values() if sight.item]
    if view.addresses:
        carrying.itemids.update(_itemids(carried, library, view.caller))
    listed = () if made.shows_document else items
    concepts = listed_concepts([*listed, *carried], view.caller, library)
    own = concepts[: len(listed)] or [_NO_CONCEPTS] * len(items)
    inner = zip(carried, concepts[len(listed) :], strict=True)
    carrying.concepts.update({item.uri: concepts for item, concepts in inner})
    told: list[Made] = []
    for place, (item, document, cut) in enumerate(zip(items, documents, cuts, strict=True)):
        carrying.here.clear()
        shown = inside.members(place, document, private_members(item, view.caller))
        members = _members(item, shown, made, inside, own[place])
        if view.addresses:
            members = as_contract(item, members, view.addresses)
        chosen = carried_in(members) if carrying.here else ()
        if view.addresses:
            members = {name: value for name, value in members.items() if view.shows(name)}
        members |= _found_in_media(item, view)
        kept, left_out = within(picked(members, view.include, view.exclude), share)
        leaving = carrying.leaving(chosen, kept)
        names, sights = carrying.names(inside.named[place], inside.sights)
        names, sights = names | own[place].codes, {**sights, **own[place].sights}
        told.append(Made(kept, cut | dict.fromkeys(left_out), names, sights, leaving))
    view.receive([*items, *{one.uri: one for each in told for one in each.carried}.values()])
    return told


def _found_in_media(item: Item, view: ItemView) -> dict[str, Any]:
    """Return the item's shots and the words found in its media, as far as the view shows them."""
    members: dict[str, Any] = {}
    if item.shots and view.shows_all_of("shots"):
        members["shots"] = shots_json(item, view.links)
    for name in MEDIA_WORDS:
        if getattr(item, name) and view.shows_all_of(name):
            members[name] = media_words_json(item, name)
    return members


@dataclass(frozen=True, slots=True)
class _Carrying:
    """The members of items inside others; each is made once for an answer. `here` are those inside
    the document of the moment.
    """

    view: ItemView
    itemids: dict[str, ItemId] = field(default_factory=dict)  # by uri
    concepts: dict[str, ListedConcepts] = field(default_factory=dict)  # by uri
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    here: dict[str, Item] = field(default_factory=dict)  # by uri

    def members(self, item: Item, renditions: dict[str, Any]) -> dict[str, Any]:
        self.here[item.uri] = item
        if item.uri not in self.made:
            concepts = self.concepts[item.uri]
            told = carried_members(item, renditions, concepts, self.view.links)
            if addresses := self.view.addresses:
                altids = {"altids": {"itemid": self.itemids[item.uri].shown or item.uri}}
                told = as_contract(item, told | altids, addresses)
            self.made[item.uri] = told
        return self.made[item.uri]

    def leaving(self, chosen: Collection[str], kept: Mapping[str, Any]) -> list[Item]:
        """Return the items here of which members leave: not those that were `chosen` first and then
        cut out by `include`, `exclude` or the size of the answer.
        """
        left = carried_in(kept) if self.here else ()
        return [item for uri, item in self.here.items() if uri in left or uri not in chosen]

    def names(
        self, named: Collection[str], sights: Mapping[str, Sight]
    ) -> tuple[AbstractSet[str], Mapping[str, Sight]]:
        """Return all names that the members of the document here depend on, and what the guard says
        of those that are items'. The document has those that are `named`.
        """
        names = frozenset(named)
        found = {name: sights[name] for name in names & sights.keys()} if sights else {}
        for uri in self.here:
            concepts = self.concepts[uri]
            names |= concepts.codes
            found |= concepts.sights
            if uri in self.itemids:
                names |= {self.itemids[uri].said}
                found |= self.itemids[uri].sights
        return names, found


class ListedConcepts(NamedTuple):
    """What a list of hits says of an item's concepts, by member, and the names of those whose code
    is the uri of an item that the caller may not know of. `sights` is what the guard said of the
    `codes`.
    """

    said: Mapping[str, Sequence[Said]]
    hidden: Collection[str]
    codes: AbstractSet[str] = frozenset()
    sights: Mapping[str, Sight] = {}


_NO_CONCEPTS = ListedConcepts({}, ())


def listed_concepts(items: Iterable[Item], caller: Caller, library: Sights) -> list[ListedConcepts]:
    """Return what a list of hits says of each item's concepts."""
    read = [(item, listed_of(item)) for item in items]
    named: dict[str, set[str]] = {}
    for item, (_, codes) in read:
        for code in codes:
            if code in named:
                named[code].update(item.products)
            else:
                named[code] = set(item.products)
    sights = library.sights(named, caller) if named else {}
    return [_listed(said, codes, sights) for _, (said, codes) in read]


def _listed(
    said: Mapping[str, Sequence[Said]],
    codes: Mapping[str, set[str]],
    sights: Mapping[str, Sight],
) -> ListedConcepts:
    own = {code: sights[code] for code in codes.keys() & sights.keys()} if sights else {}
    hidden = [codes[code] for code, sight in own.items() if not sight.in_chain]
    return ListedConcepts(said, set[str]().union(*hidden), codes.keys(), own)


class ItemId(NamedTuple):
    """AP's id in an item's document, and the id that the caller is shown: "" for the id of an item
    that it may not know of. `sights` is what the guard said of it.
    """

    said: str
    shown: str
    sights: Mapping[str, Sight]


def _itemids(items: Iterable[Item], library: Sights, caller: Caller) -> dict[str, ItemId]:
    """Return AP's ids of the items inside others, by uri."""
    found = [(item, itemid_of(item)) for item in items]
    named = {itemid: item.products for item, itemid in found if itemid}
    sights = library.sights(named, caller) if named else {}
    return {item.uri: _itemid(said, sights) for item, said in found}


def _itemid(said: str, sights: Mapping[str, Sight]) -> ItemId:
    sight = sights.get(said)
    shown = said if sight is None or sight.in_chain else ""
    return ItemId(said, shown, {} if sight is None else {said: sight})


def _cut(item: Item, document: dict[str, Any], view: ItemView) -> Cut:
    """Cut the lists of a document as `view` says, and return which lists are cut. For the
    document's own lists the length is not told, because an entry may be hidden from the caller.
    """
    if not view.cuts_lists:
        return {}
    found: Cut = {
        name: len(getattr(item, name))
        for name in MEMBERS
        if len(getattr(item, name)) > LISTED_ENTRIES and view.shows(name) and view.cuts(name)
    }
    for name, member in document.items():
        short = first_entries(member) if view.cuts(_singular(name)) else member
        if short != member:
            document[name], found[name] = short, None
    return found


def private_members(item: Item, caller: Caller) -> frozenset[str]:
    """Return the members of an item's document that only its writers may know."""
    return frozenset() if reaches(caller.writes, item.products) else PRIVATE


def _document(item: Item, view: ItemView) -> dict[str, Any]:
    """Return the members of the item's document that `view` shows beside the item's own texts."""
    if not view.shows_document:
        names = {name: name for name in _IN_LISTS if name in item.source}
    else:
        hidden = _SAID | private_members(item, view.caller) | MADE_HERE
        names = {name: _written(name) for name in item.source if plain_name(name) not in hidden}
    return {name: item.source[own] for own, name in names.items() if view.shows(_singular(name))}


def _written(name: str) -> str:
    """Return a member's name in the contract, which has one name for both spellings of ninjs."""
    plain = plain_name(name)
    return plain if plain in _CONTRACT else name


def _singular(name: str) -> str:
    return _SINGULAR.get(name, name)


def _members(
    item: Item,
    document: dict[str, Any],
    view: ItemView,
    inside: Inside,
    listed: ListedConcepts,
) -> dict[str, Any]:
    """Return all members of an item that `view` shows, except its shots. `document` has those from
    its document, and `listed` the concepts of a list's item.
    """
    members = _contract_members(item, view) | _concepts(item, document, view, listed)
    if "chain" in members and item.chain != item.uri and not inside.may_name(item.chain):
        members["chain"] = item.uri
    if isinstance(document.get("bylines"), list):
        members.pop("bylines", None)
    # ninjs has `versioncreated` and `versionCreated`; each member is given once.
    extra = {
        name: value
        for name, value in document.items()
        if plain_name(name) not in members and _singular(name) not in MEMBERS
    }
    shown = _with_media({**our_members(item, extra), **members}, item, view.links)
    return {name: value for name, value in shown.items() if view.shows(name)}


def carried_members(
    item: Item,
    renditions: dict[str, Any],
    concepts: ListedConcepts,
    links: MediaLinks | None = None,
) -> dict[str, Any]:
    """Return the members of an item inside another one: its texts and its media. `renditions` are
    those of its document. Its own answer has the rest.
    """
    said = _contract_members(item, _CARRIED) | _concepts(item, {}, _CARRIED, concepts)
    members = {**our_members(item, first_entries(renditions)), **said}
    return within(_with_media(members, item, links), CARRIED_BYTES)[0]


def _with_media(members: dict[str, Any], item: Item, links: MediaLinks | None) -> dict[str, Any]:
    """Return the members with this service's own media of the item. Its renditions replace those of
    the same name in the document.
    """
    own = media_members(item, links)
    said = members.get("renditions")
    if "renditions" in own and isinstance(said, dict):
        own["renditions"] = {**said, **own["renditions"]}
    return {**members, **own}


def _contract_members(item: Item, view: ItemView) -> dict[str, Any]:
    """Return the contract's members that `view` shows and the item has; others are not computed."""
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
        "usageterms": usage_terms(item),
        "rights": list(item.rights),
    }
    return {
        name: rfc3339(value) if isinstance(value, datetime) else value
        for name, value in plain.items()
        if (value or value == 0) and view.shows(name)
    }


def _concepts(
    item: Item, document: dict[str, Any], view: ItemView, listed: ListedConcepts
) -> dict[str, Any]:
    """Return the item's subjects, people, organisations and places that `view` shows, of a
    `document` that the guard has looked at, else as `listed`.
    """
    members: dict[str, Any] = {}
    for name in MEMBERS:
        concepts: tuple[Concept, ...] = getattr(item, name)
        said: Sequence[Said]
        if not concepts or not view.shows(name):
            continue
        if view.shows_document:
            said = said_of(document, name)
            concepts = passed(item, name, document, said)
        else:
            said = listed.said[name]
            if listed.hidden:
                concepts = tuple(one for one in concepts if one.name not in listed.hidden)
        if view.cuts(name):
            concepts = concepts[:LISTED_ENTRIES]
        if told := concepts_json(concepts, said):
            members[name] = told
    return members
