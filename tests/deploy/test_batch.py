"""The calls that make an array of jobs, and functions: AWS's own descriptions allow each."""

from __future__ import annotations

import json

import pytest

from deploy import batch, lambdas
from deploy.calls import checked

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:record"
ROLE = "arn:aws:iam::123456789012:role/dateline"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/dateline:0.1.0"
BASE = [
    *("backfill", "s3://photos/2025/", "--image", IMAGE, "--record-secret", ARN),
    *("--media-store", "s3://stills/", "--job-role", ROLE, "--execution-role", ROLE),
    *("--instance-role", ROLE, "--subnet", "subnet-1", "--security-group", "sg-1"),
]


def test_an_array_is_made_and_submitted() -> None:
    more = ["--size", "8", "--secret", f"DATELINE_CAPTION_KEY={ARN}"]
    found = checked(batch.calls(batch.parsed([*BASE, *more])))
    by_name = {call.operation: call.parameters for call in found}
    assert list(by_name) == [
        "create_launch_template",
        "create_compute_environment",
        "create_job_queue",
        "register_job_definition",
        "submit_job",
    ]
    metadata = by_name["create_launch_template"]["LaunchTemplateData"]["MetadataOptions"]
    assert (metadata["HttpTokens"], metadata["HttpPutResponseHopLimit"]) == ("required", 2)
    container = by_name["register_job_definition"]["containerProperties"]
    assert container["command"] == ["ingest", "s3://photos/2025/", "--shard", "array"]
    assert container["readonlyRootFilesystem"]
    secrets = [one["name"] for one in container["secrets"]]
    assert secrets == ["DATELINE_RECORD", "DATELINE_WORK_URL", "DATELINE_CAPTION_KEY"]
    assert by_name["submit_job"]["arrayProperties"] == {"size": 8}
    tries = by_name["register_job_definition"]["retryStrategy"]["evaluateOnExit"]
    assert [one["action"] for one in tries] == [*["RETRY"] * 4, "EXIT"]
    assert len(tries) <= 5  # Batch's bound


def test_a_single_job_is_no_array() -> None:
    """Batch refuses an array of one."""
    found = checked(batch.calls(batch.parsed([*BASE, "--size", "1", "--submit-only"])))
    assert [call.operation for call in found] == ["submit_job"]
    assert "arrayProperties" not in found[0].parameters


@pytest.mark.parametrize("more", [["--size", "0"], ["--size", "10001"], ["/local/folder"]])
def test_an_array_that_makes_no_sense_is_refused(more: list[str]) -> None:
    with pytest.raises(SystemExit):
        batch.parsed([*BASE[:2], *more, *BASE[2:]])


def test_a_function_has_the_image_and_a_handler() -> None:
    wanted = lambdas.parsed(["tagger", "tag", "--image", IMAGE, "--role", ROLE])
    (call,) = checked(lambdas.calls(wanted))
    assert call.parameters["ImageConfig"] == {"Command": ["lambda", "tag"]}


def test_s3_tells_a_queue_that_only_it_may_write_to() -> None:
    told = ["--bucket", "photos", "--account", "123456789012"]
    wanted = lambdas.parsed(["arrivals", "s3-events", "--image", IMAGE, "--role", ROLE, *told])
    found = checked(lambdas.calls(wanted))
    assert [call.operation for call in found] == [
        "create_function",
        "create_queue",
        "create_queue",
        "put_bucket_notification_configuration",
        "create_event_source_mapping",
    ]
    policy = json.loads(found[2].parameters["Attributes"]["Policy"])
    (allowed,) = policy["Statement"]
    assert allowed["Condition"]["ArnEquals"] == {"aws:SourceArn": "arn:aws:s3:::photos"}
    with pytest.raises(SystemExit):
        lambdas.parsed(["arrivals", "s3-events", "--image", IMAGE, "--role", ROLE])
