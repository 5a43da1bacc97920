"""Makes a Lambda function of the image: `python -m deploy.lambdas NAME tag --image ...`.

The handler `s3-events` also gets a queue of SQS with a dead-letter queue, and a bucket that tells
the queue of new objects. With `--dry-run` the calls are checked and printed, and nothing is sent.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deploy.calls import Call, add_common_options, carry_out

HANDLERS = ("tag", "embed", "s3-events")
_TIMEOUT_S = 60
_TRIES = 5  # of a message, before it is a dead letter
_KEPT_S = str(14 * 24 * 3600)  # SQS's longest time


def calls(wanted: argparse.Namespace) -> Iterator[Call]:
    """Yield the calls that make what the arguments want, in order."""
    yield _function(wanted)
    if wanted.handler != "s3-events":
        return
    dead, queue = f"{wanted.name}-dead", wanted.name
    yield Call("sqs", "create_queue", {"QueueName": dead, "Attributes": _kept({})})
    yield Call("sqs", "create_queue", {"QueueName": queue, "Attributes": _attributes(wanted, dead)})
    yield Call("s3", "put_bucket_notification_configuration", _notification(wanted))
    mapping = {
        "EventSourceArn": _arn(wanted, queue),
        "FunctionName": wanted.name,
        "BatchSize": 10,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }
    yield Call("lambda", "create_event_source_mapping", mapping)


def _function(wanted: argparse.Namespace) -> Call:
    told = {"DATELINE_DATA": "/tmp/dateline", **dict(wanted.set)}  # the only place to write to
    parameters: dict[str, Any] = {
        "FunctionName": wanted.name,
        "PackageType": "Image",
        "Code": {"ImageUri": wanted.image},
        "ImageConfig": {"Command": ["lambda", wanted.handler]},
        "Role": wanted.role,
        "MemorySize": wanted.memory,
        "Timeout": _TIMEOUT_S,
        "Environment": {"Variables": told},
    }
    if wanted.subnet:
        groups = list(wanted.security_group)
        network = {"SubnetIds": list(wanted.subnet), "SecurityGroupIds": groups}
        parameters["VpcConfig"] = network
    return Call("lambda", "create_function", parameters)


def _attributes(wanted: argparse.Namespace, dead: str) -> Mapping[str, str]:
    """The queue: only this account's bucket may write to it."""
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": _arn(wanted, wanted.name),
        "Condition": {
            "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{wanted.bucket}"},
            "StringEquals": {"aws:SourceAccount": wanted.account},
        },
    }
    policy = {"Version": "2012-10-17", "Statement": [allowed]}
    redrive = {"deadLetterTargetArn": _arn(wanted, dead), "maxReceiveCount": _TRIES}
    return _kept(
        {
            "VisibilityTimeout": str(6 * _TIMEOUT_S),  # as Lambda advises
            "RedrivePolicy": json.dumps(redrive),
            "Policy": json.dumps(policy),
        }
    )


def _kept(attributes: Mapping[str, str]) -> Mapping[str, str]:
    return {"MessageRetentionPeriod": _KEPT_S, "SqsManagedSseEnabled": "true", **attributes}


def _notification(wanted: argparse.Namespace) -> Mapping[str, Any]:
    told = {"QueueArn": _arn(wanted, wanted.name), "Events": ["s3:ObjectCreated:*"]}
    return {
        "Bucket": wanted.bucket,
        "ExpectedBucketOwner": wanted.account,
        "NotificationConfiguration": {"QueueConfigurations": [told]},
    }


def _arn(wanted: argparse.Namespace, queue: str) -> str:
    return f"arn:aws:sqs:{wanted.region}:{wanted.account}:{queue}"


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; ends the process with a sentence for those that make no sense."""
    parser = argparse.ArgumentParser("python -m deploy.lambdas", description=__doc__)
    parser.add_argument("name", help="of the function, and of its queue")
    parser.add_argument("handler", choices=HANDLERS)
    parser.add_argument("--image", required=True, help="the image in ECR")
    parser.add_argument("--role", required=True, help="ARN of the role that the function has")
    parser.add_argument("--memory", type=int, default=3008, help="MiB; 1,769 are a whole processor")
    parser.add_argument("--bucket", default="", help="of s3-events: the bucket that tells")
    parser.add_argument("--account", default="", help="of s3-events: its twelve digits")
    parser.add_argument("--subnet", action="append", default=[], help="to reach a database")
    parser.add_argument("--security-group", action="append", default=[])
    add_common_options(parser)
    found = parser.parse_args(arguments)
    if found.handler == "s3-events" and not (found.bucket and found.account):
        parser.error("s3-events needs --bucket and --account")
    return found


def main() -> int:
    """Run the program."""
    wanted = parsed(sys.argv[1:])
    return carry_out(calls(wanted), wanted.region, dry_run=wanted.dry_run)


if __name__ == "__main__":
    sys.exit(main())
