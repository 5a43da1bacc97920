"""The model endpoints over the bundled models: the published shapes, limits, and clear refusals."""

from __future__ import annotations

import base64
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import ValidationError

from api.access.checks import with_few_unknown
from api.models.bodies import EmbeddingsAnswer, EmbeddingsBody, RerankAnswer, TagAnswer, TagBody
from api.models.served_models import ServedModels
from api.problems import problem_of
from core.errors import BusyError, UnavailableError
from core.items import FloatMatrix
from tests.api.models.model_service import KEY, bundled_models, serving_models

TEXTS = ["A ferry ran aground off Kalymira.", "", "Banks raise rates 🌍 مرحبا"]
QUERY = "ferry accident"
DOCUMENTS = ["Banks raise rates.", "A ferry ran aground.", "The storm closed the port."]


def post(http: httpx.Client, path: str, body: Any) -> Any:
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(http: httpx.Client, path: str, body: Any, status: int = 400) -> str:
    """What the client is told, in whichever shape."""
    answer = http.post(path, json=body)
    assert answer.status_code == status, answer.text
    told = answer.json()
    error: dict[str, str] = told.get("error", told)
    return error["message"] + error.get("mend", "")


# --- embeddings


def test_embeddings_are_the_encoder_s_own(http: httpx.Client, models: ServedModels) -> None:
    assert models.encoder is not None
    answer = post(http, "/v1/embeddings", {"model": models.encoder.name, "input": TEXTS})
    EmbeddingsAnswer.model_validate(answer)
    assert [entry["index"] for entry in answer["data"]] == [0, 1, 2]
    found = np.array([entry["embedding"] for entry in answer["data"]], np.float32)
    assert np.array_equal(found, models.encoder.port.encode_passages(TEXTS))
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-3)


def test_base64_is_little_endian_float32_of_the_same_vectors(http: httpx.Client) -> None:
    numbers = post(http, "/v1/embeddings", {"input": TEXTS, "encoding_format": "float"})
    coded = post(http, "/v1/embeddings", {"input": TEXTS, "encoding_format": "base64"})
    for plain, packed in zip(numbers["data"], coded["data"], strict=True):
        row = np.frombuffer(base64.b64decode(packed["embedding"]), "<f4")
        assert np.array_equal(row, np.array(plain["embedding"], np.float32))


def test_one_text_may_stand_alone(http: httpx.Client) -> None:
    one = post(http, "/v1/embeddings", {"input": TEXTS[0]})
    many = post(http, "/v1/embeddings", {"input": [TEXTS[0]]})
    assert len(one["data"]) == 1
    assert one == many


def test_usage_counts_the_tokens_that_are_read(http: httpx.Client, models: ServedModels) -> None:
    assert models.encoder is not None
    short = post(http, "/v1/embeddings", {"input": "ferry"})
    assert short["usage"] == {"prompt_tokens": 3, "total_tokens": 3}  # [CLS] ferry [SEP]
    assert short["warnings"] == []
    long = post(http, "/v1/embeddings", {"input": ["ferry", "ferry " * 10_000]})
    assert long["usage"]["total_tokens"] == 3 + models.encoder.longest
    assert "input 1 was read" in long["warnings"][0]


def test_the_model_s_own_dimension_may_be_named(http: httpx.Client) -> None:
    assert post(http, "/v1/embeddings", {"input": "x", "dimensions": 384})["data"]
    assert "384" in refused(http, "/v1/embeddings", {"input": "x", "dimensions": 256})


# --- rerank


def test_rerank_orders_by_the_scorer_s_own_scores(http: httpx.Client, models: ServedModels) -> None:
    assert models.scorer is not None
    answer = post(http, "/v1/rerank", {"query": QUERY, "documents": DOCUMENTS})
    RerankAnswer.model_validate(answer)
    scores = models.scorer.port.score([QUERY] * 3, DOCUMENTS)[:, 0]
    assert [entry["index"] for entry in answer["results"]] == list(np.argsort(-scores))
    assert answer["results"][0]["index"] == 1
    for entry in answer["results"]:
        assert entry["score"] == scores[entry["index"]]
        assert entry["relevance_score"] == pytest.approx(1 / (1 + np.exp(-entry["score"])))
    assert "document" not in answer["results"][0]
    assert answer["id"]


def test_rerank_takes_objects_and_gives_the_best_few(http: httpx.Client) -> None:
    body = {
        "model": "bge-small-en-v1.5",
        "query": QUERY,
        "documents": [{"text": text} for text in DOCUMENTS],
        "top_n": 2,
        "return_documents": True,
    }
    results = post(http, "/v1/rerank", body)["results"]
    assert len(results) == 2
    assert results[0]["document"] == {"text": DOCUMENTS[1]}


