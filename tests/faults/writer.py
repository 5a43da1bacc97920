"""Processes that write until they are killed.

`python writer.py FOLDER` forks one for each line ROUND SEED on its standard input, so that imports
are paid once; the archive is opened after the fork. A writer says on the standard output, in JSON
lines, who it is (["pid", ...]), what it is about to do (["try", ...]) and what was acknowledged
(["ok"]); when it has ended, ["ended", SIGNAL] follows. Each line is one write to the pipe, and what
stands there as acknowledged was acknowledged.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from pathlib import Path

import orjson

from core.items import PubStatus
from core.writes import REFUSED, SetStatus, Written
from storage.embedded.engine import EmbeddedEngine
from tests.faults.world import open_archive, put_of


def say(*message: object) -> None:
    """One line, in one system call."""
    os.write(1, orjson.dumps(message) + b"\n")


def acknowledge(written: tuple[Written, ...]) -> None:
    """Says that a batch is recorded; a refusal would be a fault of this program."""
    refused = [entry for entry in written if entry.outcome in REFUSED]
    say("refused", refused) if refused else say("ok")


def put_some(engine: EmbeddedEngine, rng: random.Random, own: dict[str, int], prefix: str) -> None:
    """A batch of new items and of new versions of this round's."""
    batch: list[tuple[str, int]] = []
    for part in range(rng.randint(1, 4)):
        uri = f"{prefix}{len(own)}:{part}"
        batch.append((uri, 1))
    if own and rng.random() < 0.4:
        uri = rng.choice(list(own))
        batch.append((uri, own[uri] + 1))
    say("try", "put", batch)
    acknowledge(engine.put([put_of(uri, version) for uri, version in batch]))
    own.update(batch)


def hide_one(engine: EmbeddedEngine, rng: random.Random, own: dict[str, int]) -> None:
    """Kills, withholds or brings back an item of this round."""
    uri = rng.choice(list(own))
    status = rng.choice([PubStatus.CANCELED, PubStatus.WITHHELD, PubStatus.USABLE])
    say("try", "status", uri, status)
    acknowledge(engine.set_status([SetStatus(uri, status)]))


def keep_compacting(engine: EmbeddedEngine) -> None:
    """Seals and merges all the time, so that the end comes in the middle of that."""
    while True:
        engine.compact()


def keep_writing(folder: Path, number: int, seed: int) -> None:
    """Writes without end."""
    rng = random.Random(seed)
    say("pid", os.getpid())
    engine = open_archive(folder, background=True)
    if number % 3 == 0:
        threading.Thread(target=keep_compacting, args=(engine,), daemon=True).start()
    own: dict[str, int] = {}
    while True:
        put_some(engine, rng, own, f"urn:kill:{number}:")
        if rng.random() < 0.3:
            hide_one(engine, rng, own)


def main(folder: Path) -> None:
    """One writer after another."""
    for line in sys.stdin:
        number, seed = map(int, line.split())
        pid = os.fork()
        if pid == 0:
            keep_writing(folder, number, seed)
        _, status = os.waitpid(pid, 0)
        say("ended", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
