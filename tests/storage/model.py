"""What filters, facets and tests of text mean, said again over plain items: no arrays, no index."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from hypothesis import strategies as st

from core.items import Concept, Item, ItemType
from core.query_tree import EVERYTHING, Bool, DateRange, Everything, Keyword, Node
from tests.storage.world import NOW, make_item

NAMES = ("Ana", "Büro", "ÉLAN", "straße", "long name", "x" * 60, "Ω", "a/b:c", "🌍")
CODES = ("", "medtop:1", "Medtop:2", "Ana")
PRODUCTS = ("wire", "photos", "sport")
RIGHTS = ("editorial", "restricted", "Level 1")
LANGUAGES = ("en", "de", "pt-BR", "nb-NO")
FACETS = (
    "type",
    "subject",
    "person",
    "organisation",
    "place",
    "language",
    "product",
    "rights",
    "source",
)
_CODED = ("subject", "place")


def values_of(item: Item, field: str) -> list[str]:
    """The values of a keyword field as they are written."""
    match field:
        case "type":
            return [str(item.type)]
        case "language":
            return [item.language]
        case "product":
            return list(item.products)
        case "rights":
            return list(item.rights)
        case "urgency":
            return [] if item.urgency is None else [str(item.urgency)]
        case "fact":
            return [f"version:{item.version}", *item.source.get("facts", ())]
        case "source":
            return [one for one in (item.source.get("source_name"),) if one]
        case "credit" | "orientation" | "size":
            return []
        case "id":
            return [f"uri:{item.uri}", *(f"itemid:{one}" for one in item.source.get("ids", ()))]
    concepts: tuple[Concept, ...] = getattr(item, field)
    return [concept.name for concept in concepts]


def keys_of(item: Item, field: str) -> set[str]:
    """What a keyword filter compares: casefolded names, and codes where the field has them."""
    found = {value.casefold() for value in values_of(item, field)}
    if field in _CODED:
        found |= {concept.code.casefold() for concept in getattr(item, field) if concept.code}
    return found


def matches(node: Node, item: Item) -> bool:
    """Whether an item satisfies a tree of facts."""
    match node:
        case Everything():
            return True
        case Keyword(field, values):
            return not keys_of(item, field).isdisjoint(value.casefold() for value in values)
        case DateRange(field, since, until):
            moment: datetime = getattr(item, field)
            return (since is None or since <= moment) and (until is None or moment < until)
        case Bool(must, should, must_not):
            return (
                all(matches(child, item) for child in must)
                and not any(matches(child, item) for child in must_not)
                and (bool(must) or not should or any(matches(child, item) for child in should))
            )
    raise AssertionError(f"not a fact: {node}")


def place_of(item: Item) -> tuple[datetime, int]:
    """Where an item stands in a list by date, oldest first."""
    digest = hashlib.blake2b(item.uri.encode(), digest_size=8).digest()
    return item.versioncreated, int.from_bytes(digest, "little", signed=True)


def facet(items: Iterable[Item], field: str) -> dict[str, int]:
    """Value (casefolded) to the number of items that have it."""
    return dict(
        Counter(
            key
            for item in items
            for key in {value.casefold() for value in values_of(item, field) if value}
        )
    )


_moments = st.integers(-4, 4).map(lambda n: NOW + timedelta(hours=n, microseconds=n))


@st.composite
def concepts(draw: st.DrawFn) -> tuple[Concept, ...]:
    """Up to three names, some with codes."""
    pairs = draw(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(CODES)), max_size=3))
    return tuple(Concept(name, code) for name, code in pairs)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, object]:
    """A document with facts of its own, in one of their shapes; `facts` and `ids` say which."""
    source = draw(st.sampled_from(("AP", "Büro", "a/b:c")))
    signals = draw(st.lists(st.sampled_from(("Breaking", "x y")), max_size=2, unique=True))
    number = draw(st.sampled_from(("A1", "ä:2")))
    sources = (source, [source], [{"name": source}])
    altids = ({"itemid": number}, [{"role": "itemid", "value": number}])
    return {
        "source": draw(st.sampled_from(sources)),
        "Signals": signals,
        "altids": draw(st.sampled_from(altids)),
        "facts": [f"signals:{one}" for one in signals],
        "source_name": source,
        "ids": [number],
    }


@st.composite
def items_with_facts(draw: st.DrawFn) -> list[Item]:
    """Items that differ in every fact that a filter can ask for."""
    return [
        make_item(
            f"urn:{number}",
            type=draw(st.sampled_from(ItemType)),
            versioncreated=draw(_moments),
            firstcreated=draw(_moments),
            language=draw(st.sampled_from(LANGUAGES)),
            urgency=draw(st.none() | st.integers(1, 9)),
            subject=draw(concepts()),
            person=draw(concepts()),
            organisation=draw(concepts()),
            place=draw(concepts()),
            products=draw(st.lists(st.sampled_from(PRODUCTS), max_size=2, unique=True).map(tuple)),
            rights=draw(st.lists(st.sampled_from(RIGHTS), max_size=2, unique=True).map(tuple)),
            headline="zebra",
            source=draw(st.just({}) | documents()),
        )
        for number in range(draw(st.integers(1, 12)))
    ]


def _keywords(field: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[Node]:
    return st.lists(values, max_size=2).map(lambda found: Keyword(field, tuple(found)))


_NAMED = st.sampled_from((*NAMES, *CODES[1:], "nobody")).map(
    lambda name: name.upper() if name.isascii() else name
)
_LEAVES: st.SearchStrategy[Node] = st.one_of(
    st.just(EVERYTHING),
    *(_keywords(field, _NAMED) for field in ("subject", "person", "organisation", "place")),
    _keywords("type", st.sampled_from(ItemType).map(str)),
    _keywords("language", st.sampled_from((*LANGUAGES, "PT-br"))),
    _keywords("product", st.sampled_from(PRODUCTS)),
    _keywords("rights", st.sampled_from((*RIGHTS, "EDITORIAL", "level 1"))),
    _keywords("urgency", st.integers(1, 9).map(str)),
    st.builds(
        DateRange,
        st.sampled_from(("versioncreated", "firstcreated")),
        st.none() | _moments,
        st.none() | _moments,
    ),
)


def _branches(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    few = st.lists(children, max_size=2).map(tuple)
    return st.builds(Bool, few, few, few)


FILTERS = st.recursive(_LEAVES, _branches, max_leaves=6)
