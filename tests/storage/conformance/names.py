"""What every storage engine promises about the names it knows; part of `EngineConformance`."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.callers import NOBODY, Caller
from core.entities import Entity, EntityLabel, KnownName, NameMatch
from core.items import Concept, Item, PubStatus
from core.ports.engine import Engine
from core.query_tree import EVERYTHING, Keyword
from tests.conftest import new_folder
from tests.storage.conformance.engine_under_test import EngineUnderTest
from tests.storage.world import HOUR, NOW, WIRE, SetClock, change, lexical, make_item, uris, write

PER, ORG, LOC, MISC = EntityLabel
PHOTOS = Caller("photos", frozenset({"photos"}))
MERKEL = make_item("merkel", person=(Concept("Angela Merkel"),))
PEOPLE = (
    "Angela Merkel",
    "ANGELA MERKEL",
    "Ángela Merkel",
    "Angelo Merkel",
    "Una Merkel",
    "Angela M.-Erkel",
)
TYPED = (
    "Angela Merkel",
    "angela merkel",
    "angela merkle",
    "merkel",
    "merkle",
    "a. merkel",
    "erkel",
)


def entity(text: str, label: EntityLabel = PER) -> Entity:
    return Entity(text, label, 0, len(text), 0.9)


def known(
    engine: Engine, text: str, label: EntityLabel = PER, caller: Caller = WIRE
) -> KnownName | None:
    return engine.known([entity(text, label)], caller)[0]


def name_of(
    engine: Engine, text: str, label: EntityLabel = PER, caller: Caller = WIRE
) -> tuple[str, str] | None:
    found = known(engine, text, label, caller)
    return (found.name, found.match.value) if found else None


def person(uri: str, *names: str, version: int = 1, **members: object) -> Item:
    return make_item(uri, version, person=tuple(Concept(name) for name in names), **members)


class NameConformance(EngineUnderTest):
    """Which names are known, to whom, in which field."""

    def test_a_name_is_known_in_its_field(self, engine: Engine) -> None:
        assert known(engine, "Porto", LOC) is None
        self.stories(
            engine,
            make_item("a", place=(Concept("Porto"),), organisation=(Concept("Island Lines"),)),
        )
        assert known(engine, "Porto", LOC) == KnownName(
            "Porto", "place", NameMatch.EXACT, ("Porto",)
        )
        assert known(engine, "island lines", ORG) == KnownName(
            "Island Lines", "organisation", NameMatch.FOLDED, ("Island Lines",)
        )
        assert engine.known([], WIRE) == ()

    def test_a_wrong_label_is_set_right_by_the_same_name_only(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", place=(Concept("Stenhaven"),)))
        for label in (PER, ORG, MISC):
            found = known(engine, "stenhaven", label)
            assert found is not None
            assert found.field == "place"
            assert known(engine, "stenhavn", label) is None
        assert name_of(engine, "stenhavn", LOC) == ("Stenhaven", "fuzzy")

    def test_the_labels_own_field_comes_first(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", place=(Concept("Lincoln"),)), person("b", "LINCOLN"))
        found = [known(engine, "lincoln", label) for label in (PER, LOC)]
        assert [name.field for name in found if name] == ["person", "place"]

    def test_spellings_that_fold_alike_are_one_name(self, engine: Engine) -> None:
        self.stories(
            engine,
            person("a", "Jose Alvarez"),
            person("b", "José Álvarez"),
            person("c", "José Álvarez"),
        )
        found = known(engine, "josé alvarez")
        assert found is not None
        assert found.name == "José Álvarez"  # the commonest
        assert set(found.spellings) == {"Jose Alvarez", "José Álvarez"}
        same = known(engine, "jose alvarez")
        assert same is not None
        assert (same.name, same.match) == ("Jose Alvarez", NameMatch.FOLDED)  # but for case
        exact = known(engine, "Jose Alvarez")
        assert exact is not None
        assert (exact.name, exact.match) == ("Jose Alvarez", NameMatch.EXACT)
        filtered = uris(engine, EVERYTHING, filters=Keyword("person", found.spellings))
        assert filtered == {"a", "b", "c"}

    @pytest.mark.parametrize("status", [PubStatus.CANCELED, PubStatus.WITHHELD])
    def test_a_kill_takes_the_name_at_once(self, engine: Engine, status: PubStatus) -> None:
        write(engine, MERKEL)
        assert name_of(engine, "merkle") == ("Angela Merkel", "fuzzy")
        change(engine, "merkel", pubstatus=status)
        for text in TYPED:
            assert known(engine, text) is None, text
        change(engine, "merkel", pubstatus=PubStatus.USABLE)
        assert name_of(engine, "Angela Merkel") == ("Angela Merkel", "exact")

    def test_a_new_version_without_the_name_takes_it(self, engine: Engine) -> None:
        write(engine, MERKEL)
        assert known(engine, "Angela Merkel")
        write(engine, make_item("merkel", 2))
        assert known(engine, "Angela Merkel") is None

    def test_an_embargo_hides_a_name_until_it_lifts(self, engine: Engine, clock: SetClock) -> None:
        write(engine, replace(MERKEL, embargoed=NOW + HOUR, expires=NOW + 3 * HOUR))
        assert known(engine, "Angela Merkel") is None
        clock.advance(HOUR + timedelta(seconds=1))
        assert known(engine, "Angela Merkel")
        clock.advance(2 * HOUR)
        assert known(engine, "Angela Merkel") is None

    def test_a_name_in_what_the_caller_may_not_see_is_unknown(self, engine: Engine) -> None:
        self.stories(engine, replace(MERKEL, products=("photos",)))
        for text in TYPED:
            assert known(engine, text) is None, text
            assert known(engine, text, caller=NOBODY) is None, text
        assert name_of(engine, "angela merkel", caller=PHOTOS) == ("Angela Merkel", "folded")

    def test_a_hidden_spelling_is_not_told(self, engine: Engine) -> None:
        self.stories(
            engine,
            person("a", "Jose Alvarez"),
            *(person(f"h{n}", "José Álvarez", products=("photos",)) for n in range(3)),
        )
        found = known(engine, "jose alvarez")
        assert found is not None
        assert found.spellings == ("Jose Alvarez",)

    def test_a_hidden_name_makes_no_other_doubtful(self, engine: Engine) -> None:
        self.stories(engine, MERKEL, person("una", "Una Merkel"))
        assert known(engine, "merkel") is None
        change(engine, "una", pubstatus=PubStatus.CANCELED)
        assert name_of(engine, "merkel") == ("Angela Merkel", "fuzzy")

    def test_which_candidates_have_which_name(self, engine: Engine) -> None:
        self.stories(
            engine,
            person("both", "Ana Reyes", place=(Concept("Porto"),)),
            person("cased", "x", "ANA REYES"),
            make_item("none"),
            make_item("place", place=(Concept("Porto"), Concept("Ana Reyes"))),
        )
        names = [known(engine, "ana reyes"), known(engine, "porto", LOC)]
        found = engine.retrieve(lexical(EVERYTHING))
        marks = engine.holding(found.ids, [name for name in names if name])
        items = engine.items(found.ids, WIRE)
        held = {item.uri: row for item, row in zip(items, marks.tolist(), strict=True) if item}
        assert held == {
            "both": [True, True],
            "cased": [True, False],
            "none": [False, False],
            "place": [False, True],
        }
        assert engine.holding(np.zeros(0, np.int64), []).shape == (0, 0)

    @settings(
        max_examples=20,
        deadline=None,
        suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
    )
    @given(
        shown=st.lists(st.sampled_from(PEOPLE), max_size=5),
        hidden=st.lists(st.tuples(st.sampled_from(PEOPLE), st.booleans()), max_size=5),
    )
    def test_what_is_hidden_makes_no_difference(
        self, shown: list[str], hidden: list[tuple[str, bool]]
    ) -> None:
        """An archive with stories that a caller may not see knows what one without them knows."""
        folders = new_folder(), new_folder()
        with_hidden, without = (self.open(folder, SetClock()) for folder in folders)
        try:
            for number, (name, killed) in enumerate(hidden):
                write(
                    with_hidden,
                    person(f"h{number}", name, products=("wire",) if killed else ("photos",)),
                )
                if killed:
                    change(with_hidden, f"h{number}", pubstatus=PubStatus.CANCELED)
            for engine in (with_hidden, without):
                for number, name in enumerate(shown):
                    write(engine, person(f"s{number}", name))
            asked = [entity(text) for text in (*TYPED, *PEOPLE)]
            for found, wanted in zip(
                with_hidden.known(asked, WIRE), without.known(asked, WIRE), strict=True
            ):
                assert _casefolded(found) == _casefolded(wanted)
        finally:
            with_hidden.close()
            without.close()
            for folder in folders:
                shutil.rmtree(folder)


def _casefolded(name: KnownName | None) -> object:
    """A column keeps the spelling that it saw first, but for case."""
    if name is None:
        return None
    return name.field, name.name.casefold(), {spelling.casefold() for spelling in name.spellings}
