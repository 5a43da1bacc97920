"""The profile `best`: BM25 and two vector fields of the same passages, by two encoders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from core.errors import QueryError
from core.items import FloatMatrix, Item, Passage, PassageVectors
from core.ports.models import TextEncoder
from core.writes import PutItem
from search.answers import Explanation, SearchRequest, SearchResponse
from search.pipeline import Parts, SearchPipeline
from search.profiles import Profile, profile_named, standard_profiles
from search.understanding.understand import Understanding
from storage.embedded.beside import Beside
from storage.embedded.engine import EmbeddedEngine, EmbeddedSettings
from storage.words.text_analysis import Analysis
from tests.search.room import READER, START, FailingEncoder, HashingEncoder, story, uris

FIELDS = ("text", "second")
TEXTS = {
    "ferry": "The ferry sails to the islands after the storm",
    "storm": "Storm stops the ferry in the harbour",
    "bank": "The bank raises its rates",
}


class SecondEncoder(HashingEncoder):
    """Another space: a text's vector is that of its first and last word, so it ranks otherwise."""

    name = "ends"
    digest = "hashed-ends"

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        ends = [" ".join((text.split()[0], text.split()[-1])) for text in texts]
        return super().encode_passages(ends)


FIRST, SECOND = HashingEncoder(), SecondEncoder()
Ask = Callable[..., SearchResponse]


def embedded(item: Item, field: str, encoder: TextEncoder) -> PassageVectors:
    passages = (Passage("body", 0, len(item.body)),)
    return PassageVectors(field, encoder.digest, passages, encoder.encode_passages([item.body]))


def write(engine: EmbeddedEngine, uri: str, text: str, *fields: str) -> None:
    """A story with vectors in `fields` only."""
    item = story(uri, body=text)
    encoders: Mapping[str, TextEncoder] = {"text": FIRST, "second": SECOND}
    vectors = tuple(embedded(item, field, encoders[field]) for field in fields)
    engine.put([PutItem(item, vectors)])
    engine.catch_up()


@pytest.fixture
def engine(folder: Path) -> Iterator[EmbeddedEngine]:
    spaces = {"text": FIRST.digest, "second": SECOND.digest}
    engine = EmbeddedEngine(EmbeddedSettings(folder, spaces, background=False), lambda: START)
    for uri, text in TEXTS.items():
        write(engine, uri, text, *FIELDS)
    yield engine
    engine.close()


def asking(engine: EmbeddedEngine, first: TextEncoder = FIRST, second: TextEncoder = SECOND) -> Ask:
    """Asks a pipeline over both fields."""
    pipeline = SearchPipeline(
        Parts(
            engine=engine,
            encoders={"text": first, "second": second},
            understanding=Understanding(None, engine),
            analysis=Analysis(),
            profiles=standard_profiles(FIELDS),
            default_profile="hybrid",
        )
    )

    def ask(q: str, **members: object) -> SearchResponse:
        request = replace(SearchRequest(q, explain=True), **members)  # type: ignore[arg-type]
        return pipeline.search(request, READER)

    return ask


def why(answer: SearchResponse, uri: str) -> Explanation:
    (found,) = (hit.explanation for hit in answer.hits if hit.item.uri == uri)
    assert found is not None
    return found


def weights(found: Explanation) -> dict[str, float]:
    shares = {share.field: round(share.weight, 6) for share in found.vectors}
    return {"bm25": round(found.lexical_weight, 6), **shares}


def test_best_is_there_with_a_second_field_only_and_changes_no_other_profile() -> None:
    one, two = standard_profiles(("text",)), standard_profiles(FIELDS)
    assert set(two) - set(one) == {"best"}
    assert {name: two[name] for name in one} == one
    assert two["best"].lexical_weight == 0.5
    assert two["best"].vector_weights == {"text": 0.25, "second": 0.25}
    assert two["best"].vector_starts == {"second": 0.5}
    mixed = standard_profiles(FIELDS, ("second",))  # other cosines: each encoder has its own
    assert mixed["best"].vector_starts == mixed["multilingual"].vector_starts == {}
    changed: Profile = two["best"].with_lexical_weight(0.4)
    assert changed.vector_weights == pytest.approx({"text": 0.3, "second": 0.3})


def test_without_a_second_field_the_error_names_the_setting() -> None:
    with pytest.raises(QueryError, match="second vector field") as caught:
        profile_named(standard_profiles(("text",)), "best")
    assert "second_encoder" in caught.value.mend
    assert "hybrid" in caught.value.mend