def test_a_document_cut_by_tokens_is_said(http: httpx.Client) -> None:
    documents = ["ferry " * 30 + "bank " * 30, "ferry"]
    body = {"query": QUERY, "documents": documents, "max_tokens_per_doc": 30}
    cut = post(http, "/v1/rerank", body)
    assert cut["meta"]["truncated"] == [0]
    assert "document 0" in cut["meta"]["warnings"][0]
    whole = post(http, "/v1/rerank", {"query": QUERY, "documents": ["ferry " * 30, "ferry"]})
    assert whole["meta"]["truncated"] == []
    by_index = {entry["index"]: entry["score"] for entry in cut["results"]}
    assert by_index == {entry["index"]: entry["score"] for entry in whole["results"]}


def test_a_pair_put_to_fewer_tokens_is_said(http: httpx.Client) -> None:
    body = {"query": QUERY, "documents": ["ferry " * 60, "ferry"], "max_tokens_per_pair": 16}
    answer = post(http, "/v1/rerank", body)
    assert answer["meta"]["truncated"] == [0]
    # The query is read once, the first document cut, the second one whole.
    assert answer["meta"]["tokens"]["input_tokens"] == 4 + 16 + 3


def test_a_query_that_is_read_apart_and_cut_is_said_and_counted() -> None:
    """By late interaction, which ships; a query of a megabyte went unsaid."""
    with serving_models(bundled_models("all-MiniLM-L6-v2")) as http:
        for asked, tokens in ((None, 256), (48, 48)):
            query = "ferry " * (300 if asked else 170_000)
            limit = {} if asked is None else {"max_tokens_per_pair": asked}
            body = {"query": query, "documents": ["quay"], **limit}
            meta = post(http, "/v1/rerank", body)["meta"]
            assert meta["warnings"] == ["Not all of the query was read: too long."]
            assert (meta["query_truncated"], meta["truncated"]) == (True, [])
            assert meta["tokens"]["input_tokens"] == tokens + 3
        body = {"query": "ferry", "documents": ["quay"]}
        short = post(http, "/v1/rerank", body)["meta"]
        assert (short["query_truncated"], short["warnings"]) == (False, [])
        assert short["tokens"]["input_tokens"] == 3 + 3


def test_a_query_that_is_cut_in_a_pair_is_said_once(http: httpx.Client) -> None:
    meta = post(http, "/v1/rerank", {"query": "ferry " * 300, "documents": ["quay"] * 3})["meta"]
    assert meta["warnings"] == ["Not all of the query was read: too long."]
    assert (meta["query_truncated"], meta["truncated"]) == (True, [])


# --- what is empty


def test_empty_inputs_are_answered_and_said(http: httpx.Client) -> None:
    answer = post(http, "/v1/embeddings", {"input": ["ferry", "", " \n"]})
    assert len(answer["data"]) == 3
    assert answer["warnings"] == ["Inputs 1, 2 are empty (counted from 0)."]
    alone = post(http, "/v1/embeddings", {"input": ""})
    assert alone["data"][0]["embedding"]
    assert alone["warnings"] == ["Input 0 is empty (counted from 0)."]


def test_an_empty_query_and_empty_documents_are_scored_and_said(http: httpx.Client) -> None:
    answer = post(http, "/v1/rerank", {"query": "", "documents": ["ferry", "", "quay"]})
    assert len(answer["results"]) == 3
    assert answer["meta"]["warnings"] == [
        "The query is empty.",
        "Document 1 is empty (counted from 0).",
    ]
    many = post(http, "/v1/rerank", {"query": "ferry", "documents": [{"text": ""}] * 40})
    (warning,) = many["meta"]["warnings"]
    assert warning.endswith("8, 9 and 30 more are empty (counted from 0).")


# --- tags


def test_tags_stand_where_they_say(http: httpx.Client, models: ServedModels) -> None:
    assert models.tagger is not None
    texts = ["Angela Merkel met Siemens 🌍 in Berlin", "", "nothing here"]
    answer = post(http, "/v1/tag", {"texts": texts})
    TagAnswer.model_validate(answer)
    assert len(answer["results"]) == 3
    for text, found in zip(texts, answer["results"], strict=True):
        for name in found:
            assert text[name["start"] : name["end"]] == name["text"]
            assert 0 <= name["score"] <= 1
    assert ("Berlin", "LOC") in {(n["text"], n["label"]) for n in answer["results"][0]}
    local = models.tagger.port.tag(texts)
    assert [[name["text"] for name in found] for found in answer["results"]] == [
        [entity.text for entity in entities] for entities in local
    ]


