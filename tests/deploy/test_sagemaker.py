"""The image on SageMaker: the entry point, packed models, and the calls that make an endpoint."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
import numpy as np
import pytest
from botocore.stub import Stubber

from core.threads import Threads
from dateline.default_folders import demo_folder
from deploy import calls as calling
from deploy.calls import Call, CallError, carry_out, checked
from deploy.sagemaker import calls, parsed
from tests.free_ports import free_port
from tests.unpacking import unpack

ROOT = Path(__file__).parents[2]
ROLE = "arn:aws:iam::123456789012:role/dateline-models"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/dateline:0.1.0"
BASE = ["news", "--image", IMAGE, "--role", ROLE, "--model-data", "s3://models/model.tar.gz"]


@contextmanager
def started(*words: str, **variables: str) -> Iterator[tuple[httpx.Client, Any]]:
    """The image's entry point in a process of its own, on a free port."""
    port = free_port()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = subprocess.Popen(
        [ROOT / "deploy" / "entrypoint", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            **os.environ,
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            "SAGEMAKER_BIND_TO_PORT": str(port),
            **variables,
        },
    )
    said: list[str] = []
    try:
        for line in process.stdout or ():
            said.append(line)
            if "serves the models" in line:
                break
        else:
            pytest.fail(f"it ended: {said}")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=240) as client:
            yield client, (process, said)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def packed(folder: Path, *flags: str) -> Path:
    """The folder that SageMaker makes of the packed models."""
    out = folder / "model.tar.gz"
    start = [sys.executable, "-c", "from dateline.cli import main; main()"]
    command = [*start, "models", "package", str(out), *flags]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    unpack(out, folder / "model")
    return folder / "model"


@pytest.mark.service
def test_the_word_serve_on_sagemaker_serves_the_models_alone() -> None:
    with started("serve", SAGEMAKER_REGION="us-east-1") as (client, (process, _)):
        assert client.get("/ping").status_code == 200
        answer = client.post("/invocations", json={"texts": ["Angela Merkel"]})
        assert answer.json()["results"][0][0]["text"] == "Angela Merkel"
        assert client.get("/content/search").status_code == 404
        process.terminate()
        assert process.wait(240) == -signal.SIGTERM


@pytest.mark.service
def test_packed_models_are_served_and_a_missing_one_is_named(tmp_path: Path) -> None:
    model = packed(tmp_path, "--tagger", "", "--reranker", "", "--encoder", "all-MiniLM-L6-v2")
    (model / "transnetv2-int8" / "model.int8.onnx").unlink()
    with started("serve", "--sagemaker", "--models", str(model)) as (client, (_, said)):
        told = client.get("/ping")
        assert told.status_code == 503
        assert "shots transnetv2-int8" in told.json()["error"]["message"]
        assert client.post("/invocations", json={"input": "a ferry"}).status_code == 200
        assert client.post("/invocations", json={"texts": ["x"]}).status_code == 404
        assert any("shots transnetv2-int8" in line for line in said)


def transformed(client: httpx.Client, file: bytes, payload_bytes: int) -> bytes:
    """A batch transform of a file of lines, by SageMaker's rules for MultiRecord, Line and Line: as
    many payloads at once as the container says, and the answers put together in order.
    """
    terms = client.get("/execution-parameters").json()
    assert terms["BatchStrategy"] == "MULTI_RECORD"
    assert payload_bytes <= terms["MaxPayloadInMB"] * 2**20
    payloads = [b""]
    for line in file.splitlines(keepends=True):
        if len(payloads[-1]) + len(line) > payload_bytes:
            payloads.append(b"")
        payloads[-1] += line
    kind = {"content-type": "application/jsonlines", "accept": "application/jsonlines"}

    def asked(payload: bytes) -> bytes:
        answer = client.post("/invocations", content=payload, headers=kind)
        assert answer.status_code == 200, answer.text
        return answer.content

    with Threads(terms["MaxConcurrentTransforms"]) as threads:
        return b"".join(threads.map(asked, payloads))


