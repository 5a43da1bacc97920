"""Requests of the public documentation of OpenAI, Cohere and text-embeddings-inference, sent
over HTTP: the answers in shape and value, and the refusals of each API.
"""

from __future__ import annotations

import base64
from typing import Any

import httpx
import numpy as np
import pytest

from api.models.bodies import CohereRefusal, EmbedAnswer, OpenAiRefusal
from api.models.served_models import ServedModels
from api.models.tei_bodies import Info, Predictions, Ranks, TeiRefusal, Tokens, Vectors
from tests.api.models.model_service import serving_models

FOX = "The food was delicious and the waiter..."  # OpenAI's documentation
ASK = "What is Deep Learning?"  # that of text-embeddings-inference
QUERY = "What is the capital of the United States?"  # Cohere's
CITIES = [
    "Carson City is the capital city of the American state of Nevada.",
    "Capital punishment has existed in the United States since before it was a country.",
    "Washington, D.C. is the capital of the United States.",
]


def asked(http: httpx.Client, path: str, body: Any) -> Any:
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def vectors(models: ServedModels, *texts: str) -> np.ndarray[Any, Any]:
    assert models.encoder is not None
    return models.encoder.port.encode_passages(list(texts))


# --- OpenAI


def test_a_request_of_openai_s_documentation(http: httpx.Client, models: ServedModels) -> None:
    body = {"input": FOX, "model": "text-embedding-ada-002", "encoding_format": "float"}
    answer = asked(http, "/v1/embeddings", body)
    assert answer["data"][0]["embedding"] == pytest.approx(vectors(models, FOX)[0].tolist())
    assert answer["model"] == "all-MiniLM-L6-v2"
    assert answer["warnings"] == ["text-embedding-ada-002 is not here; all-MiniLM-L6-v2 answered."]


def test_nulls_are_absent_and_unknown_members_change_nothing_but_are_told(
    http: httpx.Client,
) -> None:
    nulls = dict.fromkeys(("model", "dimensions", "encoding_format", "user", "input_type"))
    plain = asked(http, "/v1/embeddings", {"input": FOX})
    assert asked(http, "/v1/embeddings", {"input": FOX, **nulls}) == plain
    odd = asked(http, "/v1/embeddings", {"input": FOX, "truncate": "x", "priority": 1})
    assert odd["data"] == plain["data"]
    assert odd["warnings"] == ["Not read here: truncate, priority."]


