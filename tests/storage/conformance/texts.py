"""What every storage engine promises of texts of every kind; part of `EngineConformance`."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.items import Concept
from core.ports.engine import Engine
from core.query_tree import Bool, Phrase, Prefix, Word
from tests.conftest import new_folder
from tests.storage import model
from tests.storage.conformance.engine_under_test import PROPERTY, EngineUnderTest
from tests.storage.world import (
    WIRE,
    SetClock,
    ask,
    lexical,
    make_item,
    nearest,
    unit,
    uris,
    vector_of,
)


class TextConformance(EngineUnderTest):
    """Any text is kept, found and asked for."""

    @pytest.mark.parametrize(
        ("text", "word"),
        [
            ("", ""),
            (" \n\t", ""),
            ("zebra " * 170_000, "zebra"),
            ("x" * 1_000_000 + " zebra", "zebra"),
            ("null\x00zebra\x00 \x1b[31m \x7f", "zebra"),
            ("القمة تبدأ اليوم في القاهرة", "القاهرة"),
            ("\u202eשלום עולם\u202c", "עולם"),
            ("👩‍🚀 zebra🦓 🌍🌍", "zebra"),
            ("e\u0301clair zebra", "zebra"),
            ("\ufeffzebra\u2028\u2029\ud7ff\ue000\uffff", "zebra"),
            ("x'); DROP TABLE items;-- zebra", "drop"),
        ],
        ids=lambda text: repr(text[:20]),
    )
    def test_a_text_is_kept_and_found(self, engine: Engine, text: str, word: str) -> None:
        item = make_item(
            "a",
            headline=text,
            body=text,
            description=text,
            byline=text,
            person=(Concept(text[:1000]),),
            source={"text": text},
        )
        self.stories(engine, item, make_item("b", body="other"))
        assert engine.item("a", WIRE) == item
        if word:
            assert uris(engine, Word(word)) == {"a"}
            assert uris(engine, Word(word, "headline")) == {"a"}
        assert ask(engine, nearest(vector_of("a/1")))[0] == ("a", 1)

    @PROPERTY
    @given(st.lists(st.text(max_size=80), min_size=1, max_size=4), st.sampled_from(model.LANGUAGES))
    def test_any_text_at_all(self, texts: list[str], language: str) -> None:
        """What was written is read back, and asking for it raises nothing."""
        folder = new_folder()
        engine = self.open(folder, SetClock())
        try:
            items = [
                make_item(f"{n}", language=language, headline=text, slugline=text)
                for n, text in enumerate(texts)
            ]
            self.stories(engine, *items)
            for item in items:
                assert engine.item(item.uri, WIRE) == item
                for node in (Word(item.headline), Phrase(item.headline), Prefix(item.headline)):
                    engine.retrieve(lexical(node))
                    engine.retrieve(nearest(unit(1), query=Bool(must=(node,))))
        finally:
            engine.close()
            shutil.rmtree(folder)
