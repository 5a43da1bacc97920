"""Calls of AWS's API as values: shown by a dry run, or made in order.

boto3 checks the parameters of a call against the service's own description before it sends
anything. A dry run has them checked in the same way, without a network and without credentials.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One call: a service such as `sagemaker`, an operation such as `create_model`, parameters."""

    service: str
    operation: str
    parameters: Mapping[str, Any]


class CallError(Exception):
    """Parameters that AWS's own description of the operation does not allow."""


def checked(calls: Iterable[Call]) -> list[Call]:
    """Return the calls after their parameters were checked. Raises CallError with all that is wrong
    in the first bad one.
    """
    from botocore import xform_name
    from botocore.session import get_session
    from botocore.validate import ParamValidator

    session, found = get_session(), list(calls)
    for call in found:
        model = session.get_service_model(call.service)
        names = {xform_name(name): name for name in model.operation_names}
        if call.operation not in names:
            raise CallError(f"{call.service} has no operation {call.operation}")
        shape = model.operation_model(names[call.operation]).input_shape
        report = ParamValidator().validate(dict(call.parameters), shape)
        if report.has_errors():
            raise CallError(f"{call.service} {call.operation}: {report.generate_report()}")
    return found


def carry_out(calls: Iterable[Call], region: str, *, dry_run: bool) -> int:
    """Show the calls, or make them and show their answers' ARNs; return the exit code."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        ready = checked(calls)
    except CallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for call in ready:
        if dry_run:
            print(f"{call.service} {call.operation}")
            print(json.dumps(call.parameters, indent=2))
            continue
        client = boto3.client(call.service, region_name=region)
        try:
            answer = getattr(client, call.operation)(**call.parameters)
        except (BotoCoreError, ClientError) as error:
            print(f"error: {call.service} {call.operation}: {error}", file=sys.stderr)
            return 1
        arns = [value for name, value in answer.items() if name.lower().endswith("arn")]
        print(f"{call.service} {call.operation}: {', '.join(map(str, arns)) or 'done'}")
    return 0


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every program here has."""
    parser.add_argument("--set", type=pair, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--dry-run", action="store_true", help="print the calls, send nothing")


def pair(text: str) -> tuple[str, str]:
    """Return the name and the value of an argument NAME=VALUE. Raises ArgumentTypeError."""
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=VALUE")
    return name, value
