"""What SageMaker asks, over the bundled models: content types, attributes, lines, arrays."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from api.models.served_models import ServedShots
from dateline.build.media.shots import shot_detector_of
from dateline.settings import Settings
from tests.api.models.model_service import bundled_models, serving_models

EMBED, TAG, RERANK = (
    f"application/vnd.dateline.{name}+json" for name in ("embeddings", "tag", "rerank")
)
LINES, NPY = "application/jsonlines", "application/x-npy"
ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"


@pytest.fixture(scope="module")
def container() -> Iterator[httpx.Client]:
    detector = shot_detector_of(Settings(threads=1))
    shots = ServedShots(detector.name, detector.digest, detector)
    with serving_models(replace(bundled_models(), shots=shots), sagemaker=True) as http:
        del http.headers["x-api-key"]  # SageMaker sends none
        yield http


def asked(http: httpx.Client, kind: str, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    sent = {"content-type": kind, **{name.replace("_", "-"): v for name, v in headers.items()}}
    return http.post("/invocations", content=content, headers=sent)


def array(values: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def test_the_content_type_names_the_model(container: httpx.Client) -> None:
    embedded = asked(container, EMBED, {"input": ["a ferry sank"]}).json()
    assert len(embedded["data"][0]["embedding"]) == 384
    found = asked(container, TAG, {"texts": ["Angela Merkel went to Paris."]}).json()
    assert [name["label"] for name in found["results"][0]] == ["PER", "LOC"]
    ranked = asked(container, RERANK, {"query": "ferry", "documents": ["tax", "a ferry sank"]})
    assert ranked.json()["results"][0]["index"] == 1


def test_plain_json_is_told_by_an_attribute_or_by_its_members(container: httpx.Client) -> None:
    body = {"texts": ["Angela Merkel went to Paris."]}
    by_member = asked(container, "application/json", body)
    by_attribute = asked(container, "application/json", body, **{ATTRIBUTES: "task=tag,id=a-7"})
    assert by_member.json() == by_attribute.json()
    digest = bundled_models().tagger.digest  # type: ignore[union-attr]
    told = by_attribute.headers[ATTRIBUTES]
    assert told == f"model=distilbert-ner-news,digest={digest},id=a-7"
    nothing = asked(container, "application/json", {"text": "x"})
    assert (nothing.status_code, nothing.json()["error"]["field"]) == (400, "task")
    other = asked(container, "application/json", body, **{ATTRIBUTES: "task=translate"})
    assert other.status_code == 400
    absent = asked(container, "application/json", body, **{ATTRIBUTES: "model=bert"})
    assert (absent.status_code, absent.json()["error"]["code"]) == (404, "model_not_found")


def test_lines_are_answered_line_by_line_in_order(container: httpx.Client) -> None:
    """A batch transform joins the answers to the records by their lines."""
    rows = [{"input": [f"story {n}"], "encoding_format": "base64"} for n in range(40)]
    lines: list[bytes] = [orjson.dumps(row) for row in rows]
    lines[7] = b"{no json"
    lines[9] = orjson.dumps({"texts": ["Angela Merkel"]})
    answer = asked(container, LINES, b"\n".join(lines))
    found = [orjson.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["content-type"] == LINES
    assert len(found) == 40
    assert found[7]["error"]["status"] == 400
    assert found[9]["results"][0][0]["label"] == "PER"
    alone = asked(container, EMBED, rows[30]).json()
    assert found[30]["data"] == alone["data"]


def test_frames_are_an_array(container: httpx.Client) -> None:
    windows = np.zeros((2, 100, 27, 48, 3), np.uint8)
    windows[:, 50:] = 255
    answer = asked(container, NPY, array(windows), accept=NPY)
    scores = np.load(io.BytesIO(answer.content))
    assert scores.shape == (2, 200)
    assert scores[0, :100].argmax() == 49  # the last frame before the cut
    told = asked(container, NPY, array(windows)).json()["transitions"]
    assert np.allclose(told, scores, atol=1e-6)


def test_a_lying_array_is_refused_and_nothing_is_allocated(container: httpx.Client) -> None:
    whole = array(np.zeros((1, 100, 27, 48, 3), np.uint8))
    for data in (
        b"PK\x03\x04",
        whole[:-1],
        whole.replace(b"(1, 100,", b"(9, 100,"),
        array(np.zeros((1, 100, 27, 48, 3), np.float32)),
        b"\x93NUMPY\x01\x00\xff\xff",
    ):
        refused = asked(container, NPY, data)
        assert (refused.status_code, refused.json()["error"]["field"]) == (400, "body")


def test_another_content_type_gets_415_and_what_is_served(container: httpx.Client) -> None:
    for kind in ("text/csv", "", "application/x-image"):
        refused = asked(container, kind, b"a,b")
        assert refused.status_code == 415
        mend = refused.json()["error"]["mend"]
        assert all(served in mend for served in (EMBED, TAG, RERANK, NPY, LINES))


def test_only_what_has_a_model_is_served() -> None:
    models = replace(bundled_models(), scorer=None, encoder=None)
    with serving_models(models, sagemaker=True) as http:
        refused = asked(http, EMBED, {"input": "x"})
        assert refused.status_code == 415
        assert TAG in refused.json()["error"]["mend"]
        assert EMBED not in refused.json()["error"]["mend"]


def test_ping_names_a_missing_model() -> None:
    models = replace(
        bundled_models(), tagger=None, missing={"tagger": "tagger names-2: no such model"}
    )
    with serving_models(models, sagemaker=True) as http:
        told = http.get("/ping")
        assert told.status_code == 503
        assert "names-2" in told.json()["error"]["message"]
        assert asked(http, TAG, {"texts": ["x"]}).status_code == 503
        assert asked(http, EMBED, {"input": "x"}).status_code == 200


def test_ping_and_parameters(container: httpx.Client) -> None:
    assert container.get("/ping").status_code == 200
    told = container.get("/execution-parameters").json()
    assert told == {
        "MaxConcurrentTransforms": 8,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 16,
    }


def test_nothing_else_is_there(container: httpx.Client) -> None:
    for path in ("/v1/models", "/metrics", "/content/search", "/"):
        assert container.get(path).status_code == 404


def test_attributes_have_a_bound(container: httpx.Client) -> None:
    refused = asked(container, TAG, {"texts": ["x"]}, **{ATTRIBUTES: "a" * 1025})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, ATTRIBUTES)
