"""What docs/runbooks says, done to a real service while it is asked: a restore from a backup that
was taken under writes, and a change of keys.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import httpx
import pytest

from tests.dateline.conftest import Cli
from tests.dateline.serving.test_searchers import WRITE, soon
from tests.dateline.serving.test_workers import DESK, READER, Workers, serving, write_settings

pytestmark = pytest.mark.service


@pytest.fixture
def home(filled: Path, folder: Path) -> Path:
    shutil.copytree(filled, folder / "archive")
    write_settings(folder, DESK, READER)
    return folder


@contextmanager
def written_without_end(service: Workers) -> Iterator[list[str]]:
    """A client writes stories while the block runs; yields the uris that were acknowledged."""
    uris, enough = list[str](), Event()

    def write() -> None:
        with httpx.Client(base_url=service.client.base_url, headers=WRITE, timeout=240) as client:
            while not enough.is_set():
                uri = f"urn:rehearsal:{len(uris)}"
                story = {"uri": uri, "headline": "A quokka in spring", "products": ["demo"]}
                assert client.post("/content", json=story).status_code == 201
                uris.append(uri)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            yield uris
        finally:
            enough.set()
        writing.result()


def quokkas(cli: Cli) -> set[str]:
    return {*cli.found("quokka", "--profile", "lexical", "--page-size", "100")}


def test_a_backup_under_writes_is_restored_beside_and_in_place(home: Path) -> None:
    archive, copy = Cli(home / "archive"), home / "copy"
    with serving(home) as (_, service):
        with written_without_end(service) as uris:
            soon(lambda: len(uris), lambda count: count >= 5, 240)
            before = {*uris}
            archive("backup", copy)
            after = {*uris}
            soon(lambda: len(uris), lambda count: count > len(after), 240)
        service.kill("urn:rehearsal:0")
        assert quokkas(archive) == {*uris} - {"urn:rehearsal:0"}
        assert "uses this archive" in archive("restore", copy, "--force", code=2).stderr
    beside = Cli(home / "beside")
    beside("restore", copy)
    held = quokkas(beside)
    assert before <= held <= after | {f"urn:rehearsal:{len(after)}"}  # one may be on its way
    assert (
        "dateline set-status urn:rehearsal:0 canceled" in archive("restore", copy, "--force").stdout
    )
    archive("set-status", "urn:rehearsal:0", "canceled")
    with serving(home) as (_, service):
        found = service.found("quokka")
        assert found == [found[0]] * 2
        assert "urn:rehearsal:0" not in found[0]
    assert quokkas(archive) == held - {"urn:rehearsal:0"}


def test_a_key_of_an_account_is_rotated_and_no_request_fails(home: Path) -> None:
    archive = Cli(home / "archive")
    archive("accounts", "create", "gazette", "--title", "The Gazette")
    archive("accounts", "entitlement", "put", "1", "--name", "Wire", "--product", "demo")
    archive("accounts", "plan", "add", "gazette", "Wire", "--entitlement", "1")
    old = archive.json("accounts", "key", "create", "gazette", "--name", "desk")
    statuses, used, enough = list[int](), [old["key"]], Event()
    with serving(home) as (_, service):

        def ask() -> None:
            while not enough.is_set():
                statuses.append(service.status(used[-1]))

        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(ask)
            try:
                new = archive.json("accounts", "key", "rotate", old["id"], "--overlap", "24h")
                soon(lambda: service.status(new["key"]), lambda status: status == 200)
                used.append(new["key"])
                count = len(statuses)
                soon(lambda: len(statuses), lambda now: now > count + 1, 240)
                archive("accounts", "key", "revoke", old["id"])
                soon(lambda: service.status(old["key"]), lambda status: status == 401)
                count = len(statuses)
                soon(lambda: len(statuses), lambda now: now > count + 1, 240)
            finally:
                enough.set()
            asking.result()
    assert {*statuses} == {200}