@pytest.mark.service
def test_a_batch_transform_answers_each_record_in_its_place() -> None:
    stories = (demo_folder() / "stories.jsonl").read_text("utf-8").splitlines()
    heads = [json.loads(story)["headlines"][0]["value"] for story in stories]
    texts = [f"{heads[number % len(heads)]} ({number})" for number in range(600)]
    records = [{"input": [text], "encoding_format": "base64"} for text in texts]
    file = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    with started("serve", SAGEMAKER_REGION="us-east-1") as (client, _):
        answers = [json.loads(line) for line in transformed(client, file, 4096).splitlines()]
        assert len(answers) == len(texts)
        kind = {"content-type": "application/vnd.dateline.embeddings+json"}
        for start in range(0, len(texts), 200):
            part = slice(start, start + 200)
            whole = {"input": texts[part], "encoding_format": "base64"}
            alone = client.post("/invocations", json=whole, headers=kind).json()["data"]
            one = np.array([vector_of(row) for row in alone])
            other = np.array([vector_of(answer["data"][0]) for answer in answers[part]])
            assert ((one * other).sum(axis=1) > 0.99).all()


def vector_of(row: dict[str, Any]) -> Any:
    return np.frombuffer(base64.b64decode(row["embedding"]), np.float32)


@pytest.mark.parametrize(
    ("more", "operations"),
    [
        (
            [],
            [
                "create_model",
                "create_endpoint_config",
                "create_endpoint",
                "register_scalable_target",
                "put_scaling_policy",
            ],
        ),
        (["--most", "1"], ["create_model", "create_endpoint_config", "create_endpoint"]),
        (
            ["--transform-input", "s3://in/", "--transform-output", "s3://out/"],
            ["create_model", "create_transform_job"],
        ),
    ],
)
def test_the_calls_are_those_of_aws(more: list[str], operations: list[str]) -> None:
    """AWS's own description of each operation allows the parameters."""
    found = checked(calls(parsed([*BASE, *more])))
    assert [call.operation for call in found] == operations


def test_an_asynchronous_endpoint_goes_down_to_none_by_what_waits() -> None:
    found = checked(calls(parsed([*BASE, "--async-output", "s3://answers/", "--least", "0"])))
    by_name = {call.operation: call.parameters for call in found}
    assert "AsyncInferenceConfig" in by_name["create_endpoint_config"]
    assert by_name["register_scalable_target"]["MinCapacity"] == 0
    policy = by_name["put_scaling_policy"]["TargetTrackingScalingPolicyConfiguration"]
    metric = policy["CustomizedMetricSpecification"]["MetricName"]
    assert metric == "ApproximateBacklogSizePerInstance"


def test_arguments_that_make_no_sense_are_refused() -> None:
    for more in (["--least", "0"], ["--transform-input", "s3://in/"], ["--set", "x"]):
        with pytest.raises(SystemExit):
            parsed([*BASE, *more])


def test_wrong_parameters_are_told_before_anything_is_sent() -> None:
    with pytest.raises(CallError, match="create_model"):
        checked([Call("sagemaker", "create_model", {"ModelName": 3})])
    with pytest.raises(CallError):
        checked([Call("sagemaker", "create_models", {})])


def test_a_dry_run_prints_and_sends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert carry_out(calls(parsed(BASE)), "us-east-1", dry_run=True) == 0
    said = capsys.readouterr().out
    assert said.startswith("sagemaker create_model\n{")
    assert IMAGE in said


def test_the_calls_are_made_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Botocore's stub refuses a call out of order, and parameters that differ."""
    planned = list(calls(parsed([*BASE, "--most", "1"])))
    client = boto3.client(
        "sagemaker", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    arn = "arn:aws:sagemaker:us-east-1:123456789012:x/news"
    answers = [{"ModelArn": arn}, {"EndpointConfigArn": arn}, {"EndpointArn": arn}]
    with Stubber(client) as stub:
        for call, answer in zip(planned, answers, strict=True):
            stub.add_response(call.operation, answer, dict(call.parameters))
        monkeypatch.setattr(calling, "checked", lambda calls: list(calls))
        monkeypatch.setattr(boto3, "client", lambda *_, **__: client)
        assert carry_out(planned, "us-east-1", dry_run=False) == 0
        stub.assert_no_pending_responses()
