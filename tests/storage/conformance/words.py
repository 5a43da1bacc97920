"""What every storage engine promises of words and phrases; part of `EngineConformance`."""

from __future__ import annotations

from core.items import Concept, ItemType, MediaFile
from core.media_words import Look, SeenText, Utterance
from core.ports.engine import Engine
from core.query_tree import Bool, Node, Nothing, Phrase, Prefix, Word
from tests.storage.conformance.engine_under_test import EngineUnderTest
from tests.storage.world import WIRE, any_of, ask, lexical, make_item, uris


class WordConformance(EngineUnderTest):
    """Which items a query finds, and BM25's order."""

    def test_bare_words_find_any_and_rank_by_rarity_and_number(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("both", body="ferry storm"),
            make_item("often", body="ferry ferry ferry cargo"),
            make_item("once", body="ferry cargo cargo cargo"),
            make_item("other", body="cargo cargo"),
        )
        ranked = [uri for uri, _ in ask(engine, lexical(any_of("ferry", "storm")))]
        assert ranked == ["both", "often", "once"]

    def test_stems(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", body="Floods are flooding the flooded plain."))
        for word in ("flood", "floods", "FLOODING", "flooded"):
            assert uris(engine, Word(word)) == {"a"}, word
        assert uris(engine, Word("floor")) == set()

    def test_each_language_has_its_stems(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("de", language="de-AT", body="Die Zeitungen schreiben"),
            make_item("es", language="es", body="las elecciones municipales"),
            make_item("xx", language="xx", body="Kodeksit"),
        )
        assert uris(engine, Word("Zeitung")) == {"de"}
        assert uris(engine, Word("elección")) == {"es"}
        assert uris(engine, Word("kodeksit")) == {"xx"}
        assert uris(engine, Word("kodeks")) == set()

    def test_accents_and_case_fold(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", headline="CAFÉ Öresund"))
        for word in ("cafe", "café", "oresund", "ÖRESUND"):
            assert uris(engine, Word(word)) == {"a"}, word

    def test_phrases(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("a", body="The prime minister resigned"),
            make_item("b", body="The minister of prime rate"),
            make_item("c", body="Prime time for the minister"),
        )
        assert uris(engine, Phrase("prime minister")) == {"a"}
        assert uris(engine, Phrase("prime ministers")) == {"a"}
        assert uris(engine, Phrase("minister prime")) == set()
        assert uris(engine, Phrase("prime minister", slop=3)) >= {"a", "c"}
        assert uris(engine, Phrase("minister")) == {"a", "b", "c"}

    def test_trees(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("fs", body="ferry storm"),
            make_item("f", body="ferry"),
            make_item("s", body="storm"),
            make_item("c", body="cargo"),
        )
        f, s, c = Word("ferry"), Word("storm"), Word("cargo")
        cases: list[tuple[Node, set[str]]] = [
            (Bool(must=(f, s)), {"fs"}),
            (Bool(should=(f, s)), {"fs", "f", "s"}),
            (Bool(must=(f,), must_not=(s,)), {"f"}),
            (Bool(should=(f, c), must_not=(s,)), {"f", "c"}),
            (Bool(must_not=(f,)), {"s", "c"}),
            (Bool(must=(f,), should=(s,)), {"fs", "f"}),
            (Bool(must=(Bool(should=(f, c)), Bool(should=(s, c)))), {"fs", "c"}),
            (Bool(must=(f, Bool(must_not=(s,)))), {"f"}),
            (Bool(must_not=(Bool(must=(f, s)),)), {"f", "s", "c"}),
            (Bool(), {"fs", "f", "s", "c"}),
            (Nothing(), set()),
            (Bool(must=(f, Nothing())), set()),
            (Bool(must=(f,), must_not=(Nothing(),)), {"fs", "f"}),
        ]
        for tree, wanted in cases:
            assert uris(engine, tree) == wanted, tree
            assert engine.retrieve(lexical(tree)).lexical_matches == len(wanted), tree

    def test_words_in_one_field(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("h", headline="zebra"),
            make_item("d", description="zebra"),
            make_item("b", body="zebra"),
            make_item("n", person=(Concept("Zebra Jones"),)),
        )
        assert uris(engine, Word("zebra")) == {"h", "d", "b", "n"}
        assert uris(engine, Word("zebra", "headline")) == {"h"}
        assert uris(engine, Word("zebra", "description")) == {"d"}
        assert uris(engine, Word("zebra", "body")) == {"b"}
        assert uris(engine, Phrase("zebra jones", "names")) == {"n"}
        assert uris(engine, Prefix("zeb", "body")) == {"b"}

    def test_words_found_in_media(self, engine: Engine) -> None:
        told = {"type": ItemType.VIDEO, "headline": ""}
        heard = (Utterance(1, 2, "Thank you all"), Utterance(2, 3, "and good night"))
        file = MediaFile("/in/ThankYou_2026.mp4", "ab" * 32, "video/mp4", 9)
        self.stories(
            engine,
            make_item("machine", speech=heard, speech_by="m", **told),
            make_item("script", speech=heard, **told),
            make_item("sign", seen=(SeenText("THANK YOU", (0, 0, 1, 1)),), seen_by="m", **told),
            make_item("look", looks=(Look("thank you card", 0.6),), looks_by="m", **told),
            make_item("file", media=file, **told),
            make_item("story", body="They thanked nobody"),
        )
        every = {"machine", "script", "sign", "look", "file"}
        for node, found in (
            (Phrase("thank you"), every),
            (Word("thank"), every | {"story"}),
            (Prefix("nigh"), {"machine", "script"}),
            (Word("thanks", "speech"), {"machine", "script"}),
            (Phrase("you all and", "speech"), {"machine", "script"}),
            (Prefix("nig", "speech"), {"machine", "script"}),
            (Phrase("thank you", "seen"), {"sign"}),
            (Prefix("thank", "looks"), {"look"}),
            (Word("2026", "filename"), {"file"}),
            (Word("night", "machine"), set()),
            (Bool(must=(Word("thank"),), must_not=(Word("thank", "speech"),)), {*every, "story"}),
        ):
            wanted = found - ({"machine", "script"} if isinstance(node, Bool) else set())
            assert uris(engine, node) == wanted, node
        assert engine.seen_counts(["night"], 3, WIRE) == (2,)
        assert engine.seen_counts(["card"], 3, WIRE, "looks") == (1,)
        ranked = [uri for uri, _ in ask(engine, lexical(Phrase("thank you")))]
        machines = [uri for uri in ranked if uri != "script"]
        assert (machines[0], machines[-1]) == ("machine", "file")

    def test_a_headline_counts_for_more(self, engine: Engine) -> None:
        self.stories(
            engine,
            make_item("body", headline="quiet morning", body="zebra seen"),
            make_item("head", headline="zebra seen", body="quiet morning"),
        )
        assert [uri for uri, _ in ask(engine, lexical(Word("zebra")))] == ["head", "body"]

    def test_a_boost_moves_a_word_up(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", body="ferry"), make_item("b", body="storm"))
        for word, first in (("ferry", "a"), ("storm", "b")):
            tree = Bool(
                should=tuple(Word(w, boost=9 if w == word else 1) for w in ("ferry", "storm"))
            )
            assert ask(engine, lexical(tree))[0] == (first, 1)

    def test_prefixes_are_of_words_not_of_stems(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", body="The ferry was running a re-election shuttle"))
        for prefix in ("ferry", "ferr", "fe", "runn", "RUNNING", "re-elect", "shuttl"):
            assert uris(engine, Prefix(prefix)) == {"a"}, prefix
        for prefix in ("ferries", "unning", "runnings", "co-elect"):
            assert uris(engine, Prefix(prefix)) == set(), prefix

    def test_a_prefix_is_no_pattern(self, engine: Engine) -> None:
        self.stories(engine, make_item("a", body="ferry"))
        for prefix in (
            ".*",
            "f.*",
            "fe|xx",
            "[a-z]+",
            "(",
            "fe\\",
            "🌍",
            "⑴⒜",
            "\U00018d80x",
            "a_b",
        ):
            assert uris(engine, Prefix(prefix)) in (set(), {"a"}), prefix
        assert uris(engine, Prefix("fxx.*")) == set()
