"""Every surface that shows something of the archive, each compared with what the dict shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from api.formats.items import ItemView, items_json
from core.callers import Caller
from core.errors import NotFoundError
from core.items import Item
from core.query_tree import Keyword
from core.retrieval import TotalRelation
from core.standing import Hiding
from search.answers import EntityUse, Fold, Missing, MissingStage, SearchResponse
from search.suggest import MAX_SUGGESTIONS, Suggester
from tests.search.guard.model import (
    MARKS,
    SHARED,
    UNKNOWN,
    URIS,
    Recorded,
    copy_of,
    counted,
    may_see,
    own_words,
    values,
    version_of,
    words_of,
)
from tests.search.guard.world import ALL, PINNED, RULES, World
from tests.search.room import uris

NONE: Mapping[str, Sequence[Item]] = {}
Surface = Callable[[World, Caller, str, int], None]


def check(world: World, answer: SearchResponse, caller: Caller, *typed: str) -> None:
    """Nothing on any part of an answer that the model hides; `typed` are words of the question."""
    heads = world.heads(caller)
    shown = [hit.item for hit in answer.hits]
    assert all(item == heads[item.uri] for item in shown if item.uri in heads)
    assert {item.uri for item in shown} <= set(heads)
    assert len({item.uri for item in shown}) == len(shown)
    bare = [replace(hit, item=replace(hit.item, source={})) for hit in answer.hits]  # see carrying
    told = own_words(replace(answer, hits=tuple(bare)))
    assert told <= words_of(heads.values()) | own_words(typed)
    for hit in answer.hits:
        told = own_words((hit.highlights, hit.passage))
        assert told <= {MARKS[hit.item.uri, hit.item.version]}
        assert hit.versions == len(world.model.chain(hit.item.uri, caller, world.room.now))
    if answer.page_size == ALL:  # all of it is on the page
        assert answer.total.value == len(shown)
    assert answer.page > 1 or answer.lexical_matches <= len(heads)


def assert_facets(
    answer: SearchResponse, items: Sequence[Item], others: Mapping[str, Sequence[Item]] = NONE
) -> None:
    """Each value with its count, and none beside them; of open facets those of `others`."""
    for name, counts in answer.facets.items():
        told = {count.value.casefold(): count.count for count in counts}
        assert len(told) == len(counts)
        assert told == counted(others.get(name, items), name)


def keys(items: Iterable[Item]) -> set[tuple[str, int]]:
    return {(item.uri, item.version) for item in items}


def found(answer: SearchResponse) -> set[tuple[str, int]]:
    return keys(hit.item for hit in answer.hits)


def browsing(world: World, caller: Caller, uri: str, version: int) -> None:
    """All hits, totals and facets; and those of one name, which perhaps only hidden items have."""
    heads = world.heads(caller)
    answer = world.ask("", caller)
    check(world, answer, caller)
    assert_facets(answer, list(heads.values()))
    assert found(answer) == keys(heads.values())
    assert answer.total.relation is TotalRelation.EXACT
    name = ("person", "organisation", "place", "subject")[version % 4]
    (value, *_) = values(version_of(uri, version), name)
    narrowed = world.ask("", caller, filters=Keyword(name, (value,)))
    check(world, narrowed, caller, value)
    assert found(narrowed) == keys(i for i in heads.values() if value in values(i, name))


def searching(world: World, caller: Caller, uri: str, version: int) -> None:
    """Words may be found a moment later than they are visible; never longer."""
    heads = world.heads(caller)
    profile = ("lexical", "hybrid", "vector", "hybrid-rrf")[version % 4]
    answer = world.ask("common", caller, profile=profile)
    check(world, answer, caller)
    assert_facets(answer, [hit.item for hit in answer.hits])
    if world.settled or profile == "vector":
        assert found(answer) == keys(heads.values())
        assert profile == "vector" or answer.lexical_matches == len(heads)
    mark = MARKS[uri, version]
    phrase = world.ask(f'"body of {mark}"', caller, profile=("lexical", "hybrid")[version % 2])
    check(world, phrase, caller, mark)
    assert found(phrase) <= {(uri, version)} & keys(heads.values())
    assert phrase.lexical_matches == len(found(phrase))


def suggesting(world: World, caller: Caller, uri: str, version: int) -> None:
    """What is typed is the beginning of a version's word, or of a name that several have."""
    heads = world.heads(caller)
    suggester = Suggester(world.room.engine)
    for typed in (MARKS[uri, version][:4], SHARED[version % 2][:3], "common"):
        told = suggester.suggest(typed, MAX_SUGGESTIONS, caller)
        assert {(one.kind.value, one.text.casefold()): one.count for one in told} == {
            (kind, label): count
            for kind in ("person", "organisation", "place", "subject", "headline")
            for label, count in _labels(heads.values(), kind).items()
            if any(word.startswith(typed.casefold()) for word in label.split())
        }


