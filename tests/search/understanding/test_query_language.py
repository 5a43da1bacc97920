"""The language of a query, and which encoders have a say on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import QueryError
from core.items import FloatMatrix, ItemType, Passage, PassageVectors
from core.languages.scripts import NAMES
from core.query_tree import EVERYTHING
from core.retrieval import Retrieved, VectorScores
from core.writes import PutItem
from search.answers import SearchRequest, SearchResponse
from search.pipeline import Parts, SearchPipeline
from search.profiles import MULTILINGUAL, profile_named, standard_profiles
from search.ranking import fuse
from search.understanding.encoder_languages import silent_fields, unread_language
from search.understanding.understand import Understanding
from storage.embedded.engine import EmbeddedEngine, EmbeddedSettings
from storage.words.text_analysis import Analysis
from storage.words.told_languages import language_of_query
from tests.demo_service import ROOT
from tests.search.case_table import Row, read_cases
from tests.search.room import READER, START, HashingEncoder, story

CASES = read_cases(Path(__file__).with_name("language_cases.md"))
TOLD = language_of_query
FIELDS = ("text", "second")
READ = {"text": ("en",), "second": ("mul",)}
STORIES = {
    "hundido": ("es", "Un barco se hundió frente a la costa"),
    "sunk": ("en", "A ferry was lost off the coast"),
    "bank": ("en", "The bank raises its rates"),
    "banco": ("es-MX", "El banco sube los tipos"),
    "unknown": ("", "Barco"),
    "liga": ("en", "La Liga de Madrid"),
}


class OtherEncoder(HashingEncoder):
    """Another space than the first one's."""

    name = "many"
    digest = "hashed-many"


@pytest.mark.parametrize("row", CASES, ids=str)
def test_the_language_of_a_query(row: Row) -> None:
    assert TOLD(row.cells["query"]) == row.cells["language"].replace("–", "")


def test_the_demo_s_spanish_queries_are_told() -> None:
    examples = json.loads((ROOT / "datasets/demo/examples.json").read_text("utf-8"))
    spanish = [one["q"] for one in examples if "Spanish" in one["label"]]
    assert len(spanish) >= 2
    assert [TOLD(query) for query in spanish] == ["es"] * len(spanish)
    told = Understanding(None, languages=("en",), told_by=TOLD)
    said = [told.understand(query).said for query in spanish]
    assert all(any("multilingual" in note for note in one.notes) for one in said)
    kinds = [span.types for one in said for span in one.kinds]
    assert kinds == [(ItemType.PICTURE,)]
    assert [date.text for one in said for date in one.dates] == ["en marzo de 2026"]


def test_every_language_has_a_name() -> None:
    assert {row.cells["language"] for row in CASES} - {"–"} <= set(NAMES)


def test_an_encoder_that_does_not_read_a_language_has_no_say_beside_one_that_does() -> None:
    assert silent_fields("es", READ) == ("text",)
    assert silent_fields("en", READ) == ()
    assert silent_fields("", READ) == ()
    assert silent_fields("es", {"text": ("en",), "second": ("en",)}) == ()  # nobody else could
    assert silent_fields("es", {"text": (), "second": ("mul",)}) == ()  # not known
    assert not unread_language("barco", "es", EVERYTHING, ("en", "mul"))
    assert unread_language("el barco", "es", EVERYTHING, ("en",))


def test_multilingual_is_there_with_an_encoder_for_many_languages_only() -> None:
    assert MULTILINGUAL not in standard_profiles(FIELDS)
    found = standard_profiles(FIELDS, ("second",))[MULTILINGUAL]
    assert found.foreign_share < 1
    with pytest.raises(QueryError) as caught:
        profile_named(standard_profiles(FIELDS), MULTILINGUAL)
    assert "multilingual-e5-small-q4" in caught.value.mend


def candidates() -> Retrieved:
    def part(cosines: list[float], weight: float) -> VectorScores:
        values = np.array(cosines, np.float32)
        return VectorScores("second", weight, values, np.zeros(3, np.int32), values > 0, 0.0)

    bm25 = np.array([2.0, np.nan, 1.0], np.float32)
    ranks = np.array([1, 0, 2], np.int32)
    return Retrieved(np.arange(3), bm25, ranks, 2, (part([0.5, 1.0, 0.5], 0.5),))