def test_a_text_may_come_as_the_model_s_own_tokens(
    http: httpx.Client, models: ServedModels
) -> None:
    text = "The ferry's captain didn't see Ingrid Solvane, 3,000 m away."
    (tokens,) = asked(http, "/tokenize", {"inputs": text, "add_special_tokens": False})
    numbers = [token["id"] for token in tokens]
    for sent in (numbers, [numbers], [text, numbers]):
        data = asked(http, "/v1/embeddings", {"input": sent})["data"]
        assert data[-1]["embedding"] == pytest.approx(vectors(models, text)[0].tolist())
    body = {"input": numbers, "model": "text-embedding-3-small"}
    answer = http.post("/v1/embeddings", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")
    answer = http.post("/v1/embeddings", json={"input": [30_522]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2"),
        ("sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2"),
        ("text-embedding-3-small", "all-MiniLM-L6-v2"),
        ("distilbert-ner-news", "distilbert-ner-news"),
        ("rerank-v3.5", "bge-small-en-v1.5"),
    ],
)
def test_one_model_is_found_by_its_names(http: httpx.Client, name: str, model: str) -> None:
    answer = http.get(f"/v1/models/{name}")
    assert (answer.json()["id"], answer.json()["object"]) == (model, "model")
    listed = http.get("/v1/models").json()["data"]
    assert answer.json() in listed


def test_openai_s_refusals(http: httpx.Client) -> None:
    def refused(answer: httpx.Response) -> tuple[int, str, str | None, str]:
        error = OpenAiRefusal.model_validate(answer.json()).error
        assert error.message
        return answer.status_code, error.type, error.param, error.code

    wrong = "invalid_request_error"
    embeddings = "/v1/embeddings"
    missing = http.post(embeddings, json={"model": "all-MiniLM-L6-v2"})
    assert refused(missing) == (400, wrong, "input", "bad_parameter")
    unknown = http.post(embeddings, json={"input": FOX, "model": "gpt-x"})
    assert refused(unknown) == (404, wrong, None, "model_not_found")
    assert refused(http.get("/v1/models/gpt-x")) == (404, wrong, None, "model_not_found")
    nobody = http.post(embeddings, json={"input": FOX}, headers={"x-api-key": "nobody's"})
    assert refused(nobody) == (401, wrong, None, "invalid_api_key")
    assert refused(http.delete("/v1/models/x")) == (405, wrong, None, "method_not_allowed")


# --- Cohere


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_a_rerank_of_cohere_s_documentation(http: httpx.Client, path: str) -> None:
    body = {"model": "rerank-v4.0-pro", "query": QUERY, "documents": CITIES, "top_n": 2}
    answer = asked(http, path, body)
    assert [result["index"] for result in answer["results"]] == [2, 0]
    assert answer["id"]
    assert answer["meta"]["api_version"] == {"version": "2"}
    assert answer["meta"]["warnings"] == [
        "rerank-v4.0-pro is not here; bge-small-en-v1.5 answered."
    ]


def test_cohere_s_vectors_by_type(http: httpx.Client, models: ServedModels) -> None:
    body = {
        "model": "embed-v4.0",
        "texts": ["hello", "goodbye"],
        "input_type": "classification",
        "embedding_types": ["float", "base64"],
    }
    answer = asked(http, "/v2/embed", body)
    EmbedAnswer.model_validate(answer)
    expected = vectors(models, "hello", "goodbye")
    assert np.array(answer["embeddings"]["float"]) == pytest.approx(expected)
    packed = [base64.b64decode(row) for row in answer["embeddings"]["base64"]]
    assert np.array([np.frombuffer(row, "<f4") for row in packed]) == pytest.approx(expected)
    assert answer["texts"] == ["hello", "goodbye"]
    assert answer["meta"]["billed_units"] == {"input_tokens": 6}
    bare = asked(http, "/v1/embed", {"texts": ["hello", "goodbye"]})
    assert bare["response_type"] == "embeddings_floats"
    assert bare["embeddings"] == answer["embeddings"]["float"]


def test_cohere_cuts_the_end_the_start_or_nothing(http: httpx.Client, models: ServedModels) -> None:
    text = "ferry " * 300 + "harbour " * 254

    def embedded(truncate: str) -> list[float]:
        answer = asked(http, "/v2/embed", {"texts": [text], "truncate": truncate})
        found: list[float] = answer["embeddings"]["float"][0]
        return found

    assert embedded("END") == pytest.approx(vectors(models, "ferry " * 254)[0].tolist())
    assert embedded("START") == pytest.approx(vectors(models, "harbour " * 254)[0].tolist())
    answer = http.post("/v2/embed", json={"texts": ["ferry", text], "truncate": "NONE"})
    assert answer.status_code == 400
    assert "texts 1 " in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v2/embed", {"texts": []}, 400),
        ("/v2/embed", {"texts": ["x"], "embedding_types": ["int8"]}, 400),
        ("/v2/embed", {"texts": ["x"], "output_dimension": 256}, 400),
        ("/v2/embed", {"texts": ["x"], "model": "command-r"}, 404),
        ("/v2/rerank", {"documents": ["x"]}, 400),
        ("/v1/rerank", {"query": "x"}, 400),
    ],
)
def test_cohere_s_refusals(
    http: httpx.Client, path: str, body: dict[str, Any], status: int
) -> None:
    answer = http.post(path, json=body)
    refusal = CohereRefusal.model_validate(answer.json())
    assert (answer.status_code, refusal.id) == (status, answer.headers["x-request-id"])


# --- text-embeddings-inference


def test_an_embed_of_its_documentation(http: httpx.Client, models: ServedModels) -> None:
    answer = asked(http, "/embed", {"inputs": ASK})
    Vectors.model_validate(answer)
    assert answer[0] == pytest.approx(vectors(models, ASK)[0].tolist())
    many = {"inputs": ["Today is a nice day", ASK], "normalize": False, "prompt_name": "query"}
    assert asked(http, "/embed", many)[1] == pytest.approx(answer[0])
    assert asked(http, "/", {"inputs": ASK}) == answer


def test_a_rerank_of_its_documentation(http: httpx.Client, models: ServedModels) -> None:
    texts = ["Deep Learning is not...", "Deep learning is..."]
    body = {"query": ASK, "texts": texts, "raw_scores": False}
    ranks = asked(http, "/rerank", body)
    Ranks.model_validate(ranks)
    assert models.scorer is not None
    raw = models.scorer.port.score([ASK] * 2, texts)[:, 0]
    assert [rank["index"] for rank in ranks] == np.argsort(-raw).tolist()
    assert all(0 < rank["score"] < 1 and "text" not in rank for rank in ranks)
    whole = asked(http, "/rerank", {**body, "raw_scores": True, "return_text": True})
    assert [rank["score"] for rank in whole] == pytest.approx(sorted(raw.tolist(), reverse=True))
    assert [rank["text"] for rank in whole] == [texts[rank["index"]] for rank in whole]


