"""What every storage engine promises of a write and a batch; part of `EngineConformance`."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.callers import Caller
from core.errors import DatelineError, StorageError
from core.items import Passage, PubStatus
from core.ports.engine import Engine
from core.query_tree import Word
from core.writes import Outcome, PutItem, SetStatus
from tests.storage.conformance.engine_under_test import EngineUnderTest
from tests.storage.world import (
    HOUR,
    NOW,
    WIRE,
    SetClock,
    ask,
    change,
    make_item,
    nearest,
    unit,
    uris,
    vector_of,
    vectors,
    write,
)


class WriteConformance(EngineUnderTest):
    """Outcomes of puts and of status changes."""

    def test_outcomes_of_a_put(self, engine: Engine) -> None:
        first = make_item("a", 2, headline="One")
        assert write(engine, first) is Outcome.CREATED
        assert write(engine, first) is Outcome.UNCHANGED
        assert write(engine, make_item("a", 3, headline="Two")) is Outcome.SUPERSEDED
        assert write(engine, first) is Outcome.STALE
        assert write(engine, make_item("a", 1)) is Outcome.STALE
        assert write(engine, make_item("a", 3, headline="Other")) is Outcome.CONFLICT
        assert [item.headline for item in engine.chain("a", WIRE)] == ["Two", "One"]

    def test_a_stale_version_is_known_where_exactly_it_is_recorded(self, engine: Engine) -> None:
        first = make_item("a", 2, headline="One")
        for item in (first, make_item("a", 3, headline="Two")):
            write(engine, item)
        stale = [first, make_item("a", 2, headline="Other"), make_item("a", 1, headline="One")]
        answers = engine.put([PutItem(item) for item in stale])
        assert [(answer.outcome, answer.known) for answer in answers] == [
            (Outcome.STALE, True),
            (Outcome.STALE, False),
            (Outcome.STALE, False),
        ]

    def test_a_conflict_and_a_stale_version_change_nothing(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", 2, headline="zebra"))
        write(engine, make_item("a", 2, headline="crocodile"))
        write(engine, make_item("a", 1, headline="crocodile"))
        self.settle(engine)
        assert uris(engine, Word("zebra")) == {"a"}
        assert uris(engine, Word("crocodile")) == set()

    def test_other_products_update_the_same_version(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", headline="zebra"))
        photos = Caller("photos", frozenset({"photos"}))
        moved = make_item("a", headline="zebra", products=("photos",))
        assert write(engine, moved) is Outcome.UPDATED
        assert ask(engine, nearest(vector_of("a/1"), WIRE)) == []
        assert ask(engine, nearest(vector_of("a/1"), photos)) == [("a", 1)]
        self.settle(engine)
        assert uris(engine, Word("zebra"), WIRE) == set()
        assert uris(engine, Word("zebra"), photos) == {"a"}

    def test_an_update_keeps_the_state_that_was_set(self, engine: Engine) -> None:
        write(engine, make_item("a"))
        change(engine, "a", pubstatus=PubStatus.CANCELED)
        assert write(engine, make_item("a", products=("wire", "more"))) is Outcome.UPDATED
        assert write(engine, make_item("a", products=("wire", "more"))) is Outcome.UNCHANGED
        assert engine.item("a", WIRE) is None

    def test_vectors_that_were_missing_are_added(self, engine: Engine) -> None:
        assert engine.put([PutItem(make_item("a"))])[0].outcome is Outcome.CREATED
        assert engine.unknown([make_item("a")]) == (True,)
        assert ask(engine, nearest(unit(1))) == []
        assert write(engine, make_item("a"), unit(1)) is Outcome.UPDATED
        assert engine.unknown([make_item("a")]) == (False,)
        assert ask(engine, nearest(unit(1))) == [("a", 1)]
        assert write(engine, make_item("a"), unit(0, 1)) is Outcome.UNCHANGED

    def test_late_vectors_undo_nothing_that_was_put_since(self, engine: Engine) -> None:
        """A version was put without them, and by now it has other products, or a newer one came."""
        elsewhere = make_item("a", products=("photos",))
        engine.put([PutItem(make_item("a")), PutItem(elsewhere)])
        late = PutItem(make_item("a"), (vectors(unit(1)),), only_vectors=True)
        assert engine.put([late])[0].outcome is Outcome.STALE
        assert engine.item("a", WIRE) is None
        assert engine.put([replace(late, item=elsewhere)])[0].outcome is Outcome.UPDATED
        newer = replace(late, item=make_item("a", 2, products=("photos",)))
        assert engine.put([newer])[0].outcome is Outcome.STALE

    def test_late_vectors_make_a_version_no_newer(self, engine: Engine) -> None:
        """Of items that were created at one moment the one that was put last heads their story."""
        killed, other = make_item("a", chain="story"), make_item("b", chain="story")
        engine.put([PutItem(replace(killed, pubstatus=PubStatus.CANCELED)), PutItem(other)])
        late = replace(killed, pubstatus=PubStatus.CANCELED)
        engine.put([PutItem(late, (vectors(unit(1)),), only_vectors=True)])
        change(engine, "a", pubstatus=PubStatus.USABLE)
        assert engine.unknown([late]) == (False,)
        assert [item.uri for item in engine.chain("b", WIRE)] == ["b", "a"]
        change(engine, "b", pubstatus=PubStatus.CANCELED)
        assert ask(engine, nearest(unit(1))) == [("a", 1)]

    def test_vectors_of_another_encoder_are_not_searched(self, engine: Engine) -> None:
        strange = PutItem(make_item("a"), (vectors(unit(1), encoder="another"),))
        engine.put([strange])
        assert engine.unknown([make_item("a")]) == (True,)
        assert ask(engine, nearest(unit(1))) == []
        assert write(engine, make_item("a"), unit(0, 1)) is Outcome.UPDATED
        assert ask(engine, nearest(unit(0, 1))) == [("a", 1)]

    def test_unknown_asks_what_a_put_would_do(self, engine: Engine) -> None:
        write(engine, make_item("a", 2))
        asked = [
            make_item("b"),
            make_item("a", 2),
            make_item("a", 1),
            make_item("a", 3),
            make_item("a", 2, headline="conflict"),
            make_item("a", 2, products=("other",)),
        ]
        assert engine.unknown(asked) == (True, False, False, True, False, True)
        assert engine.unknown([]) == ()

    def test_a_batch_sees_its_own_writes(self, engine: Engine) -> None:
        batch = [make_item("a"), make_item("a"), make_item("a", 2), make_item("a", 1)]
        written = engine.put([PutItem(item) for item in batch])
        assert [entry.outcome for entry in written] == [
            Outcome.CREATED,
            Outcome.UNCHANGED,
            Outcome.SUPERSEDED,
            Outcome.STALE,
        ]

    def test_an_empty_batch(self, engine: Engine) -> None:
        assert engine.put([]) == ()
        assert engine.set_status([]) == ()

    def test_outcomes_of_a_status_change(self, engine: Engine) -> None:
        assert change(engine, "a", lift_embargo=True) is Outcome.MISSING
        write(engine, make_item("a"))
        assert change(engine, "a") is Outcome.UNCHANGED
        assert change(engine, "a", pubstatus=PubStatus.USABLE) is Outcome.UNCHANGED
        assert change(engine, "a", pubstatus=PubStatus.WITHHELD) is Outcome.UPDATED
        assert change(engine, "a", embargoed=NOW + HOUR) is Outcome.UPDATED
        assert change(engine, "a", embargoed=NOW + HOUR) is Outcome.UNCHANGED
        assert change(engine, "a", lift_embargo=True) is Outcome.UPDATED
        assert change(engine, "a", lift_embargo=True) is Outcome.UNCHANGED

    def test_a_status_change_names_the_newest_version(self, engine: Engine) -> None:
        write(engine, make_item("a", 1))
        write(engine, make_item("a", 5))
        (written,) = engine.set_status([SetStatus("a", PubStatus.CANCELED)])
        assert written.version == 5
        (missing,) = engine.set_status([SetStatus("b", PubStatus.USABLE)])
        assert (missing.uri, missing.outcome) == ("b", Outcome.MISSING)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_a_vector_that_is_not_finite_is_refused_with_its_batch(
        self, engine: Engine, bad: float
    ) -> None:
        row = unit(1)
        row[0, 3] = bad
        batch = [
            PutItem(make_item("good"), (vectors(unit(1)),)),
            PutItem(make_item("bad"), (vectors(unit(1), row),)),
        ]
        with pytest.raises(StorageError, match="not finite"):
            engine.put(batch)
        assert engine.item("good", WIRE) is None
        assert engine.item("bad", WIRE) is None
        assert ask(engine, nearest(unit(1))) == []
        assert write(engine, make_item("good"), unit(1)) is Outcome.CREATED

    def test_a_vector_without_its_passage_is_refused(self, engine: Engine) -> None:
        odd = replace(vectors(unit(1), unit(0, 1)), passages=(Passage("body", 0, 1),))
        with pytest.raises(StorageError, match="1 passages have 2 vectors"):
            engine.put([PutItem(make_item("a"), (odd,))])
        assert write(engine, make_item("a"), unit(1)) is Outcome.CREATED
        assert ask(engine, nearest(unit(1))) == [("a", 1)]

    def test_half_a_character_is_refused_with_its_batch(self, engine: Engine) -> None:
        batch = [PutItem(make_item("good")), PutItem(make_item("bad", headline="\ud800"))]
        with pytest.raises(DatelineError):
            engine.put(batch)
        assert engine.item("good", WIRE) is None
        assert engine.put(batch[:1])[0].outcome is Outcome.CREATED

    @pytest.mark.timed
    def test_what_is_acknowledged_is_found(self, folder: Path, clock: SetClock) -> None:
        """By vector at once, by words within a second; taken away at once."""
        engine = self.open_live(folder, clock)
        try:
            for n in range(5):
                uri, word = f"urn:{n}", f"word{n}x"
                write(engine, make_item(uri, body=word))
                acknowledged = time.monotonic()
                assert ask(engine, nearest(vector_of(f"{uri}/1"), depth=1)) == [(uri, 1)]
                while uris(engine, Word(word)) != {uri}:
                    assert time.monotonic() - acknowledged < 1.0, "not found within a second"
                    time.sleep(0.01)
                change(engine, uri, pubstatus=PubStatus.CANCELED)
                assert uris(engine, Word(word)) == set()
                assert (uri, 1) not in ask(engine, nearest(vector_of(f"{uri}/1")))
        finally:
            engine.close()
