"""Two processes of one archive, the clock they go by, and a look at every answer of theirs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import httpx

import dateline
from core.writes import Outcome, SetStatus
from storage.embedded.record import Record
from storage.media_files import FolderMediaStore
from storage.postgres.record import PostgresRecord
from storage.record_port import RecordOfTruth
from tests.dateline.test_serve import free_port
from tests.guard.documents import document_of
from tests.guard.model import Model, Reader, Version, View, Words, marks_in, view_of
from tests.guard.process import SharedClock
from tests.guard.surfaces import COMMANDS, Ask, Contract, Shows
from tests.search.room import START

PRODUCTS = ("wire", "photos", "premium")
READERS = {
    "wire": Reader("wire", frozenset({"wire"})),
    "desk": Reader("desk", frozenset({"wire", "photos"}), models=True),
    "operator": Reader("operator", frozenset({"photos"}), inspects=True),
    "nobody": Reader("nobody", frozenset()),
}  # whose products change
EVERYTHING = Reader("agency", frozenset(PRODUCTS), frozenset("*"), inspects=True, models=True)
WRITERS = {
    "agency": EVERYTHING,
    "news": Reader("news", frozenset({"wire"}), frozenset({"wire"})),
    "pictures": Reader("pictures", frozenset(), frozenset({"photos"})),
    "both": Reader("both", frozenset({"photos"}), frozenset({"wire", "photos"})),
}
_NO_KEY = Reader("", frozenset())
_RAW = re.compile(r'"(bm25|cosine)":-?\d')  # counts hidden items: for who inspects
_ROOT = Path(dateline.__file__).parent.parent


@dataclass
class Host:
    """A process that serves, a connection to it, and the keys that it was started with."""

    data: Path
    log: Path
    readers: dict[str, Reader] = field(default_factory=lambda: dict(READERS))
    life: ExitStack = field(default_factory=ExitStack)
    client: httpx.Client = field(default_factory=httpx.Client)

    def reader(self, name: str) -> Reader:
        """Who has the key `name`; who has none reads nothing."""
        return {**self.readers, **WRITERS}.get(name, _NO_KEY)

    def keys(self) -> str:
        """The setting `keys`: a key is its owner's name."""
        return json.dumps(
            [
                {
                    "name": one.name,
                    "key": one.name,
                    "products": sorted(one.products),
                    "write": sorted(one.writes) or False,
                    "inspect": one.inspects,
                    "models": one.models,
                }
                for one in (*self.readers.values(), *WRITERS.values())
            ]
        )


