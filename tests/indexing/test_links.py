"""Links that lead out of a folder are not followed, whatever is ingested from it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.work import FoundAsset
from indexing.sources import LEADS_OUT, Accepted, Rejected, Sources
from indexing.work.sources.listing import in_folder, seen_at
from indexing.work.sources.watching import WatchedFolder

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file outside of the folder that is ingested."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.json").write_text('{"uri": "urn:secret", "headline": "A secret"}')
    (outside / "corpus.jsonl").write_text('{"_id": "1", "text": "A secret"}')
    (outside / "secret.jpg").write_bytes(b"secret")
    return outside


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    return inbox


def read(*paths: Path) -> list[str]:
    """Uris, and why what is rejected was."""
    found = list(Sources(paths, lambda: NOW))
    return [one.item.uri if isinstance(one, Accepted) else one.reason for one in found]


@pytest.mark.parametrize("name", ["secret.json", "corpus.jsonl"])
def test_a_document_outside_is_not_read(inbox: Path, secret: Path, name: str) -> None:
    (inbox / name).symlink_to(secret / name)
    assert read(inbox) == [LEADS_OUT]


def test_a_folder_outside_is_not_read(inbox: Path, secret: Path) -> None:
    (inbox / "sub").symlink_to(secret)
    assert read(inbox) == []


def test_dots_lead_out_as_well(inbox: Path, secret: Path) -> None:
    (inbox / "a.json").symlink_to(f"../{secret.name}/secret.json")
    assert read(inbox) == [LEADS_OUT]


def test_links_inside_and_what_is_named_itself_are_read(inbox: Path, secret: Path) -> None:
    (inbox / "a").mkdir()
    (inbox / "a" / "one.json").write_text('{"uri": "urn:one"}')
    (inbox / "b.json").symlink_to("a/one.json")
    assert read(inbox) == ["urn:one", "urn:one"]
    link = inbox / "named.json"
    link.symlink_to(secret / "secret.json")
    assert read(link) == ["urn:secret"]
    folder = inbox.parent / "link"
    folder.symlink_to(secret)
    assert read(folder) == ["urn:beir:outside:1"]


def test_media_outside_are_not_read(inbox: Path, secret: Path) -> None:
    (inbox / "a.jpg").symlink_to(secret / "secret.jpg")
    (found,) = in_folder(inbox, ())
    assert isinstance(found, Rejected)
    assert found.reason == LEADS_OUT


def test_a_sidecar_outside_is_not_read(inbox: Path, secret: Path) -> None:
    """What it says would be shown as the picture's own caption."""
    (inbox / "a.jpg").write_bytes(b"picture")
    (inbox / "a.json").symlink_to(secret / "secret.json")
    found = seen_at(inbox / "a.jpg")
    assert isinstance(found, Rejected)
    assert LEADS_OUT in found.reason
    (inbox / "a.json").unlink()
    assert isinstance(seen_at(inbox / "a.jpg"), FoundAsset)


def test_a_watched_folder_gives_no_link_out(inbox: Path, secret: Path) -> None:
    (inbox / "a.jpg").symlink_to(secret / "secret.jpg")
    (inbox / "b.jpg").write_bytes(b"picture")
    stop, given = threading.Event(), list[Path]()
    for paths in WatchedFolder(inbox, settled_s=0).settled(stop):
        given.extend(paths)
        if given:
            stop.set()
    assert given == [inbox / "b.jpg"]
