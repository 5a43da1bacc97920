"""kill -9 at any moment loses nothing that was acknowledged.

A process writes to one archive until it is killed, again and again, in the middle of commits, seals
and merges; each time the archive is opened and everything that was acknowledged must be there, in
the record, by vector and by word, and what was killed by an editor must be nowhere. The archive is
the same all along, so that damage would add up.

`make deep` kills 200 times; KILL_ROUNDS says how often.
"""

from __future__ import annotations

import os
import random
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest

from core.query_tree import Word
from storage.embedded.engine import EmbeddedEngine
from tests.faults.world import READER, open_archive, put_of, vectors_of, word_of
from tests.storage.world import ask, lexical, nearest

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = int(os.environ.get("KILL_ROUNDS", "8"))
MOST_WRITES = 100  # before a kill; they are counted, as a busy machine writes fewer in a second
EARLIER = 15  # items of earlier rounds that are looked at again in each round
PATIENCE_S = 600.0
REOPENED_S = 5.0  # of processor: other work of the machine does not count


@dataclass
class Expected:
    """What was acknowledged: the newest version of each item and its status."""

    versions: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)

    def apply(self, what: list[object]) -> None:
        """Takes over a ["put", ...] or ["status", ...]; a new version releases nothing."""
        if what[0] == "put":
            for uri, version in what[1]:  # type: ignore[attr-defined]
                self.versions[uri] = version
                self.statuses.setdefault(uri, "usable")
        else:
            self.statuses[str(what[1])] = str(what[2])


