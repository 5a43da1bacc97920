"""Durable ingest without decoders, models and queues: each is a few lines that follow the port.

A media file is a text here. `picture NAME` is a photo that looks like NAME, `video A B C` a clip of
shots that look so and in which that is said, `mute A B C` one without sound, `sound A B C` sound
alone, and what begins with `poison` can't be decoded. Orders are carried out one by
one, in the order of their priority, by the test itself.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import sqlalchemy as sa

from core.errors import MediaError, ModelError, NotFoundError
from core.items import Item
from core.media import (
    SOUND_RATE,
    Caption,
    FrameBatch,
    Gap,
    Kept,
    Looked,
    MediaFacts,
    MediaKind,
    ShotBounds,
    ShotReading,
    Sound,
    Still,
    ToCaption,
    Transition,
    Uncaptioned,
)
from core.media_words import Look, SeenText, Utterance
from core.ports.media import FindShots
from core.ports.models import Embedder
from core.work import READ, AssetState, Job, JobState, Order, Priority, Stage, Tracked
from indexing.captions.rights import Rule, rights_now
from indexing.embedding import SeveralEmbedders
from indexing.ingest import Ingest
from indexing.looks import Looker, LooksEmbedder
from indexing.media.assets import Asset, Enrichment, build_item
from indexing.passages import PassageEmbedder, PassageSplitter
from indexing.work.desk import JobDesk
from indexing.work.remembered import Remembered, RememberedEncoder
from indexing.work.request import Request
from indexing.work.sources.stores import FileStores, Spool
from indexing.work.stages.apply import ApplyStage
from indexing.work.stages.asking import AT_ONCE, Asking, AskNow
from indexing.work.stages.chunks import ChunkRunner
from indexing.work.stages.decode import Decoder, DecodeStage
from indexing.work.stages.describe import AskLater, DescribeStage
from indexing.work.stages.embed import EmbedStage
from indexing.work.stages.look import LongShots, LookStage, seen_in
from indexing.work.stages.preparing import Preparing
from indexing.work.stages.read_text import Legible, ReadTextStage
from indexing.work.stages.reading import Reading
from indexing.work.stages.stage import StageWork
from indexing.work.stages.transcribe import AN_ORDER_S, Heard, TranscribeStage
from storage.databases import Database, open_database
from storage.media.likenesses import StoredLikenesses
from storage.record.steady_clock import TimeSources
from storage.work.job_tables import JOBS, ORDERS
from storage.work.jobs import StoredJobs
from storage.work.ledger import StoredLedger
from storage.work.orders import StoredOrders
from storage.work.waiting_stills import StoredWaitingStills
from tests.indexing.conftest import DictWriter, HashingEncoder, clock

SHOT_S = 4.0
SILENT = "silent"
_SOON_S, _LONG_S = 60, 10**6  # after every next try, after every test


def look_of(name: str) -> str:
    """A perceptual hash that the name decides: names that begin alike up to a dot look the same."""
    bits = bytearray(hashlib.sha256(name.partition(".")[0].encode()).digest())
    bits[0] ^= len(name.partition(".")[2])  # a few bits of difference
    return bits.hex()


def still_of(name: str, second: float = 0.0) -> Still:
    black = name == "black"
    return Still(second, f"jpeg of {name}".encode(), 64, 48, look_of(name), black=black)


class TextReader:
    """`core.ports.media.MediaReader` of texts; `opened` says what it was asked, in order."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, str]] = []

    def probe(self, path: Path) -> MediaFacts:
        kind, names = self._read("probe", path)
        if kind == "picture":
            return MediaFacts(MediaKind.PICTURE, "image/jpeg", "jpeg", 64, 48)
        if kind == "sound":
            return MediaFacts(MediaKind.AUDIO, "audio/mpeg", "mp3", 0, 0)
        length = len(names) * SHOT_S
        return MediaFacts(
            MediaKind.VIDEO, "video/mp4", "h264", 64, 48, duration_s=length, frame_rate=25.0
        )

    def frames(self, path: Path) -> Iterator[FrameBatch | Gap]:
        _, names = self._read("frames", path)
        for number, _ in enumerate(names):
            pixels = np.zeros((1, 27, 48, 3), np.uint8)
            yield FrameBatch(pixels, np.array([number * SHOT_S]), number)

    def shots(
        self, path: Path, edge: int, find: FindShots, keep: Callable[[Still], Kept]
    ) -> ShotReading[Kept]:
        _, names = self._read("shots", path)
        frames = (
            FrameBatch(np.zeros((1, 27, 48, 3), np.uint8), np.array([number * SHOT_S]), number)
            for number, _ in enumerate(names)
        )
        shots = tuple(find(frames))
        looks = [names[shot.start_frame] for shot in shots]
        made = tuple(
            None if look == "short" else keep(still_of(look, shot.start_s))
            for look, shot in zip(looks, shots, strict=True)
        )
        return ShotReading(shots, made, (), ())

    def stills(
        self, path: Path, moments: Sequence[Sequence[float]], edge: int
    ) -> tuple[Still, ...]:
        _, names = self._read("stills", path)
        return tuple(
            still_of(names[min(len(names) - 1, int(group[0] // SHOT_S))], group[0])
            for group in moments
        )

    def picture(self, path: Path, edges: Sequence[int]) -> tuple[MediaFacts, tuple[Still, ...]]:
        kind, names = self._read("picture", path)
        if kind != "picture":
            raise MediaError("no picture", where=str(path))
        notes = ("xmp left out: too long",) if "damaged-packet" in names else ()
        facts = MediaFacts(MediaKind.PICTURE, "image/jpeg", "jpeg", 64, 48, notes=notes)
        return facts, tuple(still_of(names[0]) for _ in edges)

    def sound(self, path: Path, start_s: float, end_s: float) -> Sound:
        kind, names = self._read("sound", path)
        if kind == "mute":
            return Sound(np.zeros(0, np.int16), ("there is no sound in it",))
        levels = [0 if name == SILENT else level_of(name) for name in names]
        samples = np.repeat(np.array(levels, np.int16), round(SHOT_S * SOUND_RATE))
        notes = ("a part of it is damaged",) if "damaged" in names else ()
        return Sound(samples[round(start_s * SOUND_RATE) : round(end_s * SOUND_RATE)], notes)

    def _read(self, what: str, path: Path) -> tuple[str, list[str]]:
        kind, *names = path.read_text("utf-8").split()
        self.opened.append((what, path.name))
        if kind == "poison":
            raise MediaError("can't be decoded", where=str(path))
        return kind, names


def level_of(name: str) -> int:
    """The loudness by which `Listener` knows a name."""
    return 100 + zlib.crc32(name.encode()) % 30_000


class Listener:
    """`core.ports.media.Transcriber` that hears the names in the sounds of `TextReader`; `heard` is
    how many seconds it was given each time.
    """

    def __init__(self, *names: str, leaves: bool = False, digest: str = "listener-1") -> None:
        self.digest = digest
        self.leaves = leaves
        self.failing = ""
        self.heard: list[float] = []
        self._names = {level_of(name): name for name in names}

    @property
    def name(self) -> str:
        return f"listener@{self.digest}"

    def transcribe(self, sound: Sound) -> tuple[Utterance, ...]:
        self.heard.append(sound.seconds)
        if self.failing:
            raise ModelError(self.failing)
        levels = sound.samples.astype(int)
        edges = [0, *(np.flatnonzero(np.diff(levels)) + 1).tolist(), len(levels)]
        found = []
        for start, end in pairwise(edges):
            if name := self._names.get(int(levels[start])):
                a, b = start / SOUND_RATE, end / SOUND_RATE
                found.append(Utterance(a, b, name, ((a, b, name),), "en"))
        return tuple(found)


class EachFrameAShot:
    """`indexing.work.stages.decode.ShotFinder` for `TextReader`: one shot a frame."""

    def __init__(self, digest: str = "shots-1", joined: int = 1) -> None:
        self.digest = digest
        self._joined = joined

    def shots(self, source: Iterator[FrameBatch | Gap]) -> Iterator[ShotBounds]:
        count = sum(len(batch.seconds) for batch in source if isinstance(batch, FrameBatch))
        for s in range(0, count, self._joined):
            yield ShotBounds(s * SHOT_S, (s + self._joined) * SHOT_S, s, s, Transition.CUT)


class Describer:
    """`core.ports.media.Captioner` that says what a still's bytes are; `asked` is what it was."""

    def __init__(self, digest: str = "captioner-1") -> None:
        self.digest = digest
        self.asked: list[ToCaption] = []
        self.refusing: Uncaptioned | None = None

    def caption(self, stills: Sequence[ToCaption]) -> tuple[Caption | Uncaptioned, ...]:
        self.asked += stills
        return tuple(self.refusing or Caption(still.jpeg.decode(), self.digest) for still in stills)


class Speller:
    """`core.ports.media.TextReader` that reads a still's own bytes, word by word, but for the words
    in `illegible`; `asked` is what it was.
    """

    name = "speller@1"

    def __init__(self, digest: str = "speller-1") -> None:
        self.digest = digest
        self.asked: list[bytes] = []
        self.illegible: set[str] = set()

    def read(self, stills: Sequence[bytes]) -> tuple[tuple[SeenText, ...], ...]:
        self.asked += stills
        words = [still.decode().removeprefix("jpeg of ").split("-") for still in stills]
        if self.illegible & {word for each in words for word in each}:
            raise MediaError("the still can't be read")
        box = (0.1, 0.2, 0.3, 0.4)
        return tuple(tuple(SeenText(w, box, score=0.9) for w in each if w) for each in words)


class Onlooker:
    """Sees in a still the name that it looks like, and the end of it as a broader thing. Its vector
    depends on the name alone.
    """

    name, dimension = "onlooker", 8

    def __init__(self, digest: str = "looks-1", *, leaves: bool = False) -> None:
        self.digest, self.leaves = digest, leaves
        self.seen: list[str] = []

    @property
    def made_by(self) -> str:
        return f"{self.name}@{self.digest}"

    def look(self, jpegs: Sequence[bytes]) -> tuple[Looked | None, ...]:
        names = [jpeg.decode().removeprefix("jpeg of ") for jpeg in jpegs]
        self.seen += names
        return tuple(None if "fog" in name else self._looked(name) for name in names)

    def _looked(self, name: str) -> Looked:
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
        vector = np.random.default_rng(seed).normal(size=(1, self.dimension)).astype(np.float32)
        return Looked(vector / np.linalg.norm(vector), (Look(name, 0.8), Look("thing", 0.6)))


class DictStore:
    """`core.ports.media.MediaStore` in a dict."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, data: bytes, suffix: str) -> str:
        name = hashlib.sha256(data).hexdigest() + suffix
        self.kept[name] = data
        return name

    def open(self, name: str) -> BinaryIO:
        if name not in self.kept:
            raise NotFoundError("not there", where=name)
        return io.BytesIO(self.kept[name])


class HandOrders(StoredOrders):
    """Orders that a test takes one by one itself. Whoever waits for a next try waits no longer when
    the next order is taken; a lease ends when the test says so.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seconds = 0
        clock = TimeSources(since_start=lambda: self._seconds * 10**9, boot=lambda: "here")
        super().__init__(database, lease_s=_LONG_S, clock=clock)

    def next(self) -> Order | None:
        """Leases the order that is first of all queues."""
        self._seconds += _SOON_S
        first = min(self.waiting, key=lambda row: (row.priority, row.id), default=None)
        return None if first is None else self.lease("hand", {first.queue: 1})[0]

    def forsake(self) -> None:
        """Ends every lease, as where the workers that have them are no more."""
        self._seconds += 2 * _LONG_S

    @property
    def waiting(self) -> list[Any]:
        """Rows of orders of running jobs that nobody has leased, whether for now or for later."""
        free = (ORDERS.c.holder == "") | (ORDERS.c.free_at <= self._seconds)
        query = sa.select(ORDERS).join(JOBS, JOBS.c.id == ORDERS.c.job).where(free)
        running = query.where(JOBS.c.state == str(JobState.RUNNING))
        return list(self._database.run(lambda connection: connection.execute(running).all()))

    def delays(self) -> list[float]:
        """In how many seconds each waiting order may be taken; 0.0 for at once."""
        return [max(0.0, row.free_at - self._seconds) for row in self.waiting]


@dataclass
class World:
    """All parts of a durable ingest over one folder."""

    folder: Path
    splitter: PassageSplitter
    chunk: int = 4
    database: Database = field(init=False)

    def __post_init__(self) -> None:
        self.database = open_database(self.folder / "work.sqlite")
        self.jobs = StoredJobs(self.database)
        self.orders = HandOrders(self.database)
        self.files = FileStores()
        self.desk = JobDesk(self.jobs, self.files)
        self.ledger = StoredLedger(self.database)
        self.known = Remembered(self.ledger)
        self.likenesses = StoredLikenesses(self.database)
        self.store = DictStore()
        self.reader = TextReader()
        self.finder: EachFrameAShot | None = EachFrameAShot()
        self.captioner: Describer | None = None
        self.listener: Listener | None = None
        self.order_s = AN_ORDER_S
        self.speller: Speller | None = None
        self.onlooker: Onlooker | None = None
        self.waiting = StoredWaitingStills(self.database)
        self.later = False
        self.at_once = AT_ONCE
        self.rule: Rule = "unless_forbidden"
        self.apart = False
        self.writer = DictWriter()
        self.encoder = HashingEncoder()
        self.stop = False

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    def write(self, name: str, text: str) -> Path:
        """A media file, or what lies beside one."""
        path = self.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def decoder(self) -> Decoder:
        return Decoder(self.reader, self.finder, self.store, self.known, self.spool())

    def spool(self) -> Spool:
        return Spool(self.folder / "spool", self.files, room=10_000, largest=5_000)

    def stages(self) -> dict[Stage, StageWork]:
        decoder = self.decoder()
        preparing = self.preparing(decoder)
        encoder = RememberedEncoder(self.encoder, self.ledger) if self.apart else self.encoder
        embedder: Embedder = PassageEmbedder(self.splitter, [("text", encoder)])
        beside = self.beside()
        if beside is not None:
            embedder = SeveralEmbedders((embedder, LooksEmbedder("looks", beside.looker)))
        ingest = Ingest(self.writer, embedder, clock)
        last = Stage.EMBED if self.apart else Stage.APPLY
        read = last if self.speller is None else Stage.READ_TEXT
        look = read if beside is None else Stage.LOOK
        then = look if self.listener is None else Stage.TRANSCRIBE
        made: dict[Stage, StageWork] = {
            Stage.DECODE: DecodeStage(decoder, 2, shots_apart=self.apart),
            Stage.SHOTS: DecodeStage(decoder, 2),
            Stage.DESCRIBE: DescribeStage(preparing, self.asking(), then),
            Stage.EMBED: EmbedStage(preparing, ingest, self.newest, 3),
            Stage.APPLY: ApplyStage(preparing, ingest, self.newest),
        }
        if beside is not None:
            made[Stage.LOOK] = LookStage(preparing, beside, read)
        if (legible := self.legible()) is not None:
            made[Stage.READ_TEXT] = ReadTextStage(preparing, self.store, legible, last)
        if (listener := self.listener) is not None and (heard := self.heard()) is not None:
            rights = rights_now(self.newest, self.rule)
            parts = (preparing, listener, self.reader, self.spool(), heard, rights)
            made[Stage.TRANSCRIBE] = TranscribeStage(*parts, look, self.order_s)
        return made

    def heard(self) -> Heard | None:
        one = self.listener
        return None if one is None else Heard(self.known, one.digest, one.name, one.leaves)

    def preparing(self, decoder: Decoder | None = None) -> Preparing:
        digest = "" if self.captioner is None else self.captioner.digest
        beside = self.beside()
        words = [one.words for one in (self.heard(), self.legible()) if one is not None]
        words += [] if beside is None else [seen_in(beside.looker, beside)]
        decoder = decoder or self.decoder()
        return Preparing(decoder, _built, self.known, digest, rule=self.rule, words=words)

    def legible(self) -> Legible | None:
        return None if self.speller is None else Legible(self.speller, self.known)

    def beside(self) -> LongShots | None:
        """What looks at stills, and at long shots more than once."""
        if self.onlooker is None:
            return None
        looker = Looker(self.onlooker, self.store, self.known)
        return LongShots(looker, self.known, self.reader, self.spool())

    def asking(self) -> Asking | None:
        """The captioner, at once or, where `later`, in a batch."""
        if self.captioner is None:
            return None
        if self.later:
            return AskLater(self.waiting, self.known, self.likenesses, self.captioner.digest)
        store, known, likenesses = self.store, self.known, self.likenesses
        rights = rights_now(self.newest, self.rule)
        return AskNow(self.captioner, store, known, likenesses, bytes, rights, self.at_once)

    def newest(self, uris: Sequence[str]) -> tuple[Item | None, ...]:
        known = self.writer.versions
        return tuple(self.writer.newest(u).item if u in known else None for u in uris)

    def runner(self) -> ChunkRunner:
        return ChunkRunner(self.jobs, self.orders, self.stages(), lambda _: self.stop)

    def reading(self) -> Reading:
        return Reading(
            self.jobs, self.orders, self.files, lambda _: self.stop, chunk=self.chunk, ahead=10_000
        )

    def start(self, *products: str, **options: object) -> Job:
        """Orders an ingest of everything that was written."""
        request = Request((str(self.folder / "in"),), (), products or ("wire",), **options)  # type: ignore[arg-type]
        return self.desk.start(request, Priority.BACKFILL)

    def work(self, most: int = 10_000) -> int:
        """Carries out orders until there are none, or `most`; how many."""
        runner, reading = self.runner(), self.reading()
        for done in range(most):
            order = self.orders.next()
            if order is None:
                return done
            run = reading.run if order.queue == READ else runner.run
            run(order, lambda: self.stop)
        return most

    def ingest(self, *products: str) -> Job:
        """Orders an ingest and carries it out."""
        job = self.start(*products)
        self.work()
        return self.jobs.job(job.id)

    def assets(self, job: Job) -> dict[str, Tracked]:
        """The job's assets by file name."""
        found = self.jobs.find(job.id, list(AssetState), limit=100_000)
        return {Path(asset.found.location).name: asset for asset in found}

    def made(self, job: Job) -> dict[str, int]:
        """What was computed, without what is 0."""
        return {name: n for name, n in self.jobs.counts(job.id).made.items() if n}


def _built(asset: Asset, enrichment: Enrichment, recorded: Item | None) -> Item:
    return build_item(asset, enrichment, clock, recorded).item