@dataclass
class World:
    """An archive that two processes serve, of one host or, with a record on Postgres, of two; and
    what it should show.
    """

    folder: Path
    settings: Mapping[str, str]
    words: Words = field(default_factory=Words)
    model: Model = field(default_factory=Model)
    visits: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)  # visits that were told something
    commands: Iterator[str] = field(default_factory=lambda: cycle(COMMANDS))
    addresses: set[str] = field(default_factory=set)  # words of uris: paths, which logs have

    def __post_init__(self) -> None:
        self.clock = SharedClock(self.folder / "clock")
        self.now = START + timedelta(days=1)
        self.clock.turn(self.now)
        address = self.settings.get("record", "")
        names = ("one", "other" if address else "one")
        self.hosts = [
            Host(self.folder / name, self.folder / f"log-{number}")
            for number, name in enumerate(names)
        ]
        self.stills = FolderMediaStore(self.folder / "stills")
        self.originals = self.folder / "originals"
        self.originals.mkdir()
        for host in self.hosts:
            self._start(host)
        self._shell = self._command_line()
        self.contract = Contract(self._answering(self.hosts[0]).get("/openapi.json").json())
        self._answering(self.hosts[1])
        self.record: RecordOfTruth = (
            PostgresRecord(address, {}, self.clock)
            if address
            else Record(self.hosts[0].data, {}, self.clock)
        )

    # --- processes

    def start_anew(self, host: Host) -> None:
        """Ends its process as by kill -9 and starts another, which has the host's keys of now."""
        host.life.close()
        self._start(host)
        self._answering(host)

    def _start(self, host: Host) -> None:
        port = free_port()
        command = ["serve", "--data", str(host.data), "--port", str(port)]
        with host.log.open("ab") as log:
            process = self._run(command, self._environment(host), stdout=log, stderr=log)
        host.life.callback(process.wait)
        host.life.callback(process.kill)
        transport = httpx.HTTPTransport(retries=8)  # waits longer each time
        address = f"http://127.0.0.1:{port}"
        host.client = host.life.enter_context(
            httpx.Client(base_url=address, transport=transport, timeout=60)
        )

    def _answering(self, host: Host) -> httpx.Client:
        assert host.client.get("/healthz").status_code == 200, host.log.read_text()
        return host.client

    def _environment(self, host: Host) -> dict[str, str]:
        plain = {k: v for k, v in os.environ.items() if not k.startswith("DATELINE_")}
        settings = {
            "data": str(host.data),
            "keys": host.keys(),
            "media_secret": "the same in both",
            "media_store": f"file://{self.folder}/stills",
            "media_roots": str(self.originals),
            "threads": "1",
            "key_rate": "1000000",
            **self.settings,
        }
        named = {f"DATELINE_{name.upper()}": value for name, value in settings.items()}
        return {**plain, **named, "PYTHONPATH": str(_ROOT)}

    def _run(
        self, arguments: list[str], environment: Mapping[str, str], **pipes: Any
    ) -> subprocess.Popen[str]:
        command = [sys.executable, "-P", "-m", "tests.guard.process", str(self.folder / "clock")]
        return subprocess.Popen(
            [*command, *arguments], env=environment, cwd=self.folder, text=True, **pipes
        )

    def _command_line(self) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return self._run(["shell"], self._environment(self.hosts[0]), **pipes)

    def close(self) -> None:
        """Ends every process."""
        self.record.close()
        self._shell.kill()
        self._shell.communicate()
        for host in self.hosts:
            host.life.close()

    # --- looks

    def turn(self, hours: int) -> None:
        """Time passes for everybody."""
        self.now += timedelta(hours=hours)
        self.clock.turn(self.now)

    def view(self, reader: Reader) -> View:
        """What the model lets a reader see now."""
        return view_of(self.model, reader, self.now)

    def ask(self, host: Host, name: str, ask: Ask, signed_for: str = "") -> httpx.Response:
        """The answer to the caller called `name`, "" for one without a key, after a look at it. An
        address may be signed for somebody.
        """
        reader = host.reader(signed_for or name)
        response = host.client.request(
            ask.method,
            quote(ask.path, safe="/:"),
            params=ask.params,
            json=ask.json,
            headers={"x-api-key": name} if name else {},
        )
        self.look(ask, reader, f"{response.text} {response.headers.multi_items()}")
        assert response.status_code < 500, (ask, response.text, host.log.read_text()[-3000:])
        return response

    def post(self, host: Host, version: Version, by: Reader) -> tuple[Outcome, str]:
        """Sends a version as a document; what became of it, and what holds it."""
        params = {"products": ",".join(version.products)}
        body = document_of(version)
        answer = self.ask(host, by.name, Ask("POST", "/content", Shows.NOTHING, params, body))
        return _outcome(answer, version.uri)

    def patch(self, host: Host, change: SetStatus, by: Reader) -> Outcome:
        """Changes a state. An item that is not there, or not the writer's, is told nothing of."""
        body: dict[str, Any] = {"pubstatus": change.pubstatus} if change.pubstatus else {}
        if change.embargoed or change.lift_embargo:
            body["embargoed"] = change.embargoed and change.embargoed.isoformat()
        path = f"/content/{change.uri}/status"
        answer = self.ask(host, by.name, Ask("PATCH", path, Shows.NOTHING, json=body))
        return _outcome(answer, change.uri)[0]

    def look(self, ask: Ask, reader: Reader, shown: str) -> None:
        """Fails where `shown` says more than `reader` may see."""
        view = self.view(reader)
        versions = list(view.heads.values()) if ask.shows is not Shows.NOTHING else []
        if ask.shows is Shows.STORY and "all" in str(ask.params.get("versions")):
            versions += view.chain(ask.path.rpartition("/")[2])
        told = marks_in(shown) - ask.typed
        assert reader.inspects or not _RAW.search(shown), (reader.name, ask)
        self.visits.update(ask.surfaces)
        if told:
            self.told.update(ask.surfaces)
        allowed = view.marks(versions) | self._why(reader, str(ask.params.get("why_missing")))
        self.assert_allowed(told, allowed, f"{reader.name or 'no key'}: {ask}")

    def _why(self, reader: Reader, missing: str) -> set[str]:
        """What an operator is told of an item that is missing: the uri of what stands for it."""
        stories = self.model.stories(self.now) if reader.inspects else []
        heads = [story[0].uri for story in stories if missing in {one.uri for one in story}]
        return marks_in(str(heads))

    def assert_allowed(self, told: set[str], allowed: set[str], where: str) -> None:
        """Fails where a word was told that may not be."""
        leaked = told - allowed
        assert not leaked, f"{where} told of {sorted(self._owners(leaked))}"

    def _owners(self, words: set[str]) -> Iterator[str]:
        for word in words:
            found = [
                f"{one.sent.uri} v{one.sent.number}"
                for versions in self.model.versions.values()
                for one in versions
                if word in one.sent.marks | {inside.word for inside in one.sent.nested}
            ]
            yield f"{word} ({', '.join(found) or 'an earlier history, or nobody'})"

    def explained(self, host: Host, name: str) -> str:
        """What the caller should see, for the message of a failure."""
        return f"{host.reader(name)} should see {self.view(host.reader(name)).heads}"

    def command(self, arguments: list[str]) -> str:
        """What a command prints."""
        stdin, stdout = self._shell.stdin, self._shell.stdout
        assert stdin is not None
        assert stdout is not None
        print(json.dumps([*arguments]), file=stdin, flush=True)
        printed: str = json.loads(_line(stdout))
        return printed

    def logged(self) -> str:
        """All that the processes wrote to their logs."""
        return "".join(host.log.read_text("utf-8", "replace") for host in self.hosts)


