"""A server that speaks S3 on loopback (moto), and the environment in which clients find it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import boto3
import pytest
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem


@contextmanager
def bucket(name: str) -> Iterator[str]:
    """An empty bucket; its URL. Clients that this process opened for another bucket are forgotten,
    because they are kept whatever address the environment names.
    """
    S3FileSystem.clear_instance_cache()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in _environment(f"http://{host}:{port}").items():
            patch.setenv(variable, value)
        boto3.client("s3").create_bucket(Bucket=name)
        yield f"s3://{name}"
    server.stop()


def _environment(address: str) -> Mapping[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": address,
    }


def put(bucket: str, key: str, data: bytes) -> None:
    """Puts an object there."""
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=data)