def test_labels_of_texts_and_pairs(http: httpx.Client) -> None:
    single = asked(http, "/predict", {"inputs": "angela merkel came to Berlin"})
    Predictions.model_validate(single)
    scores = {each["label"]: each["score"] for each in single}
    assert set(scores) == {"PER", "ORG", "LOC", "MISC"}
    assert scores["PER"] > 0.5
    assert scores["LOC"] > 0.5
    assert scores["ORG"] == 0
    assert [each["score"] for each in single] == sorted(scores.values(), reverse=True)
    (pair,) = asked(http, "/predict", {"inputs": [QUERY, CITIES[2]]})
    batch = [[QUERY, CITIES[1]], ["Berlin"], [QUERY, CITIES[2]]]
    worse, names, better = asked(http, "/predict", {"inputs": batch})
    assert (names[0]["label"], worse[0]["label"]) == ("LOC", "LABEL_0")
    assert better[0] == pytest.approx(pair)
    assert better[0]["score"] > worse[0]["score"]


def test_tokens_stand_where_they_say_and_decode_to_their_text(http: httpx.Client) -> None:
    text = "Kalymira's ferry 🌍 sank"
    answer = asked(http, "/tokenize", {"inputs": [text, ""]})
    Tokens.model_validate(answer)
    first, *inner, last = answer[0]
    assert first == {"id": 101, "text": "[CLS]", "special": True, "start": None, "stop": None}
    assert last["text"] == "[SEP]"
    assert all(text[token["start"] : token["stop"]] == token["text"] for token in inner)
    assert len(answer[1]) == 2
    (again,) = asked(
        http,
        "/decode",
        {
            "ids": [
                token["id"] for token in asked(http, "/tokenize", {"inputs": "the ferry sank"})[0]
            ]
        },
    )
    assert again == "the ferry sank"


def test_info_says_what_runs(http: httpx.Client, models: ServedModels) -> None:
    answer = http.get("/info").json()
    told = Info.model_validate(answer)
    assert models.encoder is not None
    assert (told.model_id, told.model_sha) == ("all-MiniLM-L6-v2", models.encoder.digest)
    assert (told.model_type, told.max_input_length) == ({"embedding": {"pooling": "mean"}}, 256)
    assert told.auto_truncate is False


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("/embed", {"inputs": []}, 400, "Empty"),
        ("/embed", {}, 422, "Validation"),
        ("/embed", {"inputs": [1, "x"]}, 422, "Validation"),
        ("/embed", {"inputs": [99_999]}, 422, "Tokenizer"),
        ("/embed", {"inputs": ["x"] * 2049}, 413, "Validation"),
        ("/embed", {"inputs": "ferry " * 300}, 413, "Validation"),
        ("/rerank", {"query": "x", "texts": []}, 400, "Empty"),
        ("/rerank", {"query": "x", "texts": ["ferry " * 1000]}, 413, "Validation"),
        ("/predict", {"inputs": [["a", "b", "c"]]}, 422, "Validation"),
        ("/decode", {"ids": [99_999]}, 422, "Tokenizer"),
        ("/tokenize", {"inputs": "x" * 300_000}, 413, "Validation"),
    ],
)
def test_its_refusals(
    http: httpx.Client, path: str, body: dict[str, Any], status: int, kind: str
) -> None:
    answer = http.post(path, json=body)
    refusal = TeiRefusal.model_validate(answer.json())
    assert (answer.status_code, refusal.error_type) == (status, kind)


def test_a_longer_text_is_cut_at_the_end_that_is_asked_for(
    http: httpx.Client, models: ServedModels
) -> None:
    body = {"inputs": "ferry " * 300 + "harbour " * 254, "truncate": True}
    right, left = (
        asked(http, "/embed", {**body, "truncation_direction": side})[0]
        for side in ("Right", "Left")
    )
    assert right == pytest.approx(vectors(models, "ferry " * 254)[0].tolist())
    assert left == pytest.approx(vectors(models, "harbour " * 254)[0].tolist())


def test_a_service_without_the_model_is_a_failed_dependency(models: ServedModels) -> None:
    with serving_models(ServedModels(tagger=models.tagger)) as http:
        answer = http.post("/embed", json={"inputs": "x"})
        assert (answer.status_code, answer.json()["error_type"]) == (424, "Backend")
        told = Info.model_validate(http.get("/info").json())
        assert set(told.model_type) == {"classifier"}
