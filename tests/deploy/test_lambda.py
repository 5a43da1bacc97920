"""Handlers of Lambda: called directly, and by the real runtime interface emulator where it is."""

from __future__ import annotations

import base64
import json
import os
import sys
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from api.problems import ParameterError
from core.errors import InputError, SettingsError
from dateline.aws import handlers
from dateline.build.media.desk import open_desk
from dateline.settings import configure
from tests.lambda_emulator import EMULATOR, MISSING, Function, by_emulator, emulated
from tests.postgres_server import Server
from tests.s3_server import bucket, put
from tests.storage.postgres_world import address_of

ROOT = Path(__file__).parents[2]
TEXT = "Angela Merkel went to Paris."


@pytest.fixture
def fresh() -> Any:
    """Handlers that have kept nothing."""
    kept = (handlers._settings, handlers._tagger, handlers._encoder, handlers._desk)
    for one in kept:
        one.cache_clear()
    yield
    for one in kept:
        one.cache_clear()


def test_the_event_is_the_body() -> None:
    found = handlers.tag({"texts": [TEXT]})
    assert [name["label"] for name in found["results"][0]] == ["PER", "LOC"]
    embedded = handlers.embed({"input": ["a ferry"]})
    assert len(embedded["data"][0]["embedding"]) == 384
    json.dumps(embedded)  # as Lambda's client writes it
    with pytest.raises(ParameterError):
        handlers.tag({"text": TEXT})


def test_a_functions_url_gets_an_answer_of_http() -> None:
    body = json.dumps({"texts": [TEXT]})
    plain = {"requestContext": {}, "body": body}
    coded = {**plain, "body": base64.b64encode(body.encode()).decode(), "isBase64Encoded": True}
    for event in (plain, coded):
        answer = handlers.tag(event)
        assert answer["statusCode"] == 200
        assert json.loads(answer["body"])["results"][0][0]["text"] == "Angela Merkel"
    for bad in ("{", "[]", "{}"):
        refused = handlers.tag({"requestContext": {}, "body": bad})
        assert refused["statusCode"] == 400
        assert json.loads(refused["body"])["error"]["mend"] or bad == "[]"


def event_of(key: str, name: str = "photos") -> dict[str, Any]:
    part = {"bucket": {"name": name}, "object": {"key": key, "size": 7, "eTag": "abc"}}
    return {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": part}]}


def test_what_s3_tells_is_ordered_once(
    fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATELINE_DATA", str(tmp_path / "data"))
    with bucket("photos"):
        put("photos", "a.jpg", b"1234567")
        messages = [
            {"eventSource": "aws:sqs", "messageId": "1", "body": json.dumps(event_of("a.jpg"))},
            {"eventSource": "aws:sqs", "messageId": "2", "body": "no event"},
        ]
        answer = handlers.s3_events({"Records": messages})
        assert answer["batchItemFailures"] == [{"itemIdentifier": "2"}]
        handlers.s3_events(event_of("a.jpg"))  # told twice
        handlers._desk.cache_clear()  # as in another copy of the function
        handlers.s3_events(event_of("a.jpg"))
    desk = handlers._desk()
    (job,) = desk.jobs.jobs()
    assert desk.jobs.counts(job.id).found == 1
    desk.close()
    with pytest.raises(InputError):
        handlers.s3_events({"hello": 1})


def test_orders_are_refused_on_the_functions_own_disk(
    fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATELINE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "arrivals")
    with bucket("photos"), pytest.raises(SettingsError) as refused:
        handlers.s3_events(event_of("a.jpg"))
    assert refused.value.where == "work_url"


emulator = pytest.mark.skipif(
    EMULATOR is None or find_spec("awslambdaric") is None,
    reason=MISSING if EMULATOR is None else "no awslambdaric: the extra [lambda]",
)


def function(handler: str, **variables: str) -> AbstractContextManager[Function]:
    """The image's entry point as a function of Lambda."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    paths = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    command = [*by_emulator(str(EMULATOR)), ROOT / "deploy" / "entrypoint", "lambda", handler]
    return emulated(command, {**os.environ, "PATH": path, "PYTHONPATH": paths, **variables})


@emulator
@pytest.mark.service
def test_the_emulator_runs_the_entry_point() -> None:
    with function("tag") as tagger:
        answer = tagger.answer({"texts": [TEXT]})
        assert [name["label"] for name in answer["results"][0]] == ["PER", "LOC"]
        assert tagger.answer({"text": 1})["errorType"] == "ParameterError"
    with function("embed") as encoder:
        answer = encoder.answer({"requestContext": {}, "body": json.dumps({"input": TEXT})})
        assert len(json.loads(answer["body"])["data"][0]["embedding"]) == 384


@emulator
@pytest.mark.service
def test_the_emulator_orders_what_s3_tells_once(
    postgres: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = address_of(postgres, folder)
    with bucket("photos"):
        put("photos", "a.jpg", b"1234567")
        for _ in range(2):  # two copies of the function get the same event
            with function("s3-events", DATELINE_WORK_URL=address) as arrivals:
                answer = arrivals.answer(event_of("a.jpg"))
                assert answer == {"ordered": 1, "batchItemFailures": []}
        with function("s3-events", DATELINE_WORK_URL="") as wrong:
            refused = wrong.answer(event_of("a.jpg"))
            assert refused["errorType"] == "SettingsError"
    desk = open_desk(configure({"data": folder, "work_url": address}).settings)
    (job,) = desk.jobs.jobs()
    assert desk.jobs.counts(job.id).found == 1
    desk.close()
