"""Creates a SageMaker endpoint of the models: `python -m deploy.sagemaker NAME --image ...`.

The same image and model.tar.gz make an endpoint that answers at once, an asynchronous one
(`--async-output`) or a batch transform (`--transform-input` and `--transform-output`). With
`--dry-run` the calls are checked and printed, and nothing is sent.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from deploy.calls import Call, add_common_options, carry_out

_COPY_TARGET = 60.0  # invocations a minute and copy at which another copy is started
_BACKLOG_TARGET = 5.0  # waiting requests for each copy of an asynchronous endpoint
_LINES = "application/jsonlines"


def calls(wanted: argparse.Namespace) -> Iterator[Call]:
    """Yield the calls that make what the arguments want, in order."""
    yield _model(wanted)
    if wanted.transform_input:
        yield _transform(wanted)
        return
    yield _configuration(wanted)
    endpoint = {"EndpointName": wanted.name, "EndpointConfigName": wanted.name}
    yield Call("sagemaker", "create_endpoint", endpoint)
    if wanted.most > wanted.least:
        yield from _scaling(wanted)


def _model(wanted: argparse.Namespace) -> Call:
    container = {"Image": wanted.image, "Environment": dict(wanted.set)}
    if wanted.model_data:
        container["ModelDataUrl"] = wanted.model_data
    parameters = {
        "ModelName": wanted.name,
        "ExecutionRoleArn": wanted.role,
        "PrimaryContainer": container,
        "EnableNetworkIsolation": True,  # the models need no network, so they get none
    }
    return Call("sagemaker", "create_model", parameters)


def _configuration(wanted: argparse.Namespace) -> Call:
    variant = {
        "VariantName": "all",
        "ModelName": wanted.name,
        "InstanceType": wanted.instance,
        "InitialInstanceCount": max(1, wanted.least),
        "ContainerStartupHealthCheckTimeoutInSeconds": 120,
    }
    parameters = {"EndpointConfigName": wanted.name, "ProductionVariants": [variant]}
    if wanted.async_output:
        parameters["AsyncInferenceConfig"] = {
            "OutputConfig": {"S3OutputPath": wanted.async_output},
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 8},
        }
    return Call("sagemaker", "create_endpoint_config", parameters)


def _transform(wanted: argparse.Namespace) -> Call:
    """Lines of JSON in, lines of JSON out, each answer joined to its record."""
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": wanted.transform_input}}
    parameters = {
        "TransformJobName": wanted.name,
        "ModelName": wanted.name,
        "BatchStrategy": "MultiRecord",
        "MaxPayloadInMB": 6,
        "MaxConcurrentTransforms": 8,
        "TransformInput": {"DataSource": source, "ContentType": _LINES, "SplitType": "Line"},
        "TransformOutput": {
            "S3OutputPath": wanted.transform_output,
            "Accept": _LINES,
            "AssembleWith": "Line",
        },
        "TransformResources": {
            "InstanceType": wanted.instance,
            "InstanceCount": max(1, wanted.least),
        },
        "DataProcessing": {"JoinSource": "Input"},
    }
    return Call("sagemaker", "create_transform_job", parameters)


def _scaling(wanted: argparse.Namespace) -> Iterator[Call]:
    """Copies by invocations a minute; of an asynchronous endpoint by what waits, down to none."""
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{wanted.name}/variant/all",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    limits = {"MinCapacity": wanted.least, "MaxCapacity": wanted.most}
    yield Call("application-autoscaling", "register_scalable_target", {**target, **limits})
    metric = (
        {
            "CustomizedMetricSpecification": {
                "MetricName": "ApproximateBacklogSizePerInstance",
                "Namespace": "AWS/SageMaker",
                "Dimensions": [{"Name": "EndpointName", "Value": wanted.name}],
                "Statistic": "Average",
            }
        }
        if wanted.async_output
        else {
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            }
        }
    )
    policy = {
        "TargetValue": _BACKLOG_TARGET if wanted.async_output else wanted.invocations,
        "ScaleOutCooldown": 60,
        "ScaleInCooldown": 300,
        **metric,
    }
    parameters = {
        "PolicyName": f"{wanted.name}-copies",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": policy,
    }
    yield Call("application-autoscaling", "put_scaling_policy", {**target, **parameters})


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; ends the process with a sentence for those that make no sense."""
    parser = argparse.ArgumentParser("python -m deploy.sagemaker", description=__doc__)
    parser.add_argument("name", help="of the endpoint, its model and its policy")
    parser.add_argument("--image", required=True, help="the image in ECR")
    parser.add_argument("--role", required=True, help="ARN of the role that the container has")
    parser.add_argument(
        "--model-data", default="", help="s3://.../model.tar.gz; the image's if not"
    )
    parser.add_argument("--instance", default="ml.c7i.xlarge", help="type of the instances")
    parser.add_argument("--least", type=int, default=1, help="copies; 0 only with --async-output")
    parser.add_argument("--most", type=int, default=4, help="copies")
    parser.add_argument("--invocations", type=float, default=_COPY_TARGET, help="a minute and copy")
    parser.add_argument("--async-output", default="", help="s3://... for answers: asynchronous")
    parser.add_argument("--transform-input", default="", help="s3://... of lines: batch transform")
    parser.add_argument("--transform-output", default="", help="s3://... for its answers")
    add_common_options(parser)
    found = parser.parse_args(arguments)
    if bool(found.transform_input) != bool(found.transform_output):
        parser.error("--transform-input and --transform-output go together")
    if not found.least <= found.most:
        parser.error("--least is more than --most")
    if found.least < 1 and not found.async_output:
        parser.error("only an asynchronous endpoint goes down to 0 copies: --async-output")
    return found


def main() -> int:
    """Run the program."""
    wanted = parsed(sys.argv[1:])
    return carry_out(calls(wanted), wanted.region, dry_run=wanted.dry_run)


if __name__ == "__main__":
    sys.exit(main())