def test_a_hit_is_the_sum_of_its_three_shares(engine: EmbeddedEngine) -> None:
    answer = asking(engine)("ferry storm", profile="best")
    assert answer.degraded == ()
    for hit in answer.hits:
        found = why(answer, hit.item.uri)
        assert weights(found) == {"bm25": 0.5, "text": 0.25, "second": 0.25}
        parts = [share.normalized * share.weight for share in found.vectors]
        whole = found.bm25_normalized * found.lexical_weight + sum(parts)
        assert found.fused == pytest.approx(whole, abs=1e-6)
    text, second = why(answer, "ferry").vectors
    query, passage = FIRST.encode_passages(["ferry storm", TEXTS["ferry"]])
    assert text.cosine == pytest.approx(float(query @ passage), abs=2e-3)
    assert second.cosine != pytest.approx(text.cosine, abs=2e-2)


@pytest.mark.parametrize("profile", ["hybrid", "hybrid-rrf", "vector", "breaking"])
def test_other_profiles_ask_the_first_field_alone(engine: EmbeddedEngine, profile: str) -> None:
    answer = asking(engine, second=FailingEncoder())("ferry storm", profile=profile)
    assert answer.degraded == ()
    assert [share.field for share in why(answer, "ferry").vectors] == ["text"]


@pytest.mark.parametrize(("broken", "left"), [("text", "second"), ("second", "text")])
def test_an_encoder_that_fails_leaves_its_weight_to_the_other(
    engine: EmbeddedEngine, broken: str, left: str
) -> None:
    failing = {("first" if broken == "text" else "second"): FailingEncoder()}
    answer = asking(engine, **failing)("ferry storm", profile="best")
    assert answer.degraded == (f"vectors: the encoder of field {broken} failed, RuntimeError",)
    assert weights(why(answer, "ferry")) == {"bm25": 0.5, left: 0.5}
    if left == "text":
        same = asking(engine)("ferry storm", profile="hybrid")
        assert uris(answer) == uris(same)
        assert [hit.score for hit in answer.hits] == [hit.score for hit in same.hits]


def test_where_both_fail_words_answer_alone(engine: EmbeddedEngine) -> None:
    answer = asking(engine, FailingEncoder(), FailingEncoder())("ferry storm", profile="best")
    assert [flag.split(" failed")[0] for flag in answer.degraded] == [
        "vectors: the encoder of field text",
        "vectors: the encoder of field second",
    ]
    assert weights(why(answer, "ferry")) == {"bm25": 1.0}
    assert set(uris(answer)) == {"ferry", "storm"}


def test_until_a_field_is_whole_the_first_answers_alone_and_says_so(engine: EmbeddedEngine) -> None:
    write(engine, "late", "A ferry in a storm", "text")
    ask = asking(engine, second=FailingEncoder())  # it is not asked
    answer, same = ask("ferry storm", profile="best"), ask("ferry storm", profile="hybrid")
    (flag,) = answer.degraded
    assert flag.startswith("vectors: field second lacks 1 of 4 items")
    assert "dateline embed" in flag
    assert weights(why(answer, "late")) == {"bm25": 0.5, "text": 0.5}
    assert [(hit.item.uri, hit.score) for hit in answer.hits] == [
        (hit.item.uri, hit.score) for hit in same.hits
    ]
    assert same.degraded == ()
    engine.add_vectors(
        {
            number: embedded(item, "second", SECOND)
            for number, item in engine.lacking("second", 0, 9).items()
        }
    )
    whole = asking(engine)("ferry storm", profile="best")
    assert whole.degraded == ()
    assert weights(why(whole, "late")) == {"bm25": 0.5, "text": 0.25, "second": 0.25}


def test_what_both_fields_lack_takes_no_field_out(engine: EmbeddedEngine) -> None:
    write(engine, "bare", "A ferry in a storm")
    answer = asking(engine)("ferry storm", profile="best")
    assert [flag.split(" of ")[0] for flag in answer.degraded] == [
        "vectors: field text lacks 1",
        "vectors: field second lacks 1",
    ]
    assert weights(why(answer, "ferry")) == {"bm25": 0.5, "text": 0.25, "second": 0.25}


def test_the_encoders_of_a_query_work_side_by_side(engine: EmbeddedEngine) -> None:
    both = Barrier(2)

    class Meeting(HashingEncoder):
        def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
            both.wait(30)  # broken where the other encoder waits for this one
            return super().encode_queries(texts)

    engine._beside = Beside(cores=2)
    answer = asking(engine, Meeting(), Meeting())("ferry storm", profile="best")
    assert answer.degraded == ()


def test_more_like_this_takes_the_means_of_both_fields(engine: EmbeddedEngine) -> None:
    answer = asking(engine)("", similar_to="ferry", profile="best")
    assert answer.degraded == ()
    assert uris(answer)[0] == "storm"
    shares = {share.field: share.cosine for share in why(answer, "storm").vectors}
    spaces = {"text": FIRST, "second": SECOND}
    for field, encoder in spaces.items():
        one, other = encoder.encode_passages([TEXTS["ferry"], TEXTS["storm"]])
        assert shares[field] == pytest.approx(float(np.dot(one, other)), abs=2e-3)