def test_words_count_less_for_an_item_in_another_language() -> None:
    profile = standard_profiles(FIELDS, ("second",))[MULTILINGUAL]
    foreign = np.array([False, True, True])
    for share in (0.0, 0.25, 1.0):
        weighed = replace(profile, foreign_share=share)
        fused = fuse(candidates(), weighed, None, foreign)
        expected = [
            0.5 + 0.25,
            0.5 + 0.5 * (1 - share),
            0.25 + 0.5 * (share * 0.5 + (1 - share) / 2),
        ]
        assert fused.scores.tolist() == pytest.approx(expected)
        whole = fused.lexical * fused.weights[0] + fused.vectors[0] * fused.weights[1]
        assert fused.scores.tolist() == pytest.approx(whole.tolist())  # what explanations add up


Ask = Callable[..., SearchResponse]


@contextmanager
def archive_of(
    folder: Path, stories: Mapping[str, tuple[str, str]], second: HashingEncoder
) -> Iterator[Ask]:
    """Asks an archive of stories, each with its language, with an English encoder and a second one
    for many languages.
    """
    first = HashingEncoder()
    spaces = {"text": first.digest, "second": second.digest}
    engine = EmbeddedEngine(EmbeddedSettings(folder, spaces, background=False), lambda: START)
    for uri, (language, text) in stories.items():
        item = replace(story(uri, body=text), language=language)
        passages = (Passage("body", 0, len(text)),)
        vectors = tuple(
            PassageVectors(field, encoder.digest, passages, encoder.encode_passages([text]))
            for field, encoder in (("text", first), ("second", second))
        )
        engine.put([PutItem(item, vectors)])
    engine.catch_up()
    pipeline = SearchPipeline(
        Parts(
            engine=engine,
            encoders={"text": first, "second": second},
            understanding=Understanding(None, engine, languages=("en",), told_by=TOLD),
            analysis=Analysis(),
            profiles=standard_profiles(FIELDS, ("second",)),
            default_profile=MULTILINGUAL,
            languages=READ,
        )
    )
    yield lambda q="", profile=MULTILINGUAL, **members: pipeline.search(
        SearchRequest(q, explain=True, profile=profile, **members), READER
    )
    engine.close()


@pytest.fixture
def ask(folder: Path) -> Iterator[Ask]:
    """Asks an archive in two languages."""
    with archive_of(folder, STORIES, OtherEncoder()) as asking:
        yield asking


def fields_of(answer: SearchResponse) -> set[str]:
    found = {
        share.field for hit in answer.hits if hit.explanation for share in hit.explanation.vectors
    }
    assert found or not answer.hits
    return found


def test_the_answer_says_who_has_no_say(ask: Ask) -> None:
    spanish = ask("el barco en la costa")
    assert spanish.understood.language == "es"
    assert fields_of(spanish) == {"second"}
    assert any("no say" in note for note in spanish.understood.notes)
    assert {hit.item.uri for hit in spanish.hits} == set(STORIES)
    english = ask("the ferry off the coast")
    assert english.understood.language == "en"
    assert fields_of(english) == set(FIELDS)
    assert not english.understood.notes
    names = ask("Angela Merkel")
    assert names.understood.language == ""
    assert fields_of(names) == set(FIELDS)


def test_a_pasted_text_is_read_in_its_language(ask: Ask) -> None:
    spanish = ask(text="El barco de la compañía se hundió en la costa de la isla. La mar es así.")
    assert spanish.understood.language == "es"
    assert fields_of(spanish) == {"second"}
    assert any("no say" in note for note in spanish.understood.notes)
    assert not {"la", "el", "de"} & set(spanish.understood.lexical.casefold().split())
    english = ask(text="The ferry of the company was lost off the coast of the island.")
    assert (english.understood.language, fields_of(english)) == ("en", set(FIELDS))


def test_an_item_is_compared_by_the_encoders_that_read_it(ask: Ask) -> None:
    for uri, language, fields in (
        ("hundido", "es", {"second"}),
        ("banco", "es", {"second"}),
        ("sunk", "en", set(FIELDS)),
        ("unknown", "", set(FIELDS)),
    ):
        answer = ask(similar_to=uri)
        assert (answer.understood.language, fields_of(answer)) == (language, fields)
    assert fields_of(ask(similar_to="hundido", profile="hybrid")) == {"text"}