def likeness(world: World, caller: Caller, uri: str, version: int) -> None:
    """A hidden item is as unknown as one that never was; the others are all like a visible one."""
    heads = world.heads(caller)
    profile = ("hybrid", "lexical", "vector")[version % 3]
    if uri in heads:
        answer = world.ask("", caller, similar_to=uri, profile=profile)
        check(world, answer, caller)
        assert_facets(answer, [hit.item for hit in answer.hits])
        others = keys(heads.values()) - keys([heads[uri]])
        assert found(answer) <= others
        assert profile == "lexical" or found(answer) == others
    told = {_not_found(world, caller, one, profile) for one in {*URIS, UNKNOWN} - set(heads)}
    assert len(told) == 1


def _not_found(world: World, caller: Caller, uri: str, profile: str) -> str:
    """What is told of an item that nothing can be like, without its uri."""
    with pytest.raises(NotFoundError) as told:
        world.ask("", caller, similar_to=uri, profile=profile)
    return str(told.value).replace(uri, "")


def reading(world: World, caller: Caller, uri: str, version: int) -> None:
    """Each item by its uri, and its chain view."""
    del uri, version
    engine, now, heads = world.room.engine, world.room.now, world.heads(caller)
    for one in (*URIS, UNKNOWN):
        assert engine.item(one, caller) == heads.get(one)
        assert list(engine.chain(one, caller)) == world.model.chain(one, caller, now)


def why_missing(world: World, caller: Caller, uri: str, version: int) -> None:
    """Who may know is told what hides an item; everyone else what an unknown uri is told."""
    query = "" if version % 2 else f'"{MARKS[uri, version]}"'
    unknown = _why(world, caller, UNKNOWN, query)
    for one in URIS:
        told = _why(world, caller, one, query)
        stage, reason = _expected(world, caller, one)
        if stage is MissingStage.ARCHIVE:
            assert replace(told, uri=UNKNOWN) == unknown
        elif stage is MissingStage.NONE:
            # its words may lack what is asked for, or may not be indexed yet
            lacks = (MissingStage.QUERY, MissingStage.RETRIEVAL)
            assert told.stage is stage or (query and told.stage in lacks)
        else:
            assert (told.stage, reason in told.reason) == (stage, True)


def _why(world: World, caller: Caller, uri: str, query: str) -> Missing:
    answer = world.ask(query, caller, why_missing=uri)
    assert answer.missing is not None
    check(world, replace(answer, missing=None), caller, query)
    return answer.missing


def _expected(world: World, caller: Caller, uri: str) -> tuple[MissingStage, str]:
    """The stage that is told, and words of the reason."""
    model, now = world.model, world.room.now
    hiding = model.hiding(uri, now)
    if hiding is Hiding.NOTHING and uri in world.heads(caller):
        return (MissingStage.NONE, "")
    if hiding is Hiding.SUPERSEDED:
        head = next(view[0].item for view in model.stories(now) if uri in _uris_of(view))
        pair = (head, model.shown(uri, now)[0].item)
        if caller.may_inspect or all(may_see(caller, item) for item in pair):
            return (MissingStage.STORY, f"stands for it: {head.uri}")
    if not caller.may_inspect or hiding is Hiding.UNKNOWN:
        return (MissingStage.ARCHIVE, "")
    if hiding is Hiding.NOTHING:
        return (MissingStage.ENTITLEMENT, "product")
    says = {Hiding.CANCELED: "killed", Hiding.WITHHELD: "withheld"}
    return (MissingStage.STATUS, says.get(hiding, hiding.value))


def _uris_of(view: Iterable[Recorded]) -> set[str]:
    return {one.item.uri for one in view}


