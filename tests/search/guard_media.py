"""The media of the archive that the guard looks at, over HTTP: by key and by signed addresses."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import quote

from fastapi.testclient import TestClient

from api.app import create_app
from api.keys import KeyRing, fingerprint
from api.media_links import MediaLinks
from api.services import Services
from core.callers import NOBODY, Caller
from core.items import Item, MediaFile
from core.ports import Library
from core.standing import Sight
from tests.api.newsroom import Newsroom
from tests.search.guard_model import MARKS, UNKNOWN, URIS, own_words
from tests.search.guard_world import World

KEY = "guard"
RENDITIONS = ("thumbnail", "preview", "original", "shot-1", "shot-2")


class Named:
    """Every file is its name: a version's word is in it."""

    def still(self, name: str) -> BinaryIO:
        return io.BytesIO(name.encode())

    def has_original(self, location: str) -> bool:
        return bool(location)

    def original(self, media: MediaFile) -> BinaryIO:
        return io.BytesIO(media.digest.encode())


@dataclass
class OneKey:
    """A key ring whose only key is whoever asks just now."""

    caller_now: Caller = NOBODY

    @property
    def entries(self) -> tuple[tuple[bytes, Caller], ...]:
        return ((fingerprint(KEY), self.caller_now),)

    def caller(self, key: str) -> Caller | None:
        return KeyRing(self.entries).caller(key)


@dataclass
class Behind:
    """The library of a world whose engine may be opened anew."""

    world: World

    def item(self, uri: str, caller: Caller) -> Item | None:
        return self.world.room.engine.item(uri, caller)

    def chain(self, uri: str, caller: Caller) -> tuple[Item, ...]:
        return self.world.room.engine.chain(uri, caller)

    def sights(self, named: Mapping[str, Collection[str]], caller: Caller) -> Mapping[str, Sight]:
        return self.world.room.engine.sights(named, caller)


@dataclass
class Screen:
    """A client before the media of a world."""

    world: World
    keys: OneKey = field(default_factory=OneKey)

    def __post_init__(self) -> None:
        absent: Any = Newsroom()
        keys: Any = self.keys
        library: Library = Behind(self.world)
        parts = dict.fromkeys(("search", "writer", "ingest", "status"), absent)
        app = create_app(Services(**parts, library=library, keys=keys, media=Named()))
        self.links: MediaLinks = app.state.surface.signer.links(KEY)
        self.client = TestClient(app).__enter__()

    def look(self, caller: Caller) -> None:
        """Every rendition of every item, by key and by signed address: the shown version's file, or
        what is told of an item that never was.
        """
        self.keys.caller_now = caller
        heads = self.world.heads(caller)
        unknown = self._ask(f"/v1/media/thumbnail/{quote(UNKNOWN, safe='')}", key=True)
        for uri in URIS:
            signed = [self.links.of(uri, rendition) for rendition in RENDITIONS]
            plain = [f"/v1/media/{rendition}/{quote(uri, safe='')}" for rendition in RENDITIONS]
            for address, key in (
                *((one, False) for one in signed),
                *((one, True) for one in plain),
            ):
                status, text = self._ask(address, key=key)
                if uri in heads:
                    assert status == 200
                    assert own_words(text) == {MARKS[uri, heads[uri].version]}
                else:
                    assert (status, text.replace(uri, UNKNOWN)) == unknown

    def _ask(self, address: str, *, key: bool) -> tuple[int, str]:
        answer = self.client.get(address, headers={"x-api-key": KEY} if key else {})
        if answer.status_code == 200:
            return 200, answer.text
        error = answer.json()["error"]
        return answer.status_code, f"{error['message']} {error['mend']}"

    def close(self) -> None:
        self.client.__exit__(None, None, None)


def filming(world: World, caller: Caller, uri: str, version: int) -> None:
    """Pictures, stills and films of what is shown, and of nothing else."""
    del uri, version
    if world.screen is None:
        world.screen = Screen(world)
    world.screen.look(caller)