def test_stop_words_of_the_query_s_language_do_not_rank_in_a_mixed_archive(
    ask: Ask,
) -> None:
    def by_words(query: str) -> set[str]:
        found = ask(query).hits
        return {hit.item.uri for hit in found if hit.explanation and hit.explanation.bm25}

    assert by_words("el barco de la costa") == {"hundido", "unknown"}
    assert "liga" in by_words("de la")  # nothing else is asked for
    assert "liga" in by_words("Liga")


def test_where_no_encoder_reads_the_query_the_answer_says_what_to_do(
    ask: Ask,
) -> None:
    answer = ask("el barco en la costa", "hybrid")
    assert fields_of(answer) == {"text"}
    assert any("multilingual" in note for note in answer.understood.notes)


def test_only_items_in_another_language_are_weighed_otherwise(
    ask: Ask,
) -> None:
    found = {hit.item.uri: hit.explanation for hit in ask("el banco sube los tipos").hits}
    for uri in ("banco", "hundido", "unknown"):  # es-MX, es, not known
        told = found[uri]
        assert told is not None
        assert told.bm25_normalized == pytest.approx(
            (told.bm25 or 0.0) / max(each.bm25 or 0.0 for each in found.values() if each), abs=1e-5
        )
    foreign = found["bank"]
    assert foreign is not None
    assert foreign.bm25 is None
    share = standard_profiles(FIELDS, ("second",))[MULTILINGUAL].foreign_share
    assert foreign.bm25_normalized == pytest.approx(
        (1 - share) * foreign.vectors[0].normalized, abs=1e-5
    )


PAIRS = {
    "ferry-es": ("es", "Un barco se hundió frente a la costa griega"),
    "ferry-en": ("en", "A ferry sank off the Greek coast"),
    "bank-es": ("es", "El banco central sube los tipos de interés"),
    "bank-en": ("en", "The central bank raises its interest rates"),
    "vote-es": ("es", "El presidente gana las elecciones francesas"),
    "vote-en": ("en", "The president wins the French elections"),
    "fire-es": ("es", "Un incendio destruye el bosque portugués"),
    "fire-en": ("en", "A fire destroys the Portuguese forest"),
}
_SAME = """
    ferry barco schiff | sank hundió gesunken | coast costa küste | bank banco | forest bosque forêt
    | raises sube erhöht | rates tipos zinsen | wins gana gewinnt gagne | fire incendio incendie
    | elections elecciones wahlen élections
"""
_FIRST = {word: group.split()[0] for group in _SAME.split("|") for word in group.split()}


class ReadsMany(OtherEncoder):
    """What means the same has the same vector; a word that it does not know has no part in it."""

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        known = (
            [_FIRST[word] for word in text.casefold().split() if word in _FIRST] for text in texts
        )
        return super().encode_passages([" ".join(words) for words in known])


@pytest.mark.parametrize(
    ("question", "about"),
    [
        ("¿Qué barco se hundió en la costa?", "ferry"),
        ("which ferry sank off the coast", "ferry"),
        ("welches Schiff ist vor der Küste gesunken", "ferry"),
        ("el banco sube los tipos", "bank"),
        ("why the bank raises its rates", "bank"),
        ("die Bank erhöht die Zinsen", "bank"),
        ("¿Quién gana las elecciones?", "vote"),
        ("wer gewinnt die Wahlen in Frankreich", "vote"),
        ("qui gagne les élections en France", "vote"),
        ("el incendio del bosque", "fire"),
        ("un incendie dans la forêt", "fire"),
    ],
)
def test_both_languages_of_a_mixed_archive_come_up(folder: Path, question: str, about: str) -> None:
    with archive_of(folder, PAIRS, ReadsMany()) as asking:
        found = asking(question)
        assert {hit.item.uri for hit in found.hits[:2]} == {f"{about}-es", f"{about}-en"}
        assert found.understood.language == TOLD(question) != ""


def test_only_an_encoder_that_reads_it_has_a_say_on_an_item_in_another_language(
    folder: Path,
) -> None:
    with archive_of(folder, PAIRS, ReadsMany()) as asking:
        for hit in asking("the ferry sank off the coast").hits:
            assert hit.explanation is not None
            first, second = hit.explanation.vectors
            assert (first.weight, second.weight) == pytest.approx((0.35, 0.15))
            if hit.item.language == "es":
                assert first.normalized == pytest.approx(second.normalized)