def naming(world: World, caller: Caller, uri: str, version: int) -> None:
    """A name in the query is known where a visible item has it, as typed or nearly so, and by all
    names that visible items give its code.
    """
    mark = MARKS[uri, version]
    heads = world.heads(caller).values()
    codes = {i.person[0].code for i in heads if f"ana {mark}" in values(i, "person")}
    held = [item for item in heads if item.person[0].code in codes]
    names = sorted(name for item in held for name in values(item, "person"))
    for typed in (f"Ana {mark}", f"ana {mark[:6]}{mark[7:]}"):
        use = (EntityUse.BOOST, EntityUse.FILTER)[version % 2]
        answer = world.ask(typed, caller, entities=use)
        check(world, answer, caller, typed)
        assert_facets(answer, [hit.item for hit in answer.hits])
        (entity,) = answer.understood.entities
        known = entity.known
        told = [known.name, *known.aliases] if known else []
        assert [name.casefold() for name in told] == names  # each once, so by the alphabet
        if use is EntityUse.FILTER and held:
            assert found(answer) <= keys(held)


def spelling(world: World, caller: Caller, uri: str, version: int) -> None:
    """A word with a letter left out: the word is suggested to those only who see it."""
    mark = MARKS[uri, version]
    answer = world.ask(f"{mark[:6]}{mark[7:]}", caller, entities=EntityUse.OFF)
    check(world, answer, caller)
    assert answer.suggestion in ("", mark)
    assert not answer.suggestion or mark in words_of(world.heads(caller).values())


def pinned(world: World, caller: Caller, uri: str, version: int) -> None:
    """What editors put first is there for those who may see it, in their order."""
    del uri
    profile = ("lexical", "hybrid")[version % 2]
    answer = world.ask(PINNED, caller, profile=profile)
    check(world, answer, caller)
    wanted = [one for one in RULES.pinned(PINNED) if one in world.heads(caller)]
    assert [hit.item.uri for hit in answer.hits if hit.pinned] == wanted
    assert uris(answer)[: len(wanted)] == wanted


def _labels(items: Iterable[Item], kind: str) -> dict[str, int]:
    among = list(items)
    if kind != "headline":
        return counted(among, kind)
    return {item.headline: 1 for item in among}


def folding(world: World, caller: Caller, uri: str, version: int) -> None:
    """Stories with nearly the same text under one hit: what is folded is told by its uri."""
    del uri
    query = ("", "common")[version % 2]
    answer = world.ask(query, caller, fold=Fold.NEAR_DUPLICATES)
    check(world, answer, caller)
    told = [one for hit in answer.hits for one in (hit.item.uri, *hit.near_duplicates)]
    assert len(set(told)) == len(told)
    assert set(told) <= set(world.heads(caller))
    assert query or set(told) == set(world.heads(caller))


def choosing(world: World, caller: Caller, uri: str, version: int) -> None:
    """A facet without its own filter: what could be chosen instead."""
    del uri
    heads, name = world.heads(caller), ("place", "subject", "organisation")[version % 3]
    chosen = Keyword(name, (SHARED[version % 2],))
    answer = world.ask("", caller, filters=chosen, facets=(), open_facets=(name,))
    assert_facets(answer, [], {name: list(heads.values())})
    assert found(answer) == keys(
        item for item in heads.values() if SHARED[version % 2].casefold() in values(item, name)
    )


def carrying(world: World, caller: Caller, uri: str, version: int) -> None:
    """What stands inside of each item: other items as they are shown now, or not there."""
    del uri
    heads, view = world.heads(caller), ItemView(caller, whole=bool(version % 2))
    for item in heads.values():
        ((told, _),) = items_json([item], view, world.room.engine)
        headline = _carried_headline(world, item, heads)
        shown = told.get("associations", {}).get("main", {}).get("headline", "")
        assert shown == headline
        carried = [one for one in heads.values() if one.headline == headline]
        copied = own_words(copy_of(_carried(item))) if headline and not carried else set()
        # A uri may be named if the chain of its own story shows it, be it this story or another.
        story = world.model.chain(_carried(item), caller, world.room.now)
        named = own_words(_carried(item)) if story else set()
        assert own_words(told) <= words_of([item, *carried]) | copied | named


def _carried(item: Item) -> str:
    return str(item.source["associations"]["main"]["uri"]) if item.source else ""


def _carried_headline(world: World, item: Item, heads: Mapping[str, Item]) -> str:
    """What an answer says of the item that another one carries; "" where it does not say it."""
    uri, now = _carried(item), world.room.now
    if not uri or uri in heads:
        return heads[uri].headline if uri else ""
    hidden = world.model.versions.get(uri) or world.model.would_be_hidden(uri, item.products, now)
    return "" if hidden else copy_of(uri)["headline"]


SURFACES: tuple[Surface, ...] = (
    browsing,
    searching,
    suggesting,
    likeness,
    reading,
    why_missing,
    naming,
    spelling,
    pinned,
    folding,
    choosing,
    carrying,
)
