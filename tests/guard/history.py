"""A random history of an archive: writes, changes of state, time, keys; and looks after each."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx

from core.items import PubStatus
from core.writes import PutItem, SetStatus
from search.answers import FACET_FIELDS
from tests.guard.documents import item_of
from tests.guard.model import Model, Nested, Reader, Version, marks_in
from tests.guard.surfaces import COMMANDS, OUTSIDE, ROUTES, Ask, Shows
from tests.guard.world import EVERYTHING, PRODUCTS, READERS, WRITERS, Host, World, changed

ITEMS = 5
STEPS = 12
_LINKS = {
    "page": re.compile(r'"next_page":"(/content/search[^"\s]+)"'),
    "media": re.compile(r'"(/v1/media/[^"\s]+)"'),
}  # addresses that answers give out


class History:
    """One history in a world: items of its own, and whatever was given out of them.

    The same seed plays the same steps, which `steps` lists.
    """

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.rng = random.Random(seed)
        self.steps: list[str] = []
        world.model = Model()
        self.uris = [f"urn:{world.words.fresh()}" for _ in range(ITEMS)]
        self.unknown = f"urn:{world.words.fresh()}"
        self.outside = f"urn:{world.words.fresh()}"  # stands inside items, never is one
        world.addresses |= marks_in(str([*self.uris, self.unknown, self.outside]))
        self.story = f"story-{seed}"
        self.given: dict[str, list[tuple[str, str]]] = {kind: [] for kind in _LINKS}

    def play(self) -> None:
        """Every step with its looks; at the end nothing of it is shown any more."""
        for uri in self.rng.sample(self.uris, 3):
            self._send(self._drawn(uri), EVERYTHING)
        self.look()
        for _ in range(STEPS):
            self.rng.choices(*_weighted(self))[0]()
            self.look()
        for uri in self.world.model.versions:
            self._change(SetStatus(uri, PubStatus.CANCELED), EVERYTHING)

    # --- what there is to ask for (`surfaces.Scene`)

    def uri(self) -> str:
        return self.rng.choice([*self.uris, self.unknown, self.outside])

    def word(self) -> str:
        versions = self.world.model.versions.values()
        words = [w for some in versions for o in some for w in (o.sent.word, o.sent.invented)]
        return self.rng.choice(words or [self.unknown[4:]])

    def cursor(self) -> str:
        """Of some list of somebody's."""
        pages = [page for _, page in self.given["page"]]
        return dict(parse_qsl(urlsplit(self.rng.choice(pages or [""])).query)).get("cursor", "")

    # --- steps

    def ingest_or_correct(self) -> None:
        self._send(self._drawn(self.rng.choice(self.uris)))

    def change_status(self) -> None:
        """Kill, withhold or release, also what is not there yet or is not the writer's."""
        pubstatus = self.rng.choice([PubStatus.CANCELED, *PubStatus])
        uri = self.rng.choice([*self.uris, self.outside])
        self._change(SetStatus(uri, pubstatus))

    def embargo(self) -> None:
        self._change(SetStatus(self.rng.choice(self.uris), embargoed=self._later()))

    def lift(self) -> None:
        self._change(SetStatus(self.rng.choice(self.uris), lift_embargo=True))

    def release(self) -> None:
        """Of whatever keeps it."""
        change = SetStatus(self._known(), PubStatus.USABLE, lift_embargo=True)
        self._change(change, EVERYTHING)

    def overtake(self) -> None:
        """A kill is sent while a correction is under way in the other process. Whichever comes
        first, the item is hidden from then on; the correction's answer says which it was.
        """
        version = replace(self._drawn(self._known()), by_worker=False)
        kill = SetStatus(version.uri, PubStatus.CANCELED)
        one, other = self.rng.sample(self.world.hosts, 2)
        self._say(f"{version.uri} is killed while this is under way: {version}")
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(self.world.post, one, version, EVERYTHING)
            self.world.patch(other, kill, EVERYTHING)
            outcome, held = sent.result()
        model = self.world.model
        if held == PubStatus.CANCELED:
            model.set_status(kill)
        assert outcome is model.put(version)
        model.set_status(kill)

    def change_products(self) -> None:
        """The same version for other products."""
        newest = self.world.model.versions[self._known()][-1].sent
        self._send(replace(newest, products=self._products()))

    def send_again(self) -> None:
        """An older version, or the same once more."""
        sent = [one.sent for one in self.world.model.versions[self._known()]]
        self._send(self.rng.choice(sent))

    def wait(self) -> None:
        """What was embargoed appears, what expires is gone."""
        hours = self.rng.choice([1, 3, 6])
        self._say(f"{hours} hours pass")
        self.world.turn(hours)

    def command_line(self) -> None:
        """The operator of the machine asks, who has every product."""
        name = next(self.world.commands)
        shows, arguments = COMMANDS[name]
        heads = [head.word for head in self.world.view(EVERYTHING).heads.values()]
        word = self.rng.choice([*heads * 3, self.word()])
        filled = {"{word}": word, "{name}": f"Ana {word[:-1]}", "{start}": word[:5]}
        arguments = [filled.get(one, one) for one in arguments]
        self._say(f"dateline {' '.join(arguments)}")
        ask = Ask("dateline", name, shows, {"": arguments})
        self.world.look(ask, EVERYTHING, self.world.command(arguments))

    def change_a_key(self) -> None:
        """One process starts with other keys; the other one goes on with those of before."""
        host, name = self.rng.choice(self.world.hosts), self.rng.choice([*READERS])
        product = self.rng.choice(PRODUCTS)
        self._say(f"{name} with or without {product}, process {self._number(host)} starts anew")
        host.readers[name] = changed(host.readers[name], product)
        self.world.start_anew(host)

    # --- looks

    def look(self) -> None:
        """Some surfaces at random, asked of either process; then what must be shown exactly."""
        for _ in range(4):
            self._ask_a_route()
        self._ask_with_what_told_nothing()
        self._ask_outside()
        if self.rng.random() < 0.3:
            self._begin_a_list()
        self._follow_an_address()
        self._browse()
        self._read()

    def _ask_a_route(self) -> None:
        weights = [6 if shows is not Shows.NOTHING else 1 for shows in ROUTES.values()]
        operation = self.rng.choices([*ROUTES], weights)[0]
        self._ask(self.world.contract.ask(self, operation), *self._anybody())

    def _ask_with_what_told_nothing(self) -> None:
        """With a parameter of which no answer told anything yet: chance leaves none out."""
        path = self.rng.choice(["/content/search", "/content/{item_id}"])
        route, names = f"GET {path.partition('{')[0]} ", self.world.contract.in_query(path)
        name = self.rng.choice([n for n in names if not self.world.told[route + n]] or names)
        self._ask(self.world.contract.ask(self, ("GET", path), name), *self._somebody())

    def _ask(self, ask: Ask, host: Host, name: str) -> None:
        if self.rng.random() < 0.1 and ask.method == "GET":
            ask = replace(ask, method="HEAD")
        answer = self.world.ask(host, name, ask)
        self._note_addresses(name, answer)
        self._compare_with_unknown(host, name, ask, answer)

    def _compare_with_unknown(
        self, host: Host, name: str, ask: Ask, answer: httpx.Response
    ) -> None:
        """What is said of a hidden item is what is said of one that never was, before or after."""
        reader = host.reader(name)
        if reader.inspects:
            return
        view = self.world.view(reader)
        seen = {one.uri for story in view.stories for one in story}
        for uri in set(self.uris) & set(ask.names) - seen:
            unknown = said(self.world.ask(host, name, ask.about(uri, self.unknown)))
            again = self.world.ask(host, name, ask)  # an index may have caught up meanwhile
            assert unknown in (said(answer), said(again)), (name, ask)

    def _note_addresses(self, name: str, answer: httpx.Response) -> None:
        for kind, link in _LINKS.items():
            self.given[kind].extend((name, found) for found in link.findall(answer.text))

    def _begin_a_list(self) -> None:
        """The first page of a list, whose next one may be asked for at any time."""
        host, name = self._somebody()
        params = {"q": self.rng.choice(["", "common"]), "page_size": 1, "facets": "place"}
        ask = Ask("GET", "/content/search", Shows.HEADS, params)
        self._note_addresses(name, self.world.ask(host, name, ask))

    def _ask_outside(self) -> None:
        method, path = self.rng.choice(sorted(OUTSIDE))
        names = ["index.html", "docs.html", self.uri()]
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
        ask = Ask("GET", unquote(parts.path), Shows.HEADS, dict(parse_qsl(parts.query)))
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
        unknown = said(self._item(host, name, self.unknown))
        for uri in self.uris:
            answer, chain = self._item(host, name, uri), view.chain(uri)
            if uri not in view.heads:
                assert said(answer) == unknown
                continue
            data = answer.json()["data"]
            assert data["item"]["version"] == chain[0].number
            listed = [(one["item"]["uri"], one["item"]["version"]) for one in data["versions"]]
            assert listed == [(one.uri, one.number) for one in chain]

    def _item(self, host: Host, name: str, uri: str) -> httpx.Response:
        ask = Ask("GET", f"/content/{uri}", Shows.STORY, {"versions": "all"})
        return self.world.ask(host, name, ask)

    # --- writing

    def _send(self, version: Version, by: Reader | None = None) -> None:
        """By one of the two processes, or as a worker does, who has media."""
        world = self.world
        if version.by_worker:
            self._say(f"a worker records {version}")
            (written,) = world.record.put([PutItem(item_of(version, world))])
            assert written.outcome is world.model.put(version)
            return
        by = by or self._writer()
        self._say(f"{by.name} writes {version}")
        outcome, _ = world.post(self.rng.choice(world.hosts), version, by)
        assert outcome is world.model.put(version, by.caller)

    def _change(self, change: SetStatus, by: Reader | None = None) -> None:
        by = by or self._writer()
        self._say(f"{by.name}: {change}")
        outcome = self.world.patch(self.rng.choice(self.world.hosts), change, by)
        assert outcome is self.world.model.set_status(change, by.caller)

    def _writer(self) -> Reader:
        return self.rng.choice([*[EVERYTHING] * 3, *WRITERS.values()])

    # --- drawing

    def _drawn(self, uri: str) -> Version:
        """The next version of an item."""
        rng = self.rng
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
            products=self._products(),
            created=self.world.now - timedelta(hours=rng.choice([1, 2, 3, 9])),
            place=rng.choice(["Coast", "Valley"]),
            kind=rng.choice(["text", "picture", "video"]),
            embargoed=rng.choice([None] * 5 + [self._later()]),
            expires=rng.choice([None] * 6 + [self._later()]),
            nested=tuple(self._nested(uri)),
            by_worker=rng.random() < 0.3,
            invented=self.world.words.fresh(),
        )

    def _nested(self, uri: str) -> Iterable[Nested]:
        for other in self.rng.sample([*self.uris, self.outside], self.rng.choice([0, 0, 1, 2])):
            if other != uri:
                yield Nested(other, self.world.words.fresh())

    def _products(self) -> tuple[str, ...]:
        some = [("wire",), ("wire", "photos"), ("wire", "photos"), ("photos",), ("premium",)]
        return self.rng.choice(some)

    def _later(self) -> datetime:
        return self.world.now + timedelta(hours=self.rng.choice([1, 3]))

    def _known(self) -> str:
        return self.rng.choice(sorted(self.world.model.versions))

    def _somebody(self) -> tuple[Host, str]:
        names = ["wire"] * 3 + ["desk"] * 3 + ["operator"] * 2 + ["nobody"]
        return self.rng.choice(self.world.hosts), self.rng.choice(names)

    def _anybody(self) -> tuple[Host, str]:
        host, name = self._somebody()
        return host, self.rng.choice([name] * 8 + [*WRITERS, "", "who?"])

    def _number(self, host: Host) -> int:
        return self.world.hosts.index(host)

    def _say(self, what: str) -> None:
        self.steps.append(what)


_FLEETING = {"id", "updated", "timestamp", "timings_ms", "cursor", "next_page", "page_template"}


def said(answer: httpx.Response) -> tuple[int, str]:
    """An answer without the uris in it and without what is never the same twice."""
    kind = answer.headers.get("content-type", "")
    text = answer.text
    if text and kind.startswith("application/json"):
        text = json.dumps(_lasting(answer.json()))
    return answer.status_code, re.sub(r"urn(:|%3A)zq[a-z]+", "", text)


def _lasting(value: Any) -> Any:
    match value:
        case dict():
            return {k: _lasting(inner) for k, inner in value.items() if k not in _FLEETING}
        case list():
            return [_lasting(inner) for inner in value]
    return value


def _weighted(history: History) -> tuple[list[Callable[[], None]], list[int]]:
    steps = {
        history.ingest_or_correct: 10,
        history.change_status: 8,
        history.embargo: 3,
        history.lift: 2,
        history.change_products: 4,
        history.send_again: 2,
        history.wait: 3,
        history.release: 2,
        history.overtake: 3,
        history.command_line: 2,
        history.change_a_key: 0.4,
    }
    return list(steps), list(steps.values())