def test_a_text_longer_than_is_tagged_is_said(http: httpx.Client) -> None:
    answer = post(http, "/v1/tag", {"texts": ["a " * 11_000, "Berlin"]})
    assert "text 0" in answer["warnings"][0]
    assert post(http, "/v1/tag", {"texts": ["Berlin"]})["warnings"] == []


# --- what is refused


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/embeddings", {}, "input"),
        ("/v1/embeddings", {"input": []}, "input"),
        ("/v1/embeddings", {"input": [None]}, "input.0"),
        ("/v1/embeddings", {"input": "x", "encoding_format": "hex"}, "encoding_format"),
        ("/v1/embeddings", {"input": "x", "input_type": "image"}, "input_type"),
        ("/v1/embeddings", {"input": ["ferry", 4]}, "input.1"),
        ("/v1/embeddings", {"input": [[1.5]]}, "input.0"),
        ("/v1/rerank", {"documents": ["x"]}, "query"),
        ("/v1/rerank", {"query": "x", "documents": []}, "documents"),
        ("/v1/rerank", {"query": "x", "documents": [{"title": "y"}]}, "documents.0"),
        ("/v1/rerank", {"query": "x", "documents": ["y"], "top_n": 0}, "top_n"),
        ("/v1/rerank", {"query": ["x"], "documents": ["y"]}, "query"),
        ("/v1/tag", {"texts": "Berlin"}, "texts"),
        ("/v1/tag", {"texts": [["Berlin"]]}, "texts.0"),
    ],
)
def test_a_wrong_member_is_named(
    http: httpx.Client, path: str, body: dict[str, Any], field: str
) -> None:
    assert refused(http, path, body).startswith(f"{field} ")


@pytest.mark.parametrize(
    "body",
    [
        {"input": [[]] * 100_000},
        {"texts": ["ferry"], **{f"x{number}": 1 for number in range(100_000)}},
    ],
)
def test_a_hundred_thousand_mistakes_are_one(body: dict[str, Any]) -> None:
    kind = EmbeddingsBody if "input" in body else TagBody
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(with_few_unknown(body, kind))
    assert caught.value.error_count() == 1


def test_ten_thousand_texts_are_too_many(http: httpx.Client) -> None:
    texts = ["a"] * 10_000
    assert "2048" in refused(http, "/v1/embeddings", {"input": texts})
    assert "2048" in refused(http, "/v1/tag", {"texts": texts})
    assert "1000" in refused(http, "/v1/rerank", {"query": "a", "documents": texts})


