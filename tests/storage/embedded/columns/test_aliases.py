"""Names that share a code are one name: held against a dict, and against archives without what a
caller may not see.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.callers import NOBODY, Caller
from core.entities import Entity, EntityLabel, KnownName, NameMatch
from core.items import Concept, Item, PubStatus
from core.ports.engine import Engine
from core.query_tree import EVERYTHING, Keyword
from storage.embedded.columns.names import MOST_NAMES
from tests.conftest import new_folder
from tests.storage.world import HOUR, NOW, WIRE, SetClock, change, make_item, opened, uris, write

PER, ORG, LOC, MISC = EntityLabel
PHOTOS = Caller("photos", frozenset({"photos"}))
UN = ("wd:Q1065", "United Nations", "U.N.", "UN", "Nations Unies")


def org(uri: str, name: str, code: str = "", version: int = 1, **members: object) -> Item:
    return make_item(uri, version, organisation=(Concept(name, code),), **members)


def stories(engine: Engine, *items: Item) -> None:
    for item in items:
        write(engine, item)


def known(
    engine: Engine, text: str, label: EntityLabel = ORG, caller: Caller = WIRE
) -> KnownName | None:
    return engine.known([Entity(text, label, 0, len(text), 0.9)], caller)[0]


def names_of(found: KnownName | None) -> tuple[str, ...]:
    """The canonical name and its aliases."""
    return () if found is None else (found.name, *found.aliases)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def engine(folder: Path, clock: SetClock) -> Iterator[Engine]:
    with opened(folder, clock) as engine:
        yield engine


@pytest.fixture
def nations(engine: Engine) -> Engine:
    """The United Nations three times, as U.N. twice and as UN once; a club of the same words."""
    code = UN[0]
    for number in range(3):
        write(engine, org(f"full{number}", "United Nations", code))
    write(engine, org("short", "U.N.", code))
    write(engine, org("shorter", "UN", code.upper()))
    write(engine, org("uncoded", "U.N."))
    write(engine, org("club", "United Nations Football Club", "wd:Q7"))
    return engine


def test_any_name_stands_for_all_of_them(nations: Engine) -> None:
    for text, match, read_as in [
        ("United Nations", NameMatch.EXACT, ""),
        ("the united nations", NameMatch.FOLDED, ""),
        ("un", NameMatch.FOLDED, "UN"),  # but for case, before the commoner spelling
        ("U.N.", NameMatch.EXACT, "U.N."),
        ("unitd nations", NameMatch.FUZZY, ""),
    ]:
        found = known(nations, text)
        assert found == KnownName(
            "United Nations",
            "organisation",
            match,
            ("United Nations", "U.N.", "UN"),
            ("U.N.",),
            read_as,
        )
    found = known(nations, "un")
    assert found is not None
    filtered = uris(nations, EVERYTHING, filters=Keyword(found.field, found.spellings))
    assert filtered == {"full0", "full1", "full2", "short", "shorter", "uncoded"}


def test_a_kill_unlinks_at_once(nations: Engine) -> None:
    change(nations, "shorter", pubstatus=PubStatus.CANCELED)
    assert names_of(known(nations, "un")) == ("United Nations", "U.N.")
    change(nations, "short", pubstatus=PubStatus.WITHHELD)
    assert names_of(known(nations, "un")) == ("U.N.",)  # of the story without a code
    assert names_of(known(nations, "United Nations")) == ("United Nations",)
    change(nations, "short", pubstatus=PubStatus.USABLE)
    assert names_of(known(nations, "un")) == ("United Nations", "U.N.")


def test_an_embargo_hides_a_link_until_it_lifts(engine: Engine, clock: SetClock) -> None:
    stories(engine, org("a", "United Nations", UN[0]), org("b", "UN"))
    write(engine, org("c", "UN", UN[0], embargoed=NOW + HOUR))
    assert names_of(known(engine, "un")) == ("UN",)
    clock.advance(2 * HOUR)
    assert set(names_of(known(engine, "un"))) == {"UN", "United Nations"}


def test_what_a_caller_may_not_see_makes_no_alias(engine: Engine) -> None:
    stories(engine, org("a", "United Nations", UN[0]), org("b", "UN"))
    write(engine, org("c", "UN", UN[0], products=("photos",)))
    assert names_of(known(engine, "un")) == ("UN",)
    assert names_of(known(engine, "un", caller=PHOTOS)) == ("UN",)
    both = Caller("both", WIRE.products | PHOTOS.products)
    assert names_of(known(engine, "un", caller=both)) == ("UN", "United Nations")
    assert known(engine, "un", caller=NOBODY) is None


def test_a_name_of_two_codes_has_no_aliases(engine: Engine) -> None:
    """Nobody can tell which Georgia is meant, and none of it gets the other's stories."""
    stories(
        engine,
        make_item("a", place=(Concept("Georgia", "wd:Q230"),)),
        make_item("b", place=(Concept("Republic of Georgia", "wd:Q230"),)),
        make_item("c", place=(Concept("Georgia", "wd:Q1428"),)),
        make_item("d", place=(Concept("State of Georgia", "wd:Q1428"),)),
    )
    for name in ("Georgia", "Republic of Georgia", "State of Georgia"):
        assert names_of(known(engine, name, LOC)) == (name,)


def test_a_code_is_of_its_field(engine: Engine) -> None:
    write(engine, org("a", "Lincoln Motors", "7"))
    write(engine, make_item("b", person=(Concept("Abraham Lincoln", "7"),)))
    assert names_of(known(engine, "Lincoln Motors")) == ("Lincoln Motors",)


