"""Runs an ingest as an array of jobs on AWS Batch: `python -m deploy.batch NAME s3://...`.

It makes a launch template, a compute environment of spot instances, a queue and a job definition.
Then it submits the array: each job takes its part of the files (`--shard array`). With `--dry-run`
the calls are checked and printed, and nothing is sent.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from deploy.calls import Call, add_common_options, carry_out, pair

_LARGEST = 10_000  # Batch's bound
_FIRST_TRY_AND_MORE = 10  # Batch's bound
# Exit codes of an ingest that goes on when it is started again: it was warned and ended its work,
# it was told to end before it began, it was killed.
_INTERRUPTED = ("130", "143", "137")


def calls(wanted: argparse.Namespace) -> Iterator[Call]:
    """Yield the calls that make what the arguments want, in order."""
    if not wanted.submit_only:
        yield _template(wanted)
        yield _environment(wanted)
        yield _queue(wanted)
        yield _definition(wanted)
    array = {"arrayProperties": {"size": wanted.size}} if wanted.size > 1 else {}
    submitted = {"jobName": wanted.name, "jobQueue": wanted.name, "jobDefinition": wanted.name}
    yield Call("batch", "submit_job", {**submitted, **array})


def _template(wanted: argparse.Namespace) -> Call:
    """Two hops to the metadata service, so that a container hears of the instance's end."""
    metadata = {
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 2,
        "HttpEndpoint": "enabled",
    }
    disk = {"VolumeSize": 100, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}
    data = {
        "MetadataOptions": metadata,
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": disk}],
    }
    parameters = {"LaunchTemplateName": wanted.name, "LaunchTemplateData": data}
    return Call("ec2", "create_launch_template", parameters)


def _environment(wanted: argparse.Namespace) -> Call:
    resources = {
        "type": "SPOT",
        "allocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED",
        "minvCpus": 0,
        "maxvCpus": wanted.processors * wanted.size,
        "instanceTypes": list(wanted.instance),
        "subnets": list(wanted.subnet),
        "securityGroupIds": list(wanted.security_group),
        "instanceRole": wanted.instance_role,
        "launchTemplate": {"launchTemplateName": wanted.name, "version": "$Latest"},
    }
    parameters = {
        "computeEnvironmentName": wanted.name,
        "type": "MANAGED",
        "computeResources": resources,
    }
    return Call("batch", "create_compute_environment", parameters)


def _queue(wanted: argparse.Namespace) -> Call:
    order = [{"order": 1, "computeEnvironment": wanted.name}]
    parameters = {"jobQueueName": wanted.name, "priority": 1, "computeEnvironmentOrder": order}
    return Call("batch", "create_job_queue", parameters)


def _definition(wanted: argparse.Namespace) -> Call:
    """The job: no rights, a root that nobody writes to, and /tmp in a volume of its own."""
    told = {"DATELINE_DATA": "/tmp/dateline", "DATELINE_SPOT": "true", **dict(wanted.set)}
    more = ["--products", wanted.products] if wanted.products else []
    shard = ["--shard", "array"] if wanted.size > 1 else []
    container = {
        "image": wanted.image,
        "command": ["ingest", *wanted.sources, *shard, *more],
        "jobRoleArn": wanted.job_role,
        "executionRoleArn": wanted.execution_role,
        "resourceRequirements": [
            {"type": "VCPU", "value": str(wanted.processors)},
            {"type": "MEMORY", "value": str(wanted.memory)},
        ],
        "environment": [{"name": name, "value": value} for name, value in told.items()],
        "secrets": [
            {"name": "DATELINE_RECORD", "valueFrom": wanted.record_secret},
            {"name": "DATELINE_WORK_URL", "valueFrom": wanted.work_secret or wanted.record_secret},
            *({"name": name, "valueFrom": arn} for name, arn in wanted.secret),
        ],
        "readonlyRootFilesystem": True,
        "privileged": False,
        "volumes": [{"name": "tmp", "host": {}}],
        "mountPoints": [{"sourceVolume": "tmp", "containerPath": "/tmp"}],
    }
    again = [
        {"onStatusReason": "Host EC2*", "action": "RETRY"},  # the instance was taken away
        *({"onExitCode": code, "action": "RETRY"} for code in _INTERRUPTED),
        {"onReason": "*", "action": "EXIT"},
    ]
    parameters = {
        "jobDefinitionName": wanted.name,
        "type": "container",
        "platformCapabilities": ["EC2"],
        "containerProperties": container,
        "retryStrategy": {"attempts": _FIRST_TRY_AND_MORE, "evaluateOnExit": again},
        "timeout": {"attemptDurationSeconds": wanted.hours * 3600},
    }
    return Call("batch", "register_job_definition", parameters)


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; ends the process with a sentence for those that make no sense."""
    parser = argparse.ArgumentParser("python -m deploy.batch", description=__doc__)
    parser.add_argument("name", help="of the queue, its environment, the definition and the job")
    parser.add_argument("sources", nargs="+", help="s3://bucket/folder, as for `dateline ingest`")
    parser.add_argument("--image", required=True, help="the image in ECR")
    parser.add_argument("--size", type=int, default=8, help="jobs of the array; 1 for no array")
    parser.add_argument("--products", default="", help="product codes, by commas")
    parser.add_argument("--record-secret", required=True, help="ARN: address of the record")
    parser.add_argument("--work-secret", default="", help="ARN: address of orders; the record's")
    parser.add_argument(
        "--secret", type=pair, action="append", default=[], help="NAME=ARN: another secret setting"
    )
    parser.add_argument("--media-store", required=True, help="s3://... for stills")
    parser.add_argument("--job-role", required=True, help="ARN: reads the files, writes stills")
    parser.add_argument(
        "--execution-role", required=True, help="ARN: pulls the image, reads secrets"
    )
    parser.add_argument("--instance-role", required=True, help="ARN of the instances' profile")
    parser.add_argument("--instance", action="append", default=[], help="type; repeatable")
    parser.add_argument("--subnet", action="append", required=True)
    parser.add_argument("--security-group", action="append", required=True)
    parser.add_argument("--processors", type=int, default=4, help="of a job")
    parser.add_argument("--memory", type=int, default=8192, help="of a job, in MiB")
    parser.add_argument("--hours", type=int, default=24, help="longest run of one try")
    parser.add_argument("--submit-only", action="store_true", help="the rest is there already")
    add_common_options(parser)
    found = parser.parse_args(arguments)
    if not 1 <= found.size <= _LARGEST:
        parser.error(f"--size is 1 to {_LARGEST:,}")
    if not all(source.startswith("s3://") for source in found.sources):
        parser.error("a source is s3://bucket/folder: a job has no other files")
    found.instance = found.instance or ["c7i.xlarge", "c7a.xlarge", "c6i.xlarge"]
    found.set = [("DATELINE_MEDIA_STORE", found.media_store), *found.set]
    return found


def main() -> int:
    """Run the program."""
    wanted = parsed(sys.argv[1:])
    return carry_out(calls(wanted), wanted.region, dry_run=wanted.dry_run)


if __name__ == "__main__":
    sys.exit(main())
