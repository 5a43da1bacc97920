"""What is suggested to whom as one types, from golden cases to random histories against a dict."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.callers import NOBODY, Caller
from core.errors import QueryError
from core.items import Concept, Item, PubStatus
from core.retrieval import Suggestion, SuggestionKind
from core.writes import SetStatus
from search.suggest import MAX_SUGGESTIONS, MAX_TYPED_CHARACTERS, Suggester
from storage.words.names import plain_words
from tests.conftest import new_folder
from tests.search.guard.test_surfaces import CALLERS, PRODUCTS, URIS, Model
from tests.search.room import BOTH, PHOTOS, READER, Room, story

PERSON, ORGANISATION, PLACE, SUBJECT, HEADLINE = SuggestionKind
MERKEL = (Concept("Angela Merkel"),)


def ask(room: Room, text: str, caller: Caller = READER, limit: int = 10) -> list[str]:
    return [found.text for found in Suggester(room.engine).suggest(text, limit, caller)]


@pytest.fixture
def newsroom(room: Room) -> Room:
    room.put(
        story("a", "Merkel opens the harbour", person=MERKEL, place=(Concept("Porto Alto"),)),
        story("b", "Harbour strike ends", person=MERKEL, organisation=(Concept("Port Union"),)),
        story("c", "Storm over Porto Alto", subject=(Concept("ports"),), when=1),
        story("d", "A strike at the harbour", when=2, place=(Concept("Porto Alto"),)),
        index=False,
    )
    return room


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        # the commonest first, then those that begin so, then by kind
        ("port", ["Porto Alto", "Port Union", "ports", "Storm over Porto Alto"]),
        ("Ports", ["ports"]),
        ("port union", ["Port Union"]),
        ("porto", ["Porto Alto", "Storm over Porto Alto"]),
        ("alto porto", ["Porto Alto", "Storm over Porto Alto"]),  # in any order
        ("MERK", ["Angela Merkel", "Merkel opens the harbour"]),
        ("merkel's", ["Angela Merkel", "Merkel opens the harbour"]),
        ("ángela m", ["Angela Merkel"]),
        ("angela merkel opens", []),
        # of equal headlines those that begin so, then the newest
        ("har", ["Harbour strike ends", "A strike at the harbour", "Merkel opens the harbour"]),
        ("m", ["Angela Merkel"]),  # one letter finds names, but no headline
        ("ort", []),  # no word begins so
        ("", []),
        (" ,;- ", []),
    ],
)
def test_what_is_suggested(newsroom: Room, typed: str, found: list[str]) -> None:
    assert ask(newsroom, typed) == found


def test_a_suggestion_says_its_kind_and_how_many_stories(newsroom: Room) -> None:
    found = Suggester(newsroom.engine).suggest("porto", 10, READER)
    assert found[0] == Suggestion("Porto Alto", PLACE, 2)
    assert found[1] == Suggestion("Storm over Porto Alto", HEADLINE, 1)


def test_what_is_typed_whole_comes_before_what_is_common(room: Room) -> None:
    room.put(
        story("a", place=(Concept("Iran"),)),
        *(story(f"n{number}", place=(Concept("Iranian Gulf"),)) for number in range(3)),
    )
    assert ask(room, "ira") == ["Iranian Gulf", "Iran"]
    assert ask(room, "iran") == ["Iran", "Iranian Gulf"]


def test_the_limit_keeps_the_best(newsroom: Room) -> None:
    assert ask(newsroom, "port", limit=2) == ["Porto Alto", "Port Union"]
    assert ask(newsroom, "har", limit=2) == ["Harbour strike ends", "A strike at the harbour"]


def test_only_what_the_caller_sees_at_this_moment_counts(newsroom: Room) -> None:
    newsroom.put(
        story("p", "Porto regatta", products=("photos",), place=(Concept("Porto Alto"),)),
        story("e", "Porto embargo", embargoed=newsroom.now + timedelta(hours=1)),
        story("x", "Porto expiry", expires=newsroom.now + timedelta(hours=2)),
    )
    assert ask(newsroom, "porto", NOBODY) == []
    assert ask(newsroom, "porto", PHOTOS) == ["Porto Alto", "Porto regatta"]
    assert Suggester(newsroom.engine).suggest("porto", 1, BOTH)[0].count == 3
    assert ask(newsroom, "porto e") == ["Porto expiry"]
    newsroom.now += timedelta(hours=1, seconds=1)
    assert ask(newsroom, "porto e") == ["Porto expiry", "Porto embargo"]
    newsroom.now += timedelta(hours=1)
    assert ask(newsroom, "porto e") == ["Porto embargo"]
    newsroom.kill("e")
    assert ask(newsroom, "porto e") == []
    assert ask(newsroom, "angela") == ["Angela Merkel"]
    newsroom.kill("a")
    newsroom.kill("b")
    assert ask(newsroom, "angela") == []
    newsroom.put(story("b", "Harbour strike begins again", version=2))
    newsroom.engine.set_status([SetStatus("b", PubStatus.USABLE)])
    assert ask(newsroom, "harbour s") == ["Harbour strike begins again", "A strike at the harbour"]


def test_another_process_sees_the_same(newsroom: Room) -> None:
    other = Room(newsroom.folder)
    try:
        assert ask(other, "porto") == ["Porto Alto", "Storm over Porto Alto"]
        newsroom.kill("c")
        newsroom.put(story("f", "Porto fair"))
        assert ask(other, "porto") == ["Porto Alto", "Porto fair"]
    finally:
        other.engine.close()


@pytest.mark.parametrize(
    ("text", "limit"), [("a", 0), ("a", MAX_SUGGESTIONS + 1), ("a" * (MAX_TYPED_CHARACTERS + 1), 5)]
)
def test_what_can_t_be_asked(room: Room, text: str, limit: int) -> None:
    with pytest.raises(QueryError):
        Suggester(room.engine).suggest(text, limit, READER)


WORDS = st.sampled_from(["storm", "Storm", "Störm", "port", "porto", "the", "O'Hara"])
NAMES = st.lists(WORDS, max_size=3).map(" ".join)
TYPED = ("s", "st", "storm", "STÖRM p", "port", "port st", "the", "o'h", "ohara", "x")


class Expiring(Model):
    """The dict model of the surfaces, with expiry."""

    def shown(self, uri: str, now: datetime) -> Item | None:
        for item in reversed(self.versions.get(uri, [])):
            if item.pubstatus is not PubStatus.USABLE or (item.expires and item.expires <= now):
                return None
            if item.embargoed is None or item.embargoed <= now:
                return item
        return None

    def suggestions(self, text: str, caller: Caller, now: datetime) -> Counter[tuple[str, str]]:
        """Stories by kind and label, but for case, of all that has the typed words."""
        typed = plain_words(text)
        found: Counter[tuple[str, str]] = Counter()
        for item in self.hits(caller, now).values():
            held = {(kind.value, label.casefold()) for kind, label in labels(item)}
            found.update(key for key in held if _has(plain_words(key[1]), typed, key[0]))
        return found


def labels(item: Item) -> list[tuple[SuggestionKind, str]]:
    fields = (PERSON, ORGANISATION, PLACE, SUBJECT)
    named = [(kind, concept.name) for kind in fields for concept in getattr(item, kind.value)]
    return [*named, (HEADLINE, item.headline)]


def _has(words: tuple[str, ...], typed: tuple[str, ...], kind: str) -> bool:
    if kind == HEADLINE and len("".join(typed)) < 2:
        return False
    last = any(word.startswith(typed[-1]) for word in words)
    return last and all(word in words for word in typed[:-1])


class Suggesting(RuleBasedStateMachine):
    """Writes go to the archive and to the model; after each, every caller types every text."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = new_folder()
        self.room = Room(self.folder)
        self.model = Expiring()

    def teardown(self) -> None:
        self.room.engine.close()
        shutil.rmtree(self.folder)

    @rule(
        uri=st.sampled_from(URIS),
        version=st.integers(1, 4),
        chain=st.sampled_from(["", "one"]),
        products=st.sets(st.sampled_from(PRODUCTS)),
        headline=NAMES,
        person=NAMES,
        subject=NAMES,
        hours=st.tuples(st.sampled_from([None, 1, 5]), st.sampled_from([None, 2, 6])),
    )
    def put(
        self,
        uri: str,
        version: int,
        chain: str,
        products: set[str],
        headline: str,
        person: str,
        subject: str,
        hours: tuple[int | None, int | None],
    ) -> None:
        embargoed, expires = (h and self.room.now + timedelta(hours=h) for h in hours)
        item = story(
            uri,
            headline,
            version=version,
            chain=chain or uri,
            products=tuple(sorted(products)),
            embargoed=embargoed,
            expires=expires,
            person=(Concept(person),) if person else (),
            subject=(Concept(subject),) if subject else (),
        )
        known = [old for old in self.model.versions.get(uri, []) if old.version == version]
        if known:  # the same version again may come for other products only
            item = replace(known[0], products=item.products, pubstatus=PubStatus.USABLE)
            if not self.room.engine.unknown([item])[0]:
                return
        self.room.put(item, vectors=False, index=False)
        self.model.put(item)

    @rule(
        uri=st.sampled_from(URIS),
        status=st.sampled_from([PubStatus.CANCELED, PubStatus.WITHHELD, PubStatus.USABLE]),
    )
    def set_status(self, uri: str, status: PubStatus) -> None:
        self.change(SetStatus(uri, status))

    @rule(uri=st.sampled_from(URIS), hours=st.sampled_from([None, 1, 4]))
    def embargo(self, uri: str, hours: int | None) -> None:
        until = None if hours is None else self.room.now + timedelta(hours=hours)
        self.change(SetStatus(uri, embargoed=until, lift_embargo=until is None))

    def change(self, change: SetStatus) -> None:
        self.room.engine.set_status([change])
        self.model.set_status(change)

    @rule(hours=st.integers(1, 6))
    def advance(self, hours: int) -> None:
        self.room.now += timedelta(hours=hours)

    @invariant()
    def every_caller_is_told_what_the_dict_tells(self) -> None:
        for caller in CALLERS:
            for text in TYPED:
                found = self.room.engine.suggest(text, 1000, caller)
                said = {(one.kind.value, one.text.casefold()): one.count for one in found}
                assert len(said) == len(found)
                assert said == self.model.suggestions(text, caller, self.room.now)
                self.check_order(text, found)

    def check_order(self, text: str, found: tuple[Suggestion, ...]) -> None:
        typed = set(plain_words(text))
        keys = [(set(plain_words(one.text)) != typed, -one.count) for one in found]
        assert keys == sorted(keys)


TestSuggesting = Suggesting.TestCase
TestSuggesting.settings = settings(
    max_examples=40,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
