"""A spot instance's warning, over a socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from dateline.aws.spot import SpotWatch
from tests.metadata_server import MetadataServer, metadata

PATIENCE_S = 120.0


@pytest.fixture
def server() -> Iterator[MetadataServer]:
    with metadata() as found:
        yield found


class Told:
    """What was told, and when it was."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.is_told = threading.Event()

    def __call__(self, warning: str) -> None:
        self.warnings.append(warning)
        self.is_told.set()


def test_the_warning_is_told_once(server: MetadataServer) -> None:
    told = Told()
    watch = SpotWatch(told, url=server.url, every_s=0.02)
    assert server.asked.wait(PATIENCE_S)
    assert not told.is_told.is_set()
    server.warns.set()
    assert told.is_told.wait(PATIENCE_S)
    watch.close()
    assert told.warnings == ["terminate at 2026-03-15T12:02:00Z"]
    assert server.given == 1


def test_a_token_that_has_ended_is_asked_for_again(server: MetadataServer) -> None:
    told = Told()
    watch = SpotWatch(told, url=server.url, every_s=0.02)
    assert server.asked.wait(PATIENCE_S)
    server.tokens.clear()
    server.warns.set()
    assert told.is_told.wait(PATIENCE_S)
    watch.close()
    assert server.given >= 2


def test_without_a_metadata_service_nothing_is_told(server: MetadataServer) -> None:
    told = Told()
    watch = SpotWatch(told, url="http://127.0.0.1:1", every_s=0.01)
    watch.close()
    assert told.warnings == []