class Writers:
    """The program whose processes are killed, one a round."""

    def __init__(self, folder: Path) -> None:
        script = Path(__file__).with_name("writer.py")
        self._program = subprocess.Popen(
            [sys.executable, "-P", str(script), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._input, self._output = self._program.stdin, self._program.stdout
        self._said: list[list[object]] = []
        self._rest = b""

    def run(self, number: int, seed: int, writes: int, seconds: float) -> list[list[object]]:
        """Lets one write and kills it `seconds` after so many acknowledgements; what it said."""
        self._said = []
        self._input.write(f"{number} {seed}\n".encode())
        self._input.flush()
        self._hear(time.monotonic() + PATIENCE_S, "ok", writes)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._hear(end, None)
        (_, pid), *_ = self._said
        assert isinstance(pid, int)
        os.kill(pid, signal.SIGKILL)
        self._hear(time.monotonic() + PATIENCE_S, "ended")
        assert self._said[-1] == ["ended", -signal.SIGKILL]
        return self._said[1:-1]

    def _hear(self, deadline: float, until: str | None, times: int = 1) -> None:
        """Reads lines until so many of the kind `until`, or until the deadline where it is None."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                if selector.select(left):
                    data = os.read(self._output.fileno(), 65536)
                    assert data, "the writers ended by themselves"
                    *lines, self._rest = (self._rest + data).split(b"\n")
                    self._said += [orjson.loads(line) for line in lines]
                    if until and sum(said[0] == until for said in self._said) >= times:
                        return
        assert until is None, f"{until!r} was not said in time: {self._said[-3:]}"

    def close(self) -> None:
        """Ends the program and what it started."""
        self._input.close()
        self._output.close()
        self._program.kill()
        self._program.wait()


@contextmanager
def opened(folder: Path) -> Iterator[EmbeddedEngine]:
    """The archive after a crash: it opens soon, and without a repair, as no file was damaged."""
    began = time.process_time()
    engine = open_archive(folder, background=False)
    try:
        assert time.process_time() - began < REOPENED_S
        assert engine.projections.ownership.held
        assert engine.projections.repairs == []
        yield engine
    finally:
        engine.close()


def applied(engine: EmbeddedEngine, what: list[object]) -> list[object] | None:
    """What was recorded of an attempt without an answer: of a batch the first ones, if any."""
    recorded: dict[str, tuple[int, str]] = {}
    for item in engine.all_items():
        newest = (item.version, str(item.pubstatus))
        recorded[item.uri] = max(recorded.get(item.uri, (0, "")), newest)
    if what[0] == "status":
        return what if recorded[str(what[1])][1] == str(what[2]) else None
    batch: list[tuple[str, int]] = what[1]  # type: ignore[assignment]
    there = [recorded.get(uri, (0, ""))[0] >= version for uri, version in batch]
    assert there == sorted(there, reverse=True), f"a batch was recorded out of its order: {what}"
    return ["put", batch[: sum(there)]]


def check_item(engine: EmbeddedEngine, uri: str, version: int, status: str) -> None:
    """The item is found by uri, by its vectors and by its word; or nowhere."""
    wanted = [(uri, version)] if status == "usable" else []
    item = engine.item(uri, READER)
    assert ([] if item is None else [(item.uri, item.version)]) == wanted
    assert ask(engine, lexical(Word(word_of(uri, version)), READER)) == wanted
    for vector in vectors_of(uri, version):
        found = ask(engine, nearest(vector, READER, depth=3))
        if wanted:
            assert found[:1] == wanted
        else:
            assert (uri, version) not in found
    for older in range(1, version):
        assert ask(engine, lexical(Word(word_of(uri, older)), READER)) == []


def check_all(engine: EmbeddedEngine, expected: Expected) -> None:
    """The whole archive, once."""
    newest: dict[str, tuple[int, str]] = {}
    for item in engine.all_items():
        assert item.body == put_of(item.uri, item.version).item.body
        newest[item.uri] = max(newest.get(item.uri, (0, "")), (item.version, str(item.pubstatus)))
    assert newest == {
        uri: (version, expected.statuses[uri]) for uri, version in expected.versions.items()
    }
    for uri, version in expected.versions.items():
        check_item(engine, uri, version, expected.statuses[uri])
    usable = sum(status == "usable" for status in expected.statuses.values())
    assert engine.status()["visible"] == usable == len(engine.projections.lexical.ids())


def account(engine: EmbeddedEngine, expected: Expected, said: list[list[object]]) -> None:
    """Adds the acknowledged writes, and of the last attempt what made it to the disk."""
    attempt: list[object] | None = None
    for kind, *what in said:
        assert kind in {"try", "ok"}, (kind, what)
        if kind == "try":
            attempt = what
        elif attempt is not None:
            expected.apply(attempt)
            attempt = None
    if attempt is not None:
        engine.catch_up()  # what stands in the journal comes into the record
        if made := applied(engine, attempt):
            expected.apply(made)


@pytest.mark.timeout(1200 + 10 * ROUNDS)
def test_kill_9_loses_nothing(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    expected = Expected()
    writers = Writers(tmp_path)
    sealed = 0
    try:
        for number in range(ROUNDS):
            writes, seconds = rng.randint(1, MOST_WRITES), rng.uniform(0.0, 0.05)
            said = writers.run(number, rng.randrange(2**32), writes, seconds)
            earlier = list(expected.versions)
            with opened(tmp_path) as engine:
                account(engine, expected, said)
                engine.catch_up()
                fresh = [uri for uri in expected.versions if f":{number}:" in uri]
                assert fresh, "each round acknowledged something"
                for uri in fresh + rng.sample(earlier, min(EARLIER, len(earlier))):
                    check_item(engine, uri, expected.versions[uri], expected.statuses[uri])
                sealed = max(sealed, len(engine.status()["vectors"]["text"]["segments"]))
    finally:
        writers.close()
    assert sealed > 1, "the kills never met a sealed segment"
    with opened(tmp_path) as engine:
        engine.compact()
        engine.catch_up()
        check_all(engine, expected)
        segments = len(engine.status()["vectors"]["text"]["segments"])
    folders = [path for path in (tmp_path / "projections/vectors/text").iterdir() if path.is_dir()]
    assert len(folders) == segments, "what the kills left behind is gone"