_STATUS = {
    Outcome.CREATED: 201,
    Outcome.HELD: 202,
    Outcome.FORBIDDEN: 403,
    Outcome.MISSING: 404,
    **dict.fromkeys((Outcome.STALE, Outcome.CONFLICT, Outcome.TAKEN), 409),
}
_UNRECORDED = {"number", "uri", "outcome", "embargoed"}  # all that is told of such an item


def _outcome(answer: httpx.Response, uri: str) -> tuple[Outcome, str]:
    """What became of a write, and what holds the item, as one answer says it."""
    body = answer.json()
    if "error" in body:
        code = body["error"]["code"]
        outcome = Outcome.MISSING if code == "not_found" else Outcome(code)
        told = {"outcome": outcome}
    else:
        (told,) = body["data"]["items"]
        outcome = Outcome(told["outcome"])
        assert told["uri"] == uri
    assert answer.status_code == _STATUS.get(outcome, 200), answer.text
    if outcome in (Outcome.HELD, Outcome.RELEASED):
        assert set(told) <= _UNRECORDED
    return outcome, told.get("held", "")


def _line(stream: IO[str]) -> str:
    line = stream.readline()
    assert line, "the command line ended"
    return line


@contextmanager
def opened(world: World) -> Iterator[World]:
    """The world, ended and removed afterwards."""
    try:
        yield world
    finally:
        world.close()
        shutil.rmtree(world.folder)


def changed(reader: Reader, product: str) -> Reader:
    """The reader with one product more or less."""
    return replace(reader, products=reader.products ^ {product})
