"""A small archive with a real photo, a real video and their stills, behind the surface."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from api.access.keys import KeyRing
from api.access.services import ApiSettings, MediaPort, Services
from api.app import create_app
from core.items import Item, ItemType, MediaFile, Passage, PassageVectors, Shot
from core.writes import PutItem
from search.suggest import Suggester
from storage.media.files import FolderMediaStore
from storage.media.originals import ServedMedia
from tests.api.conftest import CALLERS
from tests.api.newsroom import Newsroom
from tests.search.room import Room, story

PHOTO, VIDEO = "urn:news:dog", "http://news.example/videos/ferry?cut=1&x=ü"
BY = "pixel-1, prompt 4f2a"
FILM_BYTES = 700_000


def still(color: str) -> bytes:
    """A JPEG of one colour."""
    out = io.BytesIO()
    Image.new("RGB", (64, 36), color).save(out, "JPEG")
    return out.getvalue()


@dataclass
class MediaArchive:
    """The archive, the media behind it, and the surface over both."""

    room: Room
    files: ServedMedia
    film: bytes
    originals: Path

    def app(
        self, media: MediaPort | None = None, secret: str = "s", root: str = "", **more: Any
    ) -> FastAPI:
        """The surface; `more` are other parts of its services."""
        absent = Newsroom()
        return create_app(
            replace(
                Services(
                    search=self.room.pipeline,
                    library=self.room.engine,
                    writer=self.room.engine,
                    ingest=absent,
                    status=absent,
                    keys=KeyRing.of(CALLERS),
                    settings=ApiSettings(media_secret=secret, root_path=root),
                    suggest=Suggester(self.room.engine),
                    media=media or self.files,
                ),
                **more,
            )
        )


def photo(files: ServedMedia, path: Path, **members: Any) -> Item:
    data = still("tan")
    path.write_bytes(data)
    name = files.stills.put(still("brown"), ".jpg")
    digest = hashlib.sha256(data).hexdigest()
    file = MediaFile(
        str(path), digest, "image/jpeg", len(data), 64, 36, thumbnail=name, preview=name
    )
    told = {"caption": "Two dogs running on a beach", "caption_by": BY}
    return story(PHOTO, type=ItemType.PICTURE, media=file, **{**told, **members})


def video(files: ServedMedia, path: Path, film: bytes, **members: Any) -> Item:
    path.write_bytes(film)
    stills = [files.stills.put(still(color), ".jpg") for color in ("navy", "teal", "olive")]
    lines = (("A wide shot of the harbour", ""), ("The ferry leaves the quay", ""), ("A gull", BY))
    shots = tuple(
        Shot(4.0 * n, 4.0 * n + 4, 100 * n, 100 * n + 99, "cut", text, by, 4.0 * n + 2, name)
        for n, ((text, by), name) in enumerate(zip(lines, stills, strict=True))
    )
    digest = hashlib.sha256(film).hexdigest()
    file = MediaFile(str(path), digest, "video/mp4", len(film), 64, 36, 12.0, stills[0], stills[0])
    kept = {"headline": "Ferry strike ends", "media": file, "shots": shots}
    return story(VIDEO, type=ItemType.VIDEO, **{**kept, **members})


def put(room: Room, *items: Item) -> None:
    """With a passage for each of a video's shots, as the embedder makes them."""
    writes = []
    for item in items:
        lines = item.shotlist.split("\n") if item.shots else [item.caption or item.headline]
        name = "shotlist" if item.shots else "caption" if item.caption else "headline"
        passages, start = [], 0
        for line in lines:
            passages.append(Passage(name, start, start + len(line)))
            start += len(line) + 1
        matrix = room.encoder.encode_passages([f"{item.headline}\n{line}" for line in lines])
        vectors = PassageVectors("text", room.encoder.digest, tuple(passages), matrix)
        writes.append(PutItem(item, (vectors,)))
    room.engine.put(writes)
    room.engine.catch_up()


@contextmanager
def media_archive(folder: Path) -> Iterator[MediaArchive]:
    """The archive in `folder`, with the photo and the video in it."""
    originals = folder / "originals"
    originals.mkdir(parents=True)
    files = ServedMedia(FolderMediaStore(folder / "media"), lambda: (str(originals),))
    film = bytes(n * 7 % 251 for n in range(FILM_BYTES))
    room = Room(folder / "archive")
    try:
        put(room, photo(files, originals / "dog.jpg"), video(files, originals / "ferry.mp4", film))
        yield MediaArchive(room, files, film, originals)
    finally:
        room.engine.close()


@contextmanager
def asking(archive: MediaArchive, **more: Any) -> Iterator[TestClient]:
    with TestClient(archive.app(**more), raise_server_exceptions=False) as client:
        yield client


def changed(item: Item, **members: Any) -> Item:
    """The next version of an item."""
    return replace(item, version=item.version + 1, **members)
