"""A random history of an archive: writes, changes of state, time, keys; and looks after each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from core.items import PubStatus
from core.writes import PutItem, SetStatus
from tests.guard.cast import Cast
from tests.guard.documents import document_of, item_of
from tests.guard.looks import Looks
from tests.guard.model import Reader, Version
from tests.guard.surfaces import JSON, JSON_LINES
from tests.guard.world import EVERYTHING, PRODUCTS, READERS, WRITERS, World, changed

STEPS = 12


class History:
    """One history in a world: items of its own, and whatever was given out of them.

    The same seed plays the same steps, which `steps` lists.
    """

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.steps: list[str] = []
        world.start_over()
        self.cast = Cast(world, seed)
        self.rng = self.cast.drawing
        self.looks = Looks(self.cast)
        world.pin(self.cast.named)

    def play(self) -> None:
        """Every step with its looks; at the end nothing of it is shown any more."""
        for uri in self.cast.uris[:2]:
            self._send(replace(self.cast.drawn(uri), named_by="", chain=uri), EVERYTHING)
        self.looks.look()
        for _ in range(STEPS):
            self.rng.choices(*_weighted(self))[0]()
            self.looks.look()
        for uri in self.world.model.versions:
            self._change(SetStatus(uri, PubStatus.CANCELED), EVERYTHING)

    # --- steps

    def ingest_or_correct(self) -> None:
        self._send(self.cast.drawn(self.rng.choice(self.cast.uris)))

    def send_many(self) -> None:
        """In one request, some of which are refused: each is answered for, and what hides its item
        goes first.
        """
        kind = self.rng.choice([JSON, JSON_LINES])
        bulk, by = self.cast.bulk(kind), self._writer()
        versions, documents = [one[0] for one in bulk], [one[1] for one in bulk]
        self._say(f"{by.name} writes {versions} as {kind}, of which some are spoilt")
        host = self.rng.choice(self.world.hosts)
        answers = self.world.post_many(host, documents, by, kind)
        first = {*_going_first(documents)}
        for place in sorted(range(len(bulk)), key=lambda place: place not in first):
            version, spoilt = versions[place], documents[place] != document_of(versions[place])
            expected = None if spoilt else self.world.model.put(version, by.caller)
            assert answers[place].outcome is expected, version
        finds = answers[0].found and len(first) < len(bulk)
        for uri in {version.uri for version in versions}:
            self.looks.find(uri, host if finds else None)

    def change_status(self) -> None:
        """Kill, withhold or release, also what is not there yet or is not the writer's."""
        pubstatus = self.rng.choice([PubStatus.CANCELED, *PubStatus])
        uri = self.rng.choice([*self.cast.uris, self.cast.outside])
        self._change(SetStatus(uri, pubstatus))

    def embargo(self) -> None:
        self._change(SetStatus(self.rng.choice(self.cast.uris), embargoed=self.cast.later()))

    def lift(self) -> None:
        self._change(SetStatus(self.rng.choice(self.cast.uris), lift_embargo=True))

    def release(self) -> None:
        """Of whatever keeps it, also what is not there yet."""
        uri = self.rng.choice([*self.cast.uris, self.cast.outside])
        change = SetStatus(uri, PubStatus.USABLE, lift_embargo=True)
        self._change(change, EVERYTHING)

    def change_at_the_machine(self) -> None:
        """By a command, which is a process of its own."""
        uri = self.rng.choice([*self.cast.uris, self.cast.outside])
        status = SetStatus(uri, self.rng.choice([*PubStatus]))
        until = SetStatus(uri, embargoed=self.cast.later())
        change = self.rng.choice([status, until, replace(status, lift_embargo=True)])
        self._say(f"at the machine: {change}")
        assert self.world.set_status(change) is self.world.model.set_status(change)
        self.looks.find(change.uri)

    def overtake(self) -> None:
        """A kill is sent while a correction is under way in the other process. Whichever comes
        first, the item is hidden from then on; the correction's answer says which it was.
        """
        drawn = self.cast.drawn(self.cast.known())
        version = replace(drawn, by_worker=False, pubstatus=PubStatus.USABLE)  # its answer tells
        kill = SetStatus(version.uri, PubStatus.CANCELED)
        one, other = self.rng.sample(self.world.hosts, 2)
        self._say(f"{version.uri} is killed while this is under way: {version}")
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(self.world.post, one, version, EVERYTHING)
            self.world.patch(other, kill, EVERYTHING)
            answered = sent.result()
        model = self.world.model
        if answered.held == PubStatus.CANCELED:
            model.set_status(kill)
        assert answered.outcome is model.put(version, EVERYTHING.caller)
        model.set_status(kill)

    def change_products(self) -> None:
        """The same version for other products."""
        newest = self.world.model.versions[self.cast.known()][-1].sent
        self._send(replace(newest, products=self.cast.products()))

    def send_again(self) -> None:
        """An older version, or the same once more."""
        sent = max(self.world.model.versions.values(), key=len)
        self._send(self.rng.choice(sent).sent)

    def wait(self) -> None:
        """What was embargoed appears, what expires is gone."""
        hours = self.rng.choice([1, 3, 6])
        self._say(f"{hours} hours pass")
        self.world.turn(hours)
        self.looks.find(self.cast.known())

    def change_a_key(self) -> None:
        """One process starts with other keys; the other one goes on with those of before."""
        host, name = self.rng.choice(self.world.hosts), self.rng.choice([*READERS])
        product = self.rng.choice(PRODUCTS)
        number = self.world.hosts.index(host)
        self._say(f"{name} with or without {product}, process {number} starts anew")
        host.readers[name] = changed(host.readers[name], product)
        self.world.start_anew(host)

    def change_a_plan(self) -> None:
        """An account gets a product or loses it, in both processes."""
        product = self.rng.choice(PRODUCTS)
        self._say(f"the account with or without {product}")
        self.world.change_plan(product)

    # --- writing

    def _send(self, version: Version, by: Reader | None = None) -> None:
        """By one of the two processes, or as a worker does, who has media."""
        world = self.world
        if version.by_worker:
            self._say(f"a worker records {version}")
            (written,) = world.record.put([PutItem(item_of(version, world))])
            assert written.outcome is world.model.put(version)
            self.looks.find(version.uri)
            return
        by = by or self._writer()
        self._say(f"{by.name} writes {version}")
        host = self.rng.choice(world.hosts)
        answered = world.post(host, version, by)
        assert answered.outcome is world.model.put(version, by.caller)
        hides = version.pubstatus is not PubStatus.USABLE
        self.looks.find(version.uri, host if answered.found and not hides else None)

    def _change(self, change: SetStatus, by: Reader | None = None) -> None:
        by = by or self._writer()
        self._say(f"{by.name}: {change}")
        host = self.rng.choice(self.world.hosts)
        answered = self.world.patch(host, change, by)
        assert answered.outcome is self.world.model.set_status(change, by.caller)
        finds = answered.found and not change.hides  # which waits for no index
        self.looks.find(change.uri, host if finds else None)

    def _writer(self) -> Reader:
        return self.rng.choice([*[EVERYTHING] * 3, *WRITERS.values()])

    def _say(self, what: str) -> None:
        self.steps.append(what)


def _going_first(documents: Sequence[Any]) -> Iterator[int]:
    """The places of those that hide their item and are the first of it."""
    seen: set[str] = set()
    for place, document in enumerate(documents):
        uri = document.get("uri", "") if isinstance(document, dict) else ""
        if uri and uri not in seen and document["pubstatus"] != PubStatus.USABLE:
            yield place
        seen.add(uri)


def _weighted(history: History) -> tuple[list[Callable[[], None]], list[float]]:
    steps: dict[Callable[[], None], float] = {
        history.ingest_or_correct: 8,
        history.send_many: 4,
        history.change_status: 8,
        history.embargo: 3,
        history.lift: 2,
        history.change_products: 4,
        history.send_again: 2,
        history.wait: 3,
        history.release: 3,
        history.overtake: 3,
        history.looks.command_line: 2,
        history.change_at_the_machine: 1,
        history.change_a_key: 0.4,
        history.change_a_plan: 2,
    }
    return list(steps), list(steps.values())
