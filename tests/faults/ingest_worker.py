"""Workers on a backfill that are killed.

`python ingest_worker.py FOLDER` forks one for each line on its standard input, so that imports are
paid once. It reads photos in real caged children, its orders lie in a real database and its items
in a real record of truth. It says on the standard output, in JSON lines, who it is (["pid", ...]),
what is being computed (["begin", ...]), what the ledger has (["kept", ...]) and what the record has
(["applied", ...]); ["idle"] when nothing is left to do, and when it has ended, ["ended", SIGNAL].
What stands there as kept or applied was durable.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from core.items import Item
from core.media import MediaFacts, Still
from core.work import JobState, Stage
from core.writes import PutItem, Written
from indexing.ingest import Ingest
from indexing.media.assets import Asset, Enrichment, build_item
from indexing.media.reading import CagedReader
from indexing.passages import PassageEmbedder, PassageSplitter
from indexing.work.queues import ProcessName, QueueSettings, QueueWorker
from indexing.work.remembered import Remembered
from indexing.work.sources.stores import FileStores, Spool
from indexing.work.stages.apply import ApplyStage
from indexing.work.stages.chunks import ChunkRunner
from indexing.work.stages.decode import Decoder, DecodeStage
from indexing.work.stages.describe import DescribeStage
from indexing.work.stages.preparing import Preparing
from indexing.work.stages.reading import Reading
from indexing.work.stages.stage import StageWork
from storage.databases import open_database
from storage.media.files import FolderMediaStore
from storage.work.jobs import StoredJobs
from storage.work.ledger import StoredLedger
from storage.work.orders import StoredOrders
from tests.faults.world import now, open_archive
from tests.indexing.conftest import HashingEncoder

CHUNK = 16


def say(*message: object) -> None:
    """One line, in one system call."""
    os.write(1, orjson.dumps(message) + b"\n")


class TellingReader(CagedReader):
    """Says which photo it begins with."""

    def picture(self, path: Path, edges: Sequence[int]) -> tuple[MediaFacts, tuple[Still, ...]]:
        say("begin", hashlib.sha256(path.read_bytes()).hexdigest())
        return super().picture(path, edges)


class TellingLedger(StoredLedger):
    """Says which results it keeps."""

    def put(self, results: Mapping[str, bytes]) -> None:
        super().put(results)
        say("kept", list(results))


class TellingIngest(Ingest):
    """Says which items it has put."""

    def put(self, writes: Sequence[PutItem]) -> tuple[Written, ...]:
        written = super().put(writes)
        say("applied", [entry.uri for entry in written])
        return written


def build(asset: Asset, enrichment: Enrichment, recorded: Item | None) -> Item:
    """An item of the wire."""
    return build_item(asset, enrichment, now, recorded).item


def keep_working(folder: Path, tokenizer: Path) -> None:
    """Works until the job is finished, then says so, and waits to be killed."""
    say("pid", os.getpid())
    engine = open_archive(folder / "archive", background=True)
    database = open_database(folder / "work.sqlite", synced=False)
    ledger = open_database(folder / "ledger.sqlite", synced=False)
    jobs, orders = StoredJobs(database), StoredOrders(database)
    known, files = Remembered(TellingLedger(ledger)), FileStores()
    store = FolderMediaStore(folder / "media")
    spool = Spool(folder / "spool", files, room=10**9, largest=10**9)
    decoder = Decoder(TellingReader(), None, store, known, spool)
    preparing = Preparing(decoder, build, known, "")
    embedder = PassageEmbedder(PassageSplitter(tokenizer), [("text", HashingEncoder())])
    ingest = TellingIngest(engine, embedder, now)
    stages: dict[Stage, StageWork] = {
        Stage.DECODE: DecodeStage(decoder, 6),
        Stage.DESCRIBE: DescribeStage(preparing, None),
        Stage.APPLY: ApplyStage(preparing, ingest, engine.newest),
    }
    never = threading.Event()
    runner = ChunkRunner(jobs, orders, stages, never.wait)
    reading = Reading(jobs, orders, files, never.wait, chunk=CHUNK, ahead=4)
    name = ProcessName(folder / "workers")
    settings = QueueSettings({"decode": 2, "describe": 1, "apply": 1, "read": 1}, poll_s=0.03)
    QueueWorker(orders, name.name, runner.run, reading.run, settings)
    say("ready")
    while any(job.state is JobState.RUNNING for job in jobs.jobs()):
        never.wait(0.05)
    say("idle")
    never.wait(600)


def main(folder: Path, tokenizer: Path) -> None:
    """One worker after another."""
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            keep_working(folder, tokenizer)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        say("ended", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
