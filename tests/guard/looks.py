"""Looks at an archive: surfaces at random, and what must be shown exactly."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from search.answers import FACET_FIELDS
from tests.guard.cast import Cast
from tests.guard.client import Answer
from tests.guard.model import Version, marks_in
from tests.guard.surfaces import (
    AP,
    COMMANDS,
    OUTSIDE,
    ROUTES,
    STREAM,
    Ask,
    Operation,
    Shows,
    headers_of,
)
from tests.guard.world import ACCOUNT, EVERYTHING, SUBSCRIBER, WRITERS, Host

_LINKS = {
    "page": re.compile(r'"next_page":"(/content/search[^"\s]+)"'),
    "ap": re.compile(r'"next_page":"http://[^/]+(/media/v/content/(?:search|feed)[^"\s]+)"'),
    "feed": re.compile(r'"next_page":"(/content/feed[^"\s]+)"'),
    "media": re.compile(r'"(/v1/media/[^"\s]+)"'),
}  # addresses that answers give out
_RARELY_TELL = (
    ("GET", "/v1/suggest"),
    ("GET", "/content/ondemand"),
    ("GET", "/media/v/content/ondemand"),
    ("GET", "/content/rss/{rss_id}"),
    ("GET", "/media/v/content/rss/{rss_id}"),
    ("GET", "/v1/topics/matches"),
    ("GET", STREAM),
)  # of which chance may leave one without anything to tell
_BASKETS = 4  # of a history
_PATIENT_S = 240.0  # of a busy machine; what is not found meanwhile is told of in each answer


class Looks:
    """Whoever reads a history's items, from either process."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        self.world = cast.world
        self.rng = cast.rng
        self.baskets: list[tuple[str, str]] = []  # who made it, and its id
        self.given: dict[str, list[tuple[str, str]]] = {
            "page": cast.lists,
            "ap": [],
            "feed": [],
            "media": [],
        }

    def look(self) -> None:
        """Some surfaces at random, asked of either process; then what must be shown exactly."""
        for _ in range(4):
            self._ask_a_route()
        self._ask_with_what_told_nothing()
        self._ask_outside()
        if self.rng.random() < 0.3:
            self._begin_a_list()
        if self.rng.random() < 0.2:
            self._have_something_sent()
        if self.rng.random() < 0.2:
            self._keep_in_a_basket()
        self._follow_an_address()
        self._browse()
        self._read()

    def command_line(self) -> None:
        """The operator of the machine asks, who has every product: first what told nothing yet."""
        showing = [name for name, (shows, _) in COMMANDS.items() if shows.any]
        silent = [name for name in showing if not self.world.told[f"dateline {name}"]]
        name = silent[0] if silent else next(self.world.commands)
        shows, arguments = COMMANDS[name]
        heads = [head.word for head in self.world.view(EVERYTHING).heads.values()]
        word = self.rng.choice([*heads * 3, self.cast.word()])
        filled = {"{word}": word, "{name}": f"Ana {word[:-1]}", "{start}": word[:5]}
        arguments = [filled.get(one, one) for one in arguments]
        ask = Ask("dateline", name, shows, {"": arguments})
        self.world.look(ask, EVERYTHING, self.world.command(arguments))

    def _ask_a_route(self) -> None:
        weights = [6 if shows.any else 1 for shows in ROUTES.values()]
        operation = self.rng.choices([*ROUTES], weights)[0]
        silent = [one for one in _RARELY_TELL if not self._has_told(one)]
        if silent and self.rng.random() < 0.25:
            operation = self.rng.choice(silent)
        self._ask(self.world.contract.ask(self.cast, operation), *self._anybody())

    def _ask_with_what_told_nothing(self) -> None:
        """With a parameter of which no answer told anything yet: chance leaves none out."""
        path = self.rng.choice(["/content/search", "/content/{item_id}"])
        route, names = f"GET {path.partition('{')[0]} ", self.world.contract.in_query(path)
        name = self.rng.choice([n for n in names if not self.world.told[route + n]] or names)
        self._ask(self.world.contract.ask(self.cast, ("GET", path), name), *self._somebody())

    def _ask(self, ask: Ask, host: Host, name: str) -> None:
        if self.rng.random() < 0.1 and ask.method == "GET":
            ask = replace(ask, method="HEAD")
        answer = self.world.ask(host, name, ask)
        self._note_addresses(name, answer)
        self._compare_with_unknown(host, name, ask, answer)

    def _compare_with_unknown(self, host: Host, name: str, ask: Ask, answer: Answer) -> None:
        """What is said of a hidden item is what is said of one that never was, before or after."""
        reader = host.reader(name)
        if reader.inspects or self.cast.unknown in ask.names:  # two items would become one
            return
        found = 302 if ask.path.endswith("/download") else 200
        if ask.path.startswith(AP) and answer.status == found:  # an item has it as its itemid
            return
        view = self.world.view(reader)
        seen = {one.uri for story in view.stories for one in story}
        for uri in set(self.cast.uris) & set(ask.names) - seen:
            unknown = said(self.world.ask(host, name, ask.about(uri, self.cast.unknown)))
            if unknown != said(answer):  # an index may have caught up meanwhile
                assert unknown == said(self.world.ask(host, name, ask)), (name, ask)

    def _note_addresses(self, name: str, answer: Answer) -> None:
        for kind, link in _LINKS.items():
            self.given[kind].extend((name, found) for found in link.findall(answer.text))

    def _begin_a_list(self) -> None:
        """The first page of a list, whose next one may be asked for at any time."""
        host, name = self._somebody()
        params = {"q": self.rng.choice(["", "common"]), "page_size": 1, "facets": "place"}
        ask = Ask("GET", "/content/search", Shows.HEADS, params)
        self._note_addresses(name, self.world.ask(host, name, ask))

    def _has_told(self, operation: Operation) -> bool:
        """Whether any answer of the operation told something."""
        route = f"{operation[0]} {operation[1].partition('{')[0]}"
        return any(name.startswith(route) for name in self.world.told)

    def _have_something_sent(self) -> None:
        """An account follows a topic, and editors send it something on demand, which it reads."""
        host, name = self._somebody()
        topic = Ask("POST", "/v1/topics", Shows.NOTHING, json={"name": "guard", "query": "common"})
        self.world.ask(host, name, topic)
        account = ACCOUNT if name == SUBSCRIBER else name
        heads = sorted(self.world.view(EVERYTHING).heads) or self.cast.uris
        sent = {"account": account, "items": [self.cast.uri(), self.rng.choice(heads)]}
        ask = Ask("POST", "/v1/ondemand", Shows.NOTHING, json=sent)
        self.world.ask(host, EVERYTHING.name, ask)
        path = self.rng.choice(["/content/ondemand", "/media/v/content/ondemand"])
        read = self.world.contract.ask(self.cast, ("GET", path))
        self.world.ask(self.rng.choice(self.world.hosts), name, read)

    def _keep_in_a_basket(self) -> None:
        """Somebody keeps an item in a basket, which somebody else may read, now and later."""
        host, name = self._somebody()
        if len(self.baskets) < _BASKETS or self.rng.random() < 0.3:
            begun = Ask("POST", "/v1/baskets", Shows.NOTHING, json={"name": "guard"})
            answer = self.world.ask(host, name, begun)
            if answer.status == 201:  # an account has so many baskets at most
                self.baskets.append((name, answer.json()["data"]["id"]))
        if not self.baskets:
            return
        owner, basket = self.rng.choice(self.baskets)
        path = f"/v1/baskets/{basket}"
        heads = sorted(self.world.view(EVERYTHING).heads) or self.cast.uris
        uri = self.rng.choice([self.cast.uri(), *heads])
        share = Ask("PATCH", path, Shows.NOTHING, json={"shared": self.rng.random() < 0.7})
        self.world.ask(host, owner, share)
        put = self.world.ask(host, owner, Ask("PUT", f"{path}/items/{uri}", Shows.NOTHING))
        if put.status == 200:  # who puts an item in has received that it is there
            self.world.received.setdefault(owner, set()).update(marks_in(uri))
        for reader in (owner, name):
            read = Ask("GET", path, Shows.HEADS)
            self.world.ask(self.rng.choice(self.world.hosts), reader, read)

    def _ask_outside(self) -> None:
        method, path = self.rng.choice(sorted(OUTSIDE))
        names = ["index.html", "docs.html", self.cast.uri()]
        path = path.replace("{name}", self.rng.choice(names))
        host, name = self._anybody()
        self.world.ask(host, name, Ask(self.rng.choice([method, "HEAD"]), path, Shows.NOTHING))

    def _follow_an_address(self) -> None:
        """An address that was given out some time ago: of a next page, or of a picture. The caller
        who got it asks, or somebody else, or nobody: those of pictures are signed.
        """
        kind = self.rng.choice([*_LINKS])
        if not self.given[kind]:
            return
        owner, address = self.rng.choice(self.given[kind])
        host, other = self._anybody()
        name = self.rng.choice([owner, other, ""])
        signed_for = owner if kind == "media" and not name else ""
        parts = urlsplit(address)
        params, headers = dict(parse_qsl(parts.query)), {}
        path = unquote(parts.path)
        if kind == "feed" and self.rng.random() < 0.5:
            path = STREAM  # goes on with the same session
            params = {key: value for key, value in params.items() if key != "wait"}
        if kind == "media":
            headers = headers_of(self.cast, ("GET", "/v1/media/{rendition}/{item_id}"))
        ask = Ask("GET", path, Shows.HEADS, params, headers=headers)
        self._note_addresses(name, self.world.ask(host, name, ask, signed_for))

    def _browse(self) -> None:
        """All there is, with totals and counts: nothing of an earlier history is shown."""
        host, name = self._somebody()
        params = {"page_size": 200, "facets": list(FACET_FIELDS), "facet_limit": 200}
        ask = Ask("GET", "/content/search", Shows.HEADS, params)
        data = self.world.ask(host, name, ask).json()["data"]
        view = self.world.view(host.reader(name))
        heads = view.heads
        shown = {entry["item"]["uri"]: entry for entry in data["items"]}
        assert {u: e["item"]["version"] for u, e in shown.items()} == {
            uri: head.number for uri, head in heads.items()
        }, self.world.explained(host, name)
        assert (data["total_items"], data["total_relation"]) == (len(heads), "exact")
        assert all(
            entry["meta"]["versions"] == len(view.chain(uri)) for uri, entry in shown.items()
        )
        places = Counter(head.place for head in heads.values())
        told = {one["value"]: one["count"] for one in data["facets"]["place"]}
        assert {place: told.get(place, 0) for place in ("Coast", "Valley")} == {
            place: places[place] for place in ("Coast", "Valley")
        }

    def _read(self) -> None:
        """Each item by its uri: the version and the story that it shows, else what is said of an
        unknown uri.
        """
        host, name = self._somebody()
        view = self.world.view(host.reader(name))
        unknown = said(self._item(host, name, self.cast.unknown))
        for uri in self.cast.uris:
            answer, chain = self._item(host, name, uri), view.chain(uri)
            if uri not in view.heads:
                assert said(answer) == unknown
                continue
            data = answer.json()["data"]
            assert data["item"]["version"] == chain[0].number
            listed = [(one["item"]["uri"], one["item"]["version"]) for one in data["versions"]]
            assert listed == [(one.uri, one.number) for one in chain]

    def _item(self, host: Host, name: str, uri: str) -> Answer:
        ask = Ask("GET", f"/content/{uri}", Shows.STORY, {"versions": "all"})
        return self.world.ask(host, name, ask)

    def find(self, uri: str, written_by: Host | None = None) -> None:
        """What is shown of the item's story is found by its word: at once by the process that took
        a write and answered for it, and by every other one at once or with a word on how many items
        it does not find yet.
        """
        for host in self.world.hosts:
            names = [
                name for name in (*host.readers, EVERYTHING.name) if self._chain(host, name, uri)
            ]
            if names:
                name = self.rng.choice(names)
                head = self._chain(host, name, uri)[0]
                self._find(host, name, head, at_once=host is written_by)

    def _find(self, host: Host, name: str, head: Version, *, at_once: bool) -> None:
        params = {"q": head.word, "profile": "lexical", "include": ["headline"], "entities": "off"}
        ask = Ask("GET", "/content/search", Shows.HEADS, params)
        until = time.monotonic() + _PATIENT_S
        while True:
            data = self.world.ask(host, name, ask).json()["data"]
            if head.uri in {entry["item"]["uri"] for entry in data["items"]}:
                return
            waits = any(_BEHIND.match(flag) for flag in data["degraded"])
            assert waits, (ask, data["degraded"], self.world.explained(host, name))
            assert not at_once, ask
            assert time.monotonic() < until
            time.sleep(0.02)

    def _chain(self, host: Host, name: str, uri: str) -> tuple[Version, ...]:
        return self.world.view(host.reader(name)).chain(uri)

    def _somebody(self) -> tuple[Host, str]:
        names = ["wire"] * 3 + ["desk"] * 3 + [SUBSCRIBER] * 2 + ["operator"] * 2 + ["nobody"]
        return self.rng.choice(self.world.hosts), self.rng.choice(names)

    def _anybody(self) -> tuple[Host, str]:
        host, name = self._somebody()
        return host, self.rng.choice([name] * 8 + [*WRITERS, "", "who?"])


_BEHIND = re.compile(r"words: [1-9]|index: ")
_FLEETING = {"id", "updated", "timestamp", "timings_ms", "cursor", "next_page", "page_template"}


def said(answer: Answer) -> tuple[int, str]:
    """An answer without the uris in it and without what is never the same twice. Of its headers
    those that tell of a file.
    """
    kind = answer.headers.get("content-type", "")
    text = answer.text
    if text and kind.startswith("application/json"):
        text = json.dumps(_lasting(answer.json()))
    text += " ".join(answer.headers.get(name, "") for name in ("content-range", "etag"))
    return answer.status, re.sub(r"urn(:|%3A)([a-z]+(:|%3A))?zq[a-z]+", "", text)


def _lasting(value: Any) -> Any:
    match value:
        case dict():
            return {k: _lasting(inner) for k, inner in value.items() if k not in _FLEETING}
        case list():
            return [_lasting(inner) for inner in value]
    return value
