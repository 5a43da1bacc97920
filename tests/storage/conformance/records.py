"""What every storage engine promises to keep as it came; part of `EngineConformance`."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.items import Concept, Item, ItemType, MediaFile, PubStatus, Shot
from core.media_words import Look, SeenText, Utterance
from core.ports.engine import Engine
from core.query_tree import Word
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
    write,
)

FULL_ITEM = Item(
    uri="http://example.org/ütf/1?a=b&c",
    version=7,
    type=ItemType.PICTURE,
    versioncreated=datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
    firstcreated=datetime(2024, 2, 29, 1, 2, 3, 4, UTC),
    chain="story 9",
    language="pt-BR",
    pubstatus=PubStatus.USABLE,
    embargoed=datetime(2026, 1, 1, tzinfo=UTC),
    expires=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    urgency=4,
    headline="Head\u00a0line",
    description="A caption",
    body="Body\n\nwith lines\x00and controls\x1f",
    byline="By A. Writer",
    slugline="SLUG-1",
    located="PORTO",
    ednote="note",
    copyrightnotice="© 2026",
    usageterms="editorial",
    subject=(Concept("transport", "medtop:1"), Concept("no code")),
    person=(Concept("Ana Reyes", "p:1"),),
    organisation=(Concept("Lines"),),
    place=(Concept("Porto", "wd:1"),),
    products=("wire", "photos"),
    source={"deep": [1, 2.5, None, True, {"x": "🌍"}], "uri": "as it came"},
    media=MediaFile(
        "s3://bucket/a ü.mp4",
        "ab" * 32,
        "video/mp4",
        2**40,
        1920,
        1080,
        12.5,
        "t.jpg",
        "p.jpg",
        "f0",
    ),
    caption="Um cão corre em Porto",
    caption_by="model 1, prompt ab12",
    shots=(
        Shot(0.0, 4.04, 0, 100, "start", "A dog runs", "", 2.0, "k1.jpg", "0f"),
        Shot(4.04, 12.5, 101, 312, "gradual", "людина", "model 1, prompt ab12", 8.0, "k2.jpg"),
        Shot(12.5, 12.54, 313, 313),
    ),
    rights=("editorial", "Level 1"),
    speech=(
        Utterance(0.5, 2.25, "Obrigada a todos", ((0.5, 1.1, "Obrigada"), (1.1, 1.3, "a")), "pt"),
        Utterance(5.0, 6.0, "Спасибі"),
    ),
    speech_by="model 2",
    seen=(SeenText("CAIS 4", (0.1, 0.2, 0.3, 0.05), 4.04, 0.91),),
    seen_by="model 3",
    looks=(Look("golden retriever", 0.87), Look("lakeside, lakeshore", 0.5, 8.0)),
    looks_by="model 4",
)


class RecordConformance(EngineUnderTest):
    """Every member of an item, over a restart too."""

    def test_what_is_set_is_read_back(self, engine: Engine) -> None:
        write(engine, make_item("a"))
        change(engine, "a", embargoed=NOW - HOUR)
        read = engine.item("a", WIRE)
        assert read is not None
        assert read.embargoed == NOW - HOUR

    def test_every_member_is_read_back(self, engine: Engine) -> None:
        assert {entry.name for entry in fields(Item)} == set(FULL_ITEM.__slots__)
        default = make_item("plain")
        unset = {"uri", "version", "products", "pubstatus", "firstcreated", "language"}
        same = [
            entry.name
            for entry in fields(Item)
            if entry.name not in unset
            and getattr(FULL_ITEM, entry.name) == getattr(default, entry.name)
        ]
        assert same == [], "the full item must differ from a plain one in every member"
        write(engine, FULL_ITEM)
        assert engine.item(FULL_ITEM.uri, WIRE) == FULL_ITEM
        found = engine.retrieve(nearest(vector_of(f"{FULL_ITEM.uri}/7")))
        assert engine.items(found.ids, WIRE) == (FULL_ITEM,)

    def test_all_of_it_is_there_after_a_restart(self, folder: Path, clock: SetClock) -> None:
        engine = self.open(folder, clock)
        self.stories(engine, FULL_ITEM, make_item("a", headline="zebra"), make_item("b"))
        change(engine, "b", pubstatus=PubStatus.CANCELED)
        engine.close()
        engine = self.open(folder, clock)
        try:
            self.settle(engine)
            assert engine.item(FULL_ITEM.uri, WIRE) == FULL_ITEM
            assert engine.item("b", WIRE) is None
            assert uris(engine, Word("zebra")) == {"a"}
            assert ask(engine, nearest(vector_of("a/1")))[0] == ("a", 1)
            assert {uri for uri, _ in ask(engine, nearest(unit(1)))} == {"a", FULL_ITEM.uri}
        finally:
            engine.close()

    def test_ids_increase_and_stay(self, engine: Engine) -> None:
        seen: list[int] = []
        for uri in "abc":
            write(engine, make_item(uri), vector_of(uri))
            seen += engine.retrieve(nearest(vector_of(uri), depth=1)).ids.tolist()
        assert seen == sorted(set(seen))
        change(engine, "b", pubstatus=PubStatus.CANCELED)
        again = engine.retrieve(nearest(unit(1))).ids.tolist()
        assert sorted(again) == [seen[0], seen[2]]

    def test_the_whole_record_can_be_read(self, engine: Engine) -> None:
        if not hasattr(engine, "all_items"):
            pytest.fail("an engine exports its record: core.ports.engine.Exporter")
        written = [make_item("a", 1), make_item("b", 1, products=()), make_item("a", 2)]
        self.stories(engine, *written)
        change(engine, "b", pubstatus=PubStatus.CANCELED)
        killed = replace(written[1], pubstatus=PubStatus.CANCELED)
        assert list(engine.all_items()) == [written[0], killed, written[2]]