def test_a_megabyte_in_one_text_is_read_to_the_model_s_length(http: httpx.Client) -> None:
    answer = post(http, "/v1/embeddings", {"input": "ferry " * 180_000})
    assert answer["warnings"]
    assert answer["data"][0]["embedding"]


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/rerank", "/v1/tag"])
def test_what_is_no_json_object_is_refused(http: httpx.Client, path: str) -> None:
    kind = {"content-type": "application/json"}
    for content in (b"", b"[]", b'{"input": "\\ud800"}', b"\xff", b'{"input": NaN}'):
        assert http.post(path, content=content, headers=kind).status_code == 400
    assert http.post(path, content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    assert http.post(f"{path}?model=x", json={}).status_code == 400
    assert http.get(path).status_code == 405


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"input": "x"}),
        ("/v1/rerank", {"query": "x", "documents": ["y"]}),
        ("/v1/tag", {"texts": ["x"]}),
    ],
)
def test_another_model_is_not_quietly_replaced(
    http: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    told = refused(http, path, {"model": "another-model", **body}, 404)
    ours = ("all-MiniLM-L6-v2", "distilbert-ner-news", "bge-small-en-v1.5")
    assert any(f"'{name}'" in told for name in ours)


def test_too_many_tokens_at_once_are_refused_before_the_model_runs(models: ServedModels) -> None:
    with serving_models(models, max_model_tokens=1000) as http:
        told = refused(http, "/v1/embeddings", {"input": ["ferry " * 300] * 5}, 413)
        assert "1000 are taken at once" in told
        assert post(http, "/v1/embeddings", {"input": ["ferry"] * 5})["data"]


# --- who may ask, and which model answers


def test_a_key_is_needed_in_either_header(http: httpx.Client) -> None:
    body = {"input": "x"}
    url = str(http.base_url.join("/v1/embeddings"))
    assert httpx.post(url, json=body, timeout=120).status_code == 401
    assert (
        httpx.post(url, json=body, headers={"x-api-key": "other"}, timeout=120).status_code == 401
    )
    bearer = {"authorization": f"Bearer {KEY}"}
    assert httpx.post(url, json=body, headers=bearer, timeout=120).status_code == 200
    assert httpx.get(http.base_url.join("/v1/models"), timeout=120).status_code == 401


def test_every_answer_names_its_model_and_the_files_behind_it(
    http: httpx.Client, models: ServedModels
) -> None:
    listed = {entry["task"]: entry for entry in http.get("/v1/models").json()["data"]}
    assert set(listed) == {"encode", "tag", "score"}
    assert (listed["encode"]["dimension"], listed["encode"]["max_tokens"]) == (384, 256)
    answer = http.post("/v1/embeddings", json={"input": "x"})
    assert models.encoder is not None
    assert answer.headers["x-model-digest"] == listed["encode"]["digest"]
    assert listed["encode"]["digest"] == models.encoder.port.digest
    assert answer.json()["model"] == listed["encode"]["id"]


def test_a_service_without_a_model_says_so(models: ServedModels) -> None:
    broken = {"tagger": "tagger x: /srv/models/x is missing"}
    with serving_models(ServedModels(encoder=models.encoder, missing=broken)) as http:
        absent = refused(http, "/v1/rerank", {"query": "x", "documents": ["y"]}, 404)
        assert "runs no reranker" in absent
        answer = http.post("/v1/tag", json={"texts": ["x"]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_unavailable")
        assert "/srv" not in answer.text
        assert "retry-after" not in answer.headers


def test_only_models_are_served_without_an_archive(http: httpx.Client) -> None:
    assert http.get("/content/search").status_code == 404
    assert http.get("/healthz").status_code == http.get("/docs").status_code == 200
    paths = http.get("/openapi.json").json()["paths"]
    assert {path for path in paths if path.startswith("/content")} == set()
    assert {"/v1/embeddings", "/v1/rerank", "/v1/tag", "/v1/models"} <= set(paths)


# --- load and faults


@dataclass(frozen=True)
class Odd:
    """An encoder that does what a test asks of it."""

    vectors: Any
    name: str = "odd"
    digest: str = "0" * 64
    dimension: int = 384

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        return self.encode_passages(texts)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        found: FloatMatrix = self.vectors(texts)
        return found


def with_encoder(models: ServedModels, vectors: Any) -> ServedModels:
    assert models.encoder is not None
    return replace(models, encoder=replace(models.encoder, port=Odd(vectors)))


def test_a_vector_that_is_no_number_is_a_fault_not_null(models: ServedModels) -> None:
    odd = with_encoder(models, lambda texts: np.full((len(texts), 384), np.nan, np.float32))
    with serving_models(odd) as http:
        answer = http.post("/v1/embeddings", json={"input": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")


def test_a_full_queue_is_503_with_retry_after(models: ServedModels) -> None:
    def full(texts: Sequence[str]) -> FloatMatrix:
        raise BusyError("the model's queue is full", mend="try again")

    with serving_models(with_encoder(models, full)) as http:
        answer = http.post("/v1/embeddings", json={"input": "x"})
        other = http.post("/embed", json={"inputs": "x"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"]["code"] == "busy"
    assert (other.status_code, other.headers["retry-after"]) == (429, "1")
    assert other.json()["error_type"] == "Overloaded"


def test_a_model_that_does_not_answer_is_503_without_its_address() -> None:
    error = UnavailableError("the model service is busy", where="http://10.1.2.3/v1", mend="wait")
    problem = problem_of(error)
    assert (problem.status, problem.code, problem.retry_after) == (503, "model_unavailable", 1)
    assert "10.1.2.3" not in problem.message + problem.mend


def test_requests_beyond_the_waiting_line_are_refused_at_once(models: ServedModels) -> None:
    begun, hold = threading.Event(), threading.Event()

    def slow(texts: Sequence[str]) -> FloatMatrix:
        begun.set()
        hold.wait(120)
        return np.ones((len(texts), 384), np.float32)

    odd = with_encoder(models, slow)
    with (
        serving_models(odd, max_concurrent_models=1, max_waiting=0) as http,
        ThreadPoolExecutor(1) as crowd,
    ):
        first = crowd.submit(http.post, "/v1/embeddings", json={"input": "x"})
        assert begun.wait(120)
        answer = http.post("/v1/embeddings", json={"input": "x"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert http.get("/healthz").status_code == 200
        hold.set()
        assert first.result().status_code == 200
