"""Reads, embeds and writes documents in batches, with the three steps in parallel.

    reader thread          calling thread                writer thread
    read, check   ──2──>   unknown? embed what is   ──1──>   put, count, report progress

The encoder is the slow part, so it never waits for a disk: the other threads release the
interpreter while they read and write. The queues between them are short, so memory stays bounded.
Batches are written in the order of the sources. Items that the record knows already are put without
vectors, which keeps the recorded ones.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from core.callers import OPERATOR, Caller
from core.errors import BusyError, DatelineError, DocumentError
from core.items import Item, PassageVectors, beyond_passages
from core.ports.engine import Clock, Writer
from core.ports.models import Embedder
from core.writes import Part, PutItem, Written
from indexing import json_tree, ninjs
from indexing.correction import corrected
from indexing.handover import Handover
from indexing.ninjs import MAX_DOCUMENT_BYTES, Checked
from indexing.report import IngestReport, Tally
from indexing.sources import Accepted, Reading, Rejected, Sources, nothing, rejected
from indexing.supplied_vectors import Spaces

if TYPE_CHECKING:
    from indexing.formats.mapping import RowMapping

READ_AHEAD = 2
WRITE_BEHIND = 1
MAX_BATCH_BYTES = 2_000_000
_AT_ONCE = 16  # documents of the API that are embedded and written together
_PATIENCE_S = 300.0  # for a model that is busy with other callers
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How to ingest: `products` for every item besides its own, whether the first rejected document
    ends it, how many documents a batch has at most (a batch also ends at 2 MB), and the largest
    document in bytes. Files in folders that are `passed_over` are ignored. With a `mapping`, tables
    are read, too; with `texts`, texts and PDFs of folders. Documents may come with vectors of
    `spaces`, the archive's vector fields.
    """

    products: tuple[str, ...] = ()
    strict: bool = False
    batch_size: int = 64
    max_document_bytes: int = MAX_DOCUMENT_BYTES
    passed_over: Callable[[Path], bool] = nothing
    mapping: RowMapping | None = None
    texts: bool = False
    spaces: Spaces | None = None

    def sources(self, paths: Sequence[Path], clock: Clock) -> Sources:
        """Return the documents under paths, as these options read them."""
        return Sources(
            paths,
            clock,
            self.products,
            self.max_document_bytes,
            self.passed_over,
            self.mapping,
            texts=self.texts,
            spaces=self.spaces,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress so far: documents written or rejected, how many of them were rejected, passages,
    bytes read from disk, all bytes, and the seconds since the start.
    """

    documents: int
    rejected: int
    passages: int
    done_bytes: int
    total_bytes: int
    seconds: float


class Observer(Protocol):
    """Gets the progress of an ingest after each batch, in a thread of the ingest."""

    def advance(self, progress: Progress) -> None:
        """Take progress with growing counts."""
        ...


class Silent:
    """An observer that does nothing."""

    def advance(self, progress: Progress) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Readings in order, the bytes of files read with them, and the rejection that ends a strict
    ingest after them.
    """

    readings: tuple[Reading, ...]
    done_bytes: int
    stop: Rejected | None = None

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(entry.item for entry in self.readings if isinstance(entry, Accepted))

    @property
    def vectors(self) -> tuple[tuple[PassageVectors, ...], ...]:
        return tuple(entry.vectors for entry in self.readings if isinstance(entry, Accepted))


@dataclass(frozen=True, slots=True)
class _Embedded:
    batch: _Batch
    writes: tuple[PutItem, ...]


class Ingest:
    """The way of files and of the API's documents into the record of truth."""

    def __init__(
        self,
        writer: Writer,
        embedder: Embedder,
        clock: Clock,
        default_products: tuple[str, ...] = (),
    ) -> None:
        """`default_products` are for items without products of their own or of the caller."""
        self._writer = writer
        self._embedder = embedder
        self._clock = clock
        self._default_products = default_products

    def run(
        self,
        paths: Sequence[Path],
        options: IngestOptions | None = None,
        observer: Observer | None = None,
    ) -> IngestReport:
        """Ingest every document under `paths`.

        Returns early, with what was acknowledged until then, on an interrupt (`interrupted`: the
        batches already embedded are still written) and on an error of storage, model or, if strict,
        document (`stopped_by`). Raises InputError if a path does not exist.
        """
        options = options or IngestOptions()
        sources = options.sources(paths, self._clock)
        return _Run(self, sources, options, observer or Silent()).run()

    def put_documents(
        self,
        documents: Sequence[bytes | Mapping[str, Any]],
        products: Sequence[str] = (),
        by: Caller = OPERATOR,
        part: Part = Part.WHOLE,
    ) -> tuple[Written | Rejected | DatelineError, ...]:
        """Write ninjs documents of `by`, as bytes or parsed, in order, a few at a time; return the
        answers in their order. A rejected document has its number, from 1, as its line; one that
        could not be written has the error. With `Part.VECTORS`, a version that has changed since
        its text was put stays unchanged.
        """
        answers: list[Written | Rejected | DatelineError | Item] = [
            self._check(number, document, products)
            for number, document in enumerate(documents, start=1)
        ]
        items = [answer for answer in answers if isinstance(answer, Item)]
        put = partial(self._put_few, by=by, part=part)
        written = iter(self._put_items(items, put))
        return tuple(next(written) if isinstance(answer, Item) else answer for answer in answers)

    def correct(self, item: Item, texts: Mapping[str, str], by: Caller, reason: str) -> Written:
        """Record a version of `item`, its newest one, with other `texts` (headline, description,
        body, ednote). Raises DocumentError for texts that no item can have.
        """
        (write,) = self.embed([corrected(item, texts, self._clock)], by)
        return _told(self._writer.put((replace(write, reason=reason),), by)[0], write)

    def _put_items(
        self, items: Sequence[Item], put: Callable[[Sequence[Item]], Sequence[Written]]
    ) -> Iterator[Written | DatelineError]:
        """Yield the outcome of each, a few at a time. An item that can't be recorded is skipped;
        after any other failure the remaining ones are not tried.
        """
        done, at_once = 0, _AT_ONCE
        while done < len(items):
            some = items[done : done + at_once]
            try:
                answers = put(some)
            except DocumentError as error:
                if at_once == 1:
                    yield error
                    done += 1
                at_once = 1  # to find the bad one, and write the others
            except DatelineError as error:
                yield from [error] * (len(items) - done)
                return
            else:
                yield from answers
                done += len(answers)

    def _put_few(self, items: Sequence[Item], *, by: Caller, part: Part) -> Sequence[Written]:
        if part is Part.TEXT:
            writes = tuple(map(PutItem, self._with_products(items)))
        else:
            writes = self.embed(items, by)
        if part is Part.VECTORS:
            writes = tuple(replace(write, only_vectors=True) for write in writes)
        return [*map(_told, self._writer.put(writes, by), writes)]

    def embed(
        self,
        items: Sequence[Item],
        by: Caller = OPERATOR,
        supplied: Sequence[tuple[PassageVectors, ...]] = (),
    ) -> tuple[PutItem, ...]:
        """Return the writes of `by` for each item, with vectors for items that would change the
        record: those that came with the item (`supplied`, if there are any), else fresh ones.
        """
        items = self._with_products(items)
        wanted = self._writer.unknown(items, by)
        given = supplied or [()] * len(items)
        rows = list(zip(items, wanted, given, strict=True))
        fresh = [item for item, is_wanted, own in rows if is_wanted and not own]
        vectors = iter(self._vectors(fresh) if fresh else ())
        return tuple(
            PutItem(item, own or next(vectors)) if is_wanted else PutItem(item)
            for item, is_wanted, own in rows
        )

    def _with_products(self, items: Sequence[Item]) -> Sequence[Item]:
        default = self._default_products
        return [item if item.products else replace(item, products=default) for item in items]

    def _vectors(self, items: Sequence[Item]) -> Sequence[tuple[PassageVectors, ...]]:
        """Return the vectors of each item; wait while other callers fill the model's queue."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return self._embedder.embed(items)
            except BusyError:
                if time.monotonic() > until:
                    raise
            time.sleep(_LOOK_S)

    def put(self, writes: Sequence[PutItem]) -> tuple[Written, ...]:
        """Put all of `writes`, in order. Raises StorageError if the record takes no more; the
        earlier ones are written, and putting them again changes nothing.
        """
        done: list[Written] = []
        while len(done) < len(writes):
            done += self._writer.put(writes[len(done) :])
        return tuple(map(_told, done, writes))

    def _check(
        self, number: int, document: bytes | Mapping[str, Any], products: Sequence[str]
    ) -> Item | Rejected:
        try:
            return self._read(document, products).item
        except DocumentError as error:
            return rejected("", number, error)

    def _read(self, document: bytes | Mapping[str, Any], products: Sequence[str]) -> Checked:
        if isinstance(document, bytes):
            return ninjs.read_bytes(document, self._clock, products)
        return ninjs.read_tree(json_tree.check(document), self._clock, products)


def _told(answer: Written, write: PutItem) -> Written:
    """Return the acknowledgement; it names the members that only words find in full."""
    passages = write.vectors[0].passages if write.vectors else ()
    beyond = beyond_passages(write.item, passages)
    return replace(answer, words_only=beyond) if beyond else answer


class _Run:
    """One ingest in progress: three threads and a tally."""

    def __init__(
        self, ingest: Ingest, sources: Sources, options: IngestOptions, observer: Observer
    ) -> None:
        self._ingest = ingest
        self._sources = sources
        self._options = options
        self._observer = observer
        self._tally = Tally()
        self._started = time.monotonic()
        self._done_bytes = 0
        self._read: Handover[_Batch] = Handover(READ_AHEAD)
        self._embedded: Handover[_Embedded] = Handover(WRITE_BEHIND)

    def run(self) -> IngestReport:
        """Run until the end or until an error or an interrupt."""
        reader = _Worker(self._read_all, self._read.close)
        writer = _Worker(self._write_all, lambda _: self._embedded.cancel())
        try:
            reader.start()
            writer.start()
            self._embed_all()
        except KeyboardInterrupt:
            self._tally.interrupted = True
        except DatelineError as error:
            self._tally.stopped_by = error
        finally:
            self._read.cancel()
            self._embedded.close()
            reader.wait()
            writer.wait()
        self._take_failure(writer)
        return self._tally.report(
            ignored=self._sources.ignored,
            done_bytes=self._done_bytes,
            seconds=time.monotonic() - self._started,
        )

    def _take_failure(self, writer: _Worker) -> None:
        if isinstance(writer.failure, DatelineError):
            self._tally.stopped_by = writer.failure
        elif writer.failure is not None:
            raise writer.failure

    def _read_all(self) -> None:
        for batch in _batches(self._sources, self._options):
            if not self._read.put(batch):
                return

    def _embed_all(self) -> None:
        for batch in self._read:
            before = time.monotonic()
            writes = self._ingest.embed(batch.items, supplied=batch.vectors)
            self._tally.embedding_seconds += time.monotonic() - before
            if not self._embedded.put(_Embedded(batch, writes)):
                return

    def _write_all(self) -> None:
        for embedded in self._embedded:
            batch = embedded.batch
            written = self._ingest.put(embedded.writes)
            self._tally.add_readings(batch.readings)
            self._tally.add_written(written, embedded.writes)
            if batch.stop is not None:
                self._tally.stop_at(batch.stop)
            self._done_bytes = batch.done_bytes
            self._observer.advance(self._progress())

    def _progress(self) -> Progress:
        return Progress(
            documents=self._tally.read,
            rejected=self._tally.rejected,
            passages=self._tally.passages,
            done_bytes=self._done_bytes,
            total_bytes=self._sources.total_bytes,
            seconds=time.monotonic() - self._started,
        )


class _Worker(threading.Thread):
    """A thread that keeps its failure and reports its end."""

    def __init__(
        self, work: Callable[[], None], ended: Callable[[BaseException | None], None]
    ) -> None:
        super().__init__(name=f"ingest{work.__name__}", daemon=True)
        self._work = work
        self._ended = ended
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Work; keep a failure for the thread that waits."""
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised again in the calling thread
            self.failure = error
        self._ended(self.failure)

    def wait(self) -> None:
        """Wait for the end. An interrupt may have come before the thread was started."""
        if self.is_alive():
            self.join()


def _batches(sources: Sources, options: IngestOptions) -> Iterator[_Batch]:
    """Yield batches of bounded length and size; if strict, the last ends at the first rejection."""
    readings: list[Reading] = []
    size = 0
    for reading in sources:
        if isinstance(reading, Rejected) and options.strict:
            yield _Batch(tuple(readings), sources.done_bytes, stop=reading)
            return
        readings.append(reading)
        size += reading.size if isinstance(reading, Accepted) else 0
        if len(readings) >= options.batch_size or size >= MAX_BATCH_BYTES:
            yield _Batch(tuple(readings), sources.done_bytes)
            readings, size = [], 0
    yield _Batch(tuple(readings), sources.done_bytes)
