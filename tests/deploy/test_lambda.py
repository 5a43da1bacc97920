"""Handlers of Lambda: called directly, and by the real runtime interface emulator where it is."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.problems import ParameterError
from core.errors import InputError, SettingsError
from dateline.aws import handlers
from tests.free_ports import free_port
from tests.s3_server import bucket, put

ROOT = Path(__file__).parents[2]
EMULATOR = shutil.which("aws-lambda-rie")
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


@pytest.mark.service
@pytest.mark.skipif(EMULATOR is None, reason="no aws-lambda-rie on the PATH")
@pytest.mark.skipif(find_spec("awslambdaric") is None, reason="no awslambdaric")
def test_the_emulator_runs_the_entry_point(tmp_path: Path) -> None:
    port, inner = free_port(), free_port()
    address = ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    runtime = ["--runtime-api-address", f"127.0.0.1:{inner}"]
    command = [str(EMULATOR), *address, *runtime, str(ROOT / "deploy" / "entrypoint")]
    process = subprocess.Popen(
        [*command, "lambda", "tag"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    try:
        transport = httpx.HTTPTransport(retries=8)
        with httpx.Client(transport=transport, timeout=240) as client:
            answer = client.post(url, json={"texts": [TEXT]}).json()
            assert [name["label"] for name in answer["results"][0]] == ["PER", "LOC"]
            assert client.post(url, json={"text": 1}).json()["errorType"] == "ParameterError"
    finally:
        process.kill()
        process.wait()
