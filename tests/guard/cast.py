"""What a history is about: some uris, the versions that are drawn for them, and what to ask for."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from core.items import PubStatus
from tests.guard.documents import document_of
from tests.guard.model import RESERVES, Nested, Version, marks_in
from tests.guard.surfaces import JSON_LINES
from tests.guard.world import World

_PLAIN = 3  # uris that nobody reserves


class Cast:
    """The items of one history, of which nothing else in the archive has a word (`surfaces.Scene`).

    `lists` are the addresses of next pages that answers gave out, with the name of who got them.
    """

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.drawing = random.Random(seed)
        self.rng = random.Random(f"looks at {seed}")  # what is told changes no step
        prefixes = [*["urn:"] * _PLAIN, *RESERVES.values()]
        self.uris = [f"{prefix}{world.words.fresh()}" for prefix in prefixes]
        self.unknown = f"urn:{world.words.fresh()}"
        self.outside = f"urn:{world.words.fresh()}"  # stands inside items, never is one
        self.named = [*self.uris, self.unknown, self.outside]
        self.story = f"{self.drawing.choice(prefixes)}story-{seed}"
        self.lists: list[tuple[str, str]] = []
        world.addresses |= marks_in(str(self.named))

    def uri(self) -> str:
        """Of anything, among them the name of a story."""
        return self.rng.choice([*self.named, self.story])

    def known(self) -> str:
        """Of what is recorded."""
        return self.drawing.choice(sorted(self.world.model.versions))

    def word(self) -> str:
        """Of any version, shown or not."""
        versions = self.world.model.versions.values()
        words = [w for some in versions for o in some for w in (o.sent.word, o.sent.invented)]
        return self.rng.choice(words or [*marks_in(self.unknown)])

    def cursor(self) -> str:
        """Of some list of somebody's."""
        pages = [page for _, page in self.lists]
        return dict(parse_qsl(urlsplit(self.rng.choice(pages or [""])).query)).get("cursor", "")

    def drawn(self, uri: str) -> Version:
        """The next version of an item."""
        rng = self.drawing
        number = 1 + max((o.sent.number for o in self.world.model.versions.get(uri, ())), default=0)
        named_by, chain = rng.choice(
            [("", uri)] * 4
            + [("altids", self.story)] * 2
            + [(way, rng.choice(self.uris)) for way in ("itemid", "predecessor", "writethru_of")]
        )
        return Version(
            uri=uri,
            number=number,
            word=self.world.words.fresh(),
            chain=chain,
            named_by=named_by,
            products=self.products(),
            created=self.world.now - timedelta(hours=rng.choice([1, 2, 3, 9])),
            place=rng.choice(["Coast", "Valley"]),
            kind=rng.choice(["text", "picture", "video"]),
            pubstatus=rng.choice(
                [PubStatus.USABLE] * 12 + [PubStatus.CANCELED, PubStatus.WITHHELD]
            ),
            embargoed=rng.choice([None] * 5 + [self.later()]),
            expires=rng.choice([None] * 6 + [self.later()]),
            nested=tuple(self._nested(uri)),
            by_worker=rng.random() < 0.3,
            states_products=rng.random() < 0.3,
            invented=self.world.words.fresh(),
        )

    def _nested(self, uri: str) -> Iterable[Nested]:
        many = self.drawing.choice([0, 0, 1, 2])
        for other in self.drawing.sample([*self.uris, self.outside], many):
            if other != uri:
                yield Nested(other, self.world.words.fresh())

    def bulk(self, kind: str) -> list[tuple[Version, Any]]:
        """Versions, each as a document of its own products; of some the document can't be read. Of
        `kind` JSON lines a text is a line.
        """
        some: list[tuple[Version, Any]] = []
        for uri in self.drawing.choices(self.uris, k=self.drawing.choice([2, 3, 4, 10])):
            before = sum(one.uri == uri for one, _ in some)
            drawn = self.drawn(uri)
            number = drawn.number + before - self.drawing.choice([0, 0, 0, 1])
            version = replace(drawn, number=max(1, number), by_worker=False, states_products=True)
            document = document_of(version)
            cut = [json.dumps(document)[:-1]] if kind == JSON_LINES else []
            spoilt = self.drawing.choice([*_spoilt(document), *cut])
            some.append((version, self.drawing.choice([document] * 4 + [spoilt])))
        return some

    def products(self) -> tuple[str, ...]:
        """Of one item; an item without any is nobody's."""
        some = [("wire",), ("wire", "photos"), ("wire", "photos"), ("photos",), ("premium",)]
        return self.drawing.choice(some * 3 + [()])

    def later(self) -> datetime:
        """A moment to come."""
        return self.world.now + timedelta(hours=self.drawing.choice([1, 3]))


def _spoilt(document: dict[str, Any]) -> list[Any]:
    """What is refused without a look at the archive."""
    return [
        document | {"embargoed": "soon"},
        document | {"embargo": "2030-01-01T00:00:00Z"},
        document | {"version": []},
        {name: value for name, value in document.items() if name != "uri"},
        [document],
    ]
