"""Where originals lie, as several hosts know it."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from core.errors import StorageError
from storage.postgres import media_roots
from storage.postgres.media_roots import PostgresMediaRoots
from tests.postgres_server import Server
from tests.storage.postgres_world import address_of


@pytest.fixture
def address(postgres: Server, folder: Path) -> str:
    return address_of(postgres, folder)


def test_what_one_host_adds_another_serves(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ingest of an archive makes the tables; a service looks once a second at most."""
    now = [0.0]
    monkeypatch.setattr(media_roots, "monotonic", lambda: now[0])
    one, other = PostgresMediaRoots(address), PostgresMediaRoots(address)
    one.add(["/photos", "s3://bucket/films", "/photos"])
    assert other.read() == ("/photos", "s3://bucket/films")
    one.add(["/photos", "/late", "/l\u00f6ng" * 2000])
    assert len(other.read()) == 2
    now[0] += 1
    assert other.read()[:3] == ("/photos", "s3://bucket/films", "/late")
    for roots in (one, other):
        roots.close()


def test_more_places_than_that_are_refused_and_nothing_is_added(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_roots, "MOST", 3)
    roots = PostgresMediaRoots(address)
    roots.add(["a", "b"])
    with pytest.raises(StorageError, match="more than 3 places"):
        roots.add(["c", "d"])
    assert roots.read() == ("a", "b")
    roots.close()


def test_a_server_that_is_gone_takes_no_root_away(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(media_roots, "monotonic", lambda: now[0])
    roots = PostgresMediaRoots(address)
    roots.add(["/photos"])
    assert roots.read() == ("/photos",)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP TABLE media_roots")
    now[0] += 1
    assert roots.read() == ("/photos",)
    roots.close()


def test_an_ingest_without_a_server_says_so() -> None:
    roots = PostgresMediaRoots("postgresql://desk:hunter2@127.0.0.1:1/archive")
    assert roots.read() == ()
    with pytest.raises(StorageError) as refused:
        roots.add(["/photos"])
    assert "hunter2" not in str(refused.value)
    roots.close()