@pytest.mark.parametrize("count", [MOST_NAMES, MOST_NAMES + 1])
def test_a_code_of_very_many_names_is_none(engine: Engine, count: int) -> None:
    stories(engine, *(org(f"u{n}", f"Company {n:02}", "company") for n in range(count)))
    found = names_of(known(engine, "Company 00"))
    assert len(found) == (count if count <= MOST_NAMES else 1)


def test_a_person_with_two_names_is_one_person(engine: Engine) -> None:
    stories(
        engine,
        make_item("a", person=(Concept("Angela Merkel", "p1"),)),
        make_item("b", person=(Concept("Chancellor Merkel", "p1"),)),
    )
    for text in ("merkel", "merkle"):
        assert set(names_of(known(engine, text, PER))) == {"Angela Merkel", "Chancellor Merkel"}
    write(engine, make_item("c", person=(Concept("Una Merkel", "p2"),)))
    assert known(engine, "merkel", PER) is None


def test_the_order_in_which_names_were_first_written_is_not_told(engine: Engine) -> None:
    """A hidden story may have been the first."""
    write(engine, make_item("h", person=(Concept("Chancellor Merkel"),), products=("photos",)))
    names = ("Angela Merkel", "Chancellor Merkel", "Chancellor Merkel")
    stories(
        engine, *(make_item(f"s{n}", person=(Concept(name, "p1"),)) for n, name in enumerate(names))
    )
    found = known(engine, "merkel", PER)
    assert found is not None
    assert (found.name, found.read_as) == ("Chancellor Merkel", "Angela Merkel")


# --- properties

NAMES = ("Ana", "ANA", "Án-a", "Bo", "B.O.", "Cy", "Dee")
KEYS = {"Ana": "ana", "ANA": "ana", "Án-a": "ana", "Bo": "bo", "B.O.": "bo", "Cy": "cy"}
CODES = ("", "1", "2", "3")


@dataclass(frozen=True)
class Named:
    """One story with names and codes, and how it is hidden, if it is."""

    concepts: tuple[Concept, ...]
    hidden: str = ""


_concepts = st.lists(
    st.builds(Concept, st.sampled_from(NAMES), st.sampled_from(CODES)), min_size=1, max_size=2
).map(tuple)
_archives = st.lists(
    st.builds(Named, _concepts, st.sampled_from(("", "", "", "killed", "photos"))), max_size=8
)
PROPERTY = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)


def fill(engine: Engine, stories: Iterable[tuple[int, Named]]) -> None:
    for number, story in stories:
        item = make_item(f"u{number}", organisation=story.concepts)
        if story.hidden == "photos":
            item = replace(item, products=("photos",))
        write(engine, item)
        if story.hidden == "killed":
            change(engine, f"u{number}", pubstatus=PubStatus.CANCELED)


def expected(stories: Sequence[Named], text: str) -> tuple[str, set[str], set[str]] | None:
    """Canonical name, spellings and keys of the aliases, casefolded, from plain dicts."""
    pairs = [
        pair
        for story in stories
        for pair in {(c.name.casefold(), c.code) for c in story.concepts}
        if not story.hidden
    ]
    counts = Counter(
        name
        for story in stories
        for name in {c.name.casefold() for c in story.concepts}
        if not story.hidden
    )
    keys = {name.casefold(): KEYS.get(name, name.casefold()) for name in NAMES}
    own = keys[text.casefold()]
    codes = {key: {c for n, c in pairs if keys[n] == key and c} for key in set(keys.values())}
    same = {key for key, held in codes.items() if len(held) == 1 and held == codes[own]} | {own}
    spellings = {name for name in counts if keys[name] in same}
    if not any(keys[name] == own for name in counts):
        return None
    ranked = sorted(spellings, key=lambda name: (-counts[name], name))
    canonical = ranked[0]
    if keys[canonical] == own:
        canonical = text.casefold() if text.casefold() in counts else canonical
    others = {keys[name] for name in spellings} - {keys[canonical]}
    return canonical, spellings, others


@PROPERTY
@given(_archives)
def test_names_and_a_dict_agree(told: list[Named]) -> None:
    folder = new_folder()
    try:
        with opened(folder, SetClock()) as engine:
            fill(engine, enumerate(told))
            for text in NAMES:
                found, wanted = known(engine, text), expected(told, text)
                said = found and (
                    found.name.casefold(),
                    {name.casefold() for name in found.spellings},
                    {KEYS.get(name, name.casefold()) for name in found.aliases},
                )
                assert said == wanted, text
    finally:
        shutil.rmtree(folder)


@PROPERTY
@given(_archives, st.sampled_from(("", "merkle")))
def test_what_is_hidden_links_nothing(told: list[Named], more: str) -> None:
    folders = new_folder(), new_folder()
    try:
        with opened(folders[0], SetClock()) as whole, opened(folders[1], SetClock()) as seen:
            numbered = list(enumerate(told))
            fill(whole, numbered)
            fill(seen, [(n, story) for n, story in numbered if not story.hidden])
            for text in (*NAMES, "dea", *([more] if more else [])):
                found, wanted = known(whole, text), known(seen, text)
                assert _casefolded(found) == _casefolded(wanted), text
    finally:
        for folder in folders:
            shutil.rmtree(folder)


def _casefolded(name: KnownName | None) -> object:
    """A column keeps the spelling that it saw first, but for case."""
    if name is None:
        return None
    texts = (name.name, *name.spellings, "|", *name.aliases, "|", name.read_as)
    return name.field, tuple(text.casefold() for text in texts)
