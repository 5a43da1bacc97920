"""A service over a few pictures and a real film, made here, on a free port of this machine."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw

from api.access.keys import KeyRing
from api.access.services import ApiSettings, Services
from api.app import create_app
from api.customers.followed import TopicSearch
from core.items import ItemType, MediaFile, Shot
from core.media_words import SeenText, Utterance
from customers.baskets import Baskets
from customers.topics import FollowedTopics
from search.suggest import Suggester
from storage.customers.baskets import StoredBaskets
from storage.customers.receipts import StoredReceipts
from storage.customers.topics import StoredTopics
from storage.databases import open_database
from storage.embedded.percolation import Percolator
from storage.embedded.topic_set import TopicSet
from storage.media.files import FolderMediaStore
from storage.media.originals import ServedMedia
from storage.words.topics import Topics
from tests.api.conftest import CALLERS, READ
from tests.api.media_archive import BY, put
from tests.api.newsroom import Newsroom
from tests.app_server import on_a_port
from tests.search.room import Room, story

FILM, FERRY, DOG, TEXT = "urn:news:film", "urn:news:ferry", "urn:news:dog", "urn:news:text"
SHOT_SECONDS = 2.0
SHOTS = (
    ("#23395d", "Harbour at dawn, wide", ""),
    ("#8d5524", "The ferry leaves the quay", ""),
    ("#2f6f4f", "A gull on a rail", BY),
    ("#b33951", "Captain on the bridge", ""),
    ("#4e4187", "", ""),
    ("#c9a227", "Passengers wave to the shore", BY),
    ("#3a7ca5", "Lighthouse and waves", ""),
    ("#6b705c", "Crew coil a rope", BY),
    ("#a44a3f", "The ferry enters the port", ""),
)


SAID = (
    Utterance(1.0, 3.5, "Welcome on board"),
    Utterance(11.5, 13.0, "Thank you and good night"),
)


def drawn(color: str, label: str, width: int = 480, height: int = 270) -> Image.Image:
    image = Image.new("RGB", (width, height), color)
    pen = ImageDraw.Draw(image)
    pen.ellipse((width * 0.6, height * 0.15, width * 0.8, height * 0.5), fill="#f4e9cd")
    pen.polygon([(0, height), (width * 0.4, height * 0.55), (width, height)], fill="#1b1b1e")
    pen.text((16, height - 30), label, fill="white", font_size=20)
    return image


def jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


def film(path: Path) -> bytes:
    """A WebM of the shots, two seconds each, with a key frame at each beginning."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libvpx", rate=5, options={"g": "10", "deadline": "realtime", "cpu-used": "8"}
        )
        stream.width, stream.height, stream.pix_fmt = 480, 270, "yuv420p"
        for color, label, _ in SHOTS:
            pixels = np.asarray(drawn(color, label))
            for _ in range(int(5 * SHOT_SECONDS)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


def fill(room: Room, files: ServedMedia, originals: Path) -> None:
    """The film, a picture that people describe, one that only a machine does, and a story."""
    data = film(originals / "ferry.webm")
    stills = [files.stills.put(jpeg(drawn(color, label)), ".jpg") for color, label, _ in SHOTS]
    shots = tuple(
        Shot(2.0 * n, 2.0 * n + 2, 10 * n, 10 * n + 9, "cut", text, by, 2.0 * n + 1, stills[n])
        for n, (_, text, by) in enumerate(SHOTS)
    )
    last = 2.0 * len(SHOTS)
    digest = hashlib.sha256(data).hexdigest()
    place = str(originals / "ferry.webm")
    media = MediaFile(place, digest, "video/webm", len(data), 480, 270, last, stills[0], stills[0])
    put(
        room,
        story(FILM, "Ferries sail again", type=ItemType.VIDEO, media=media, shots=shots, when=3,
              speech=SAID, speech_by="ear-1, 9c1f"),
        picture(files, originals, FERRY, "#457b9d", headline="Ferry at the quay", when=2,
                source={"creditline": "Lens A. Lee"}, usageterms="Editorial use only.",
                description="The ferry Lusa at the quay of Porto Alto on Monday.",
                caption="A white boat beside a pier", caption_by=BY,
                seen=(SeenText("LUSA II", (0.1, 0.5, 0.2, 0.1), 0.0, 0.9),), seen_by="reader-1"),
        picture(files, originals, DOG, "#bc6c25", when=1,
                caption="Two dogs run along a beach after a ferry", caption_by=BY),
        story(TEXT, "Ferry strike ends", body="The ferry to the islands sails again on Monday."),
    )  # fmt: skip


def picture(files: ServedMedia, originals: Path, uri: str, color: str, **members: Any) -> Any:
    data = jpeg(drawn(color, uri.rpartition(":")[2], 900, 600))
    path = originals / f"{uri.rpartition(':')[2]}.jpg"
    path.write_bytes(data)
    name = files.stills.put(data, ".jpg")
    digest = hashlib.sha256(data).hexdigest()
    media = MediaFile(str(path), digest, "image/jpeg", len(data), 900, 600, 0.0, name, name)
    return story(uri, type=ItemType.PICTURE, media=media, **members)


@contextmanager
def film_service(folder: Path) -> Iterator[tuple[str, Room]]:
    """The service's address, and the archive behind it."""
    originals = folder / "originals"
    originals.mkdir()
    files = ServedMedia(FolderMediaStore(folder / "media"), lambda: (str(originals),))
    room, absent = Room(folder / "archive"), Newsroom()
    fill(room, files, originals)
    database = open_database(folder / "customers.sqlite", synced=False)
    receipts = StoredReceipts(database)
    topics = FollowedTopics(
        StoredTopics(database),
        lambda: room.now,
        lambda: TopicSet(Percolator(Topics(), room.engine.languages)),
    )
    services = Services(
        search=TopicSearch(room.pipeline, topics),
        library=room.engine,
        writer=room.engine,
        ingest=absent,
        status=absent,
        keys=KeyRing.of(CALLERS),
        settings=ApiSettings(demo=True, loopback=True, demo_read_key=READ),
        suggest=Suggester(room.engine),
        media=files,
        topics=topics,
        receipts=receipts,
        baskets=Baskets(StoredBaskets(database), room.engine, receipts, lambda: room.now),
        close=room.engine.close,
    )
    with on_a_port(create_app(services), timeout_graceful_shutdown=1) as url:
        yield url, room
    database.close()
