"""What an ingest writes, in which order, and what it says about it."""

from __future__ import annotations

import _thread
import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.callers import OPERATOR, Caller
from core.errors import InputError, ModelError, StorageFullError
from core.items import Item, PassageVectors
from core.writes import Outcome, Part, PutItem, Written
from indexing.handover import Handover
from indexing.ingest import Ingest, IngestOptions, Progress, _Worker
from indexing.report import LONG, WITHOUT_PRODUCT
from indexing.sources import Rejected
from tests.search.room import Room

Write = Callable[..., Path]
WIRE = IngestOptions(products=("wire",))


def story(uri: str, version: int = 1, **members: Any) -> dict[str, Any]:
    return {"uri": uri, "version": version, "headline": f"story {uri}", "body_text": "b", **members}


def stories(count: int) -> list[dict[str, Any]]:
    return [story(f"u{n}") for n in range(count)]


def put_uris(writer: Any) -> list[tuple[str, int]]:
    return [(write.item.uri, write.item.version) for batch in writer.batches for write in batch]


def test_counts(ingest: Ingest, writer: Any, write_lines: Write) -> None:
    path = write_lines(
        story("a"),
        b"{broken",
        story("b", x_house=1, body_text="\x00b"),
        story("a", 2),
        story("a", 1, headline="late"),
        story("b", 1, headline="other content", x_house=1),
        {"headline": "no uri"},
        story("a", 2),
    )
    report = ingest.run([path], WIRE)
    assert report.outcomes == {
        Outcome.CREATED: 2,
        Outcome.SUPERSEDED: 1,
        Outcome.STALE: 1,
        Outcome.CONFLICT: 1,
        Outcome.UNCHANGED: 1,
    }
    assert (report.read, report.rejected, report.acknowledged) == (8, 2, 6)
    assert report.rejected_by_reason == {"malformed JSON": 1, "uri is missing": 1}
    assert [(entry.line, entry.field) for entry in report.rejections] == [(2, ""), (7, "uri")]
    assert {(entry.uri, entry.outcome) for entry in report.refused} == {
        ("a", Outcome.STALE),
        ("b", Outcome.CONFLICT),
    }
    assert report.unknown_members == {"x_house": 2}
    assert report.warnings == {"control characters or endless marks removed": 1}
    assert report.bytes == path.stat().st_size
    assert not report.ok
    assert writer.newest("a").item.version == 2


def test_what_is_too_long_to_embed_whole_is_told(ingest: Ingest, write_lines: Write) -> None:
    body = "market " * 60_000
    short, long = ingest.put_documents([story("a"), story("b", body_text=body)], ["wire"])
    assert isinstance(short, Written)
    assert isinstance(long, Written)
    assert (short.words_only, long.words_only) == ((), ("body",))
    report = ingest.run([write_lines(story("c", body_text=body))], WIRE)
    assert report.warnings == {f"body: {LONG}": 1}


def test_the_report_is_json(ingest: Ingest, write_lines: Write) -> None:
    report = ingest.run([write_lines(story("a"), b"{", name="w.jsonl")], WIRE)
    shown = json.loads(json.dumps(report.as_dict()))
    assert shown["created"] == 1
    assert shown["conflict"] == 0
    assert shown["passages"] == 1
    assert shown["error"] is None
    assert set(shown["rejections"][0]) == {"file", "line", "field", "reason"}


def test_only_a_thousand_rejections_are_kept(ingest: Ingest, write_lines: Write) -> None:
    report = ingest.run([write_lines(*[b"{"] * 1500)], WIRE)
    assert report.rejected == 1500
    assert len(report.rejections) == 1000


def test_order_is_kept_within_and_across_batches(
    ingest: Ingest, writer: Any, write_lines: Write
) -> None:
    documents = [story(f"u{n % 7}", n) for n in range(200)]
    report = ingest.run([write_lines(*documents)], IngestOptions(("wire",), batch_size=8))
    assert put_uris(writer) == [(d["uri"], d["version"]) for d in documents]
    assert report.outcomes == {Outcome.CREATED: 7, Outcome.SUPERSEDED: 193}
    assert max(len(batch) for batch in writer.batches) == 8


def test_what_is_known_is_not_embedded_again(
    ingest: Ingest, encoder: Any, writer: Any, write_lines: Write
) -> None:
    path = write_lines(*stories(20))
    ingest.run([path], WIRE)
    encoder.texts.clear()
    before = dict(writer.versions)
    report = ingest.run([path], WIRE)
    assert report.outcomes == {Outcome.UNCHANGED: 20}
    assert encoder.texts == []
    assert report.passages == 0
    assert writer.versions == before
    assert report.ok


def test_a_new_product_is_an_update(ingest: Ingest, writer: Any, write_lines: Write) -> None:
    path = write_lines(story("a"))
    ingest.run([path], WIRE)
    assert ingest.run([path], IngestOptions(("more",))).outcomes == {Outcome.UPDATED: 1}
    assert writer.newest("a").item.products == ("more",)


def test_what_a_kill_holds_is_noted(folder: Path, ingest: Ingest, write_lines: Write) -> None:
    room = Room(folder)
    try:
        room.kill("a")
        held = Ingest(room.engine, ingest._embedder, ingest._clock)
        report = held.run([write_lines(story("a"), story("b"))], WIRE)
    finally:
        room.engine.close()
    assert report.outcomes == {Outcome.CREATED: 2}
    assert report.warnings == {"canceled by an earlier change of status": 1}


def test_the_same_files_again_are_unchanged_superseded_versions_too(
    ingest: Ingest, write_lines: Write
) -> None:
    path = write_lines(story("a"), story("a", 2), story("b"))
    assert ingest.run([path], WIRE).ok
    again = ingest.run([path], WIRE)
    assert again.outcomes == {Outcome.UNCHANGED: 3}
    assert again.ok
    other = ingest.run([write_lines(story("a", headline="never seen"))], WIRE)
    assert (other.outcomes, other.ok) == ({Outcome.STALE: 1}, False)


def test_what_has_no_product_gets_the_default_ones_or_is_counted(
    ingest: Ingest, writer: Any, write_lines: Write
) -> None:
    own, bare = story("own", products=["sport"]), story("bare")
    report = ingest.run([write_lines(own, bare)])
    assert report.warnings == {WITHOUT_PRODUCT: 1}
    path = write_lines(own, bare, story("later"))
    embedder, now = ingest._embedder, ingest._clock
    report = Ingest(writer, embedder, now, ("news",)).run([path])
    assert report.warnings == {}
    assert report.outcomes == {Outcome.UNCHANGED: 1, Outcome.UPDATED: 1, Outcome.CREATED: 1}
    products = {uri: writer.newest(uri).item.products for uri in ("own", "bare", "later")}
    assert products == {"own": ("sport",), "bare": ("news",), "later": ("news",)}
    Ingest(writer, embedder, now, ("news",)).put_documents([story("sent")], part=Part.TEXT)
    assert writer.newest("sent").item.products == ("news",)


def test_strict_stops_at_the_first_rejection_after_what_went_before(
    ingest: Ingest, writer: Any, write_lines: Write
) -> None:
    path = write_lines(story("a"), story("b"), {"uri": 5}, story("c"))
    report = ingest.run([path], IngestOptions(("wire",), strict=True))
    assert put_uris(writer) == [("a", 1), ("b", 1)]
    assert report.stopped_by is not None
    assert report.stopped_by.code == "bad_document"
    assert report.stopped_by.where == f"{path}:3"
    assert (report.acknowledged, report.rejected) == (2, 1)
    assert report.as_dict()["error"]["code"] == "bad_document"


def test_an_empty_folder_is_an_empty_report(ingest: Ingest, tmp_path: Path) -> None:
    report = ingest.run([tmp_path])
    assert (report.read, report.acknowledged, report.ok) == (0, 0, True)


def test_a_missing_path_is_an_error_before_anything_is_written(
    ingest: Ingest, writer: Any, write_lines: Write, tmp_path: Path
) -> None:
    with pytest.raises(InputError):
        ingest.run([write_lines(story("a")), tmp_path / "nowhere"])
    assert writer.batches == []


def test_progress_grows_to_the_end(ingest: Ingest, write_lines: Write) -> None:
    seen: list[Progress] = []

    class Watcher:
        def advance(self, progress: Progress) -> None:
            seen.append(progress)

    path = write_lines(*stories(50), b"{")
    ingest.run([path], IngestOptions(("wire",), batch_size=10), Watcher())
    assert [p.documents for p in seen] == sorted(p.documents for p in seen)
    last = seen[-1]
    assert (last.documents, last.rejected, last.passages) == (51, 1, 50)
    assert last.done_bytes == last.total_bytes == path.stat().st_size


class Limited:
    """A writer whose disk is full after `room` items."""

    def __init__(self, inner: Any, room: int, error: Exception) -> None:
        self.inner, self.room, self.error = inner, room, error

    def unknown(self, items: Sequence[Item], by: Caller = OPERATOR) -> tuple[bool, ...]:
        known: tuple[bool, ...] = self.inner.unknown(items)
        return known

    def set_status(self, changes: Any, by: Caller = OPERATOR) -> Any:
        return self.inner.set_status(changes)

    def put(self, writes: Sequence[PutItem], by: Caller = OPERATOR) -> tuple[Written, ...]:
        if len(self.inner.versions) + len(writes) > self.room:
            raise self.error
        written: tuple[Written, ...] = self.inner.put(writes)
        return written


def test_a_full_disk_stops_with_the_count_of_what_was_acknowledged(
    ingest: Ingest, writer: Any, write_lines: Write
) -> None:
    full = StorageFullError("no space left")
    limited = Ingest(Limited(writer, 25, full), ingest._embedder, ingest._clock)
    report = limited.run([write_lines(*stories(500))], IngestOptions(("w",), batch_size=10))
    assert report.stopped_by is full
    assert report.acknowledged == len(writer.versions) == 20
    assert report.read == 20


def test_an_unforeseen_failure_of_the_writer_is_raised(
    ingest: Ingest, writer: Any, write_lines: Write
) -> None:
    failing = Ingest(Limited(writer, 0, ZeroDivisionError()), ingest._embedder, ingest._clock)
    with pytest.raises(ZeroDivisionError):
        failing.run([write_lines(*stories(500))])


def left_running() -> list[str]:
    """Threads of an ingest that outlived it; other tests' pools may be there."""
    return [type(t).__name__ for t in threading.enumerate() if isinstance(t, _Worker)]


class FailingEmbedder:
    """Embeds `good` batches, then raises; an interrupt arrives in the calling thread like this."""

    def __init__(self, inner: Any, good: int, error: BaseException) -> None:
        self.inner, self.good, self.error = inner, good, error

    def embed(self, items: Sequence[Item]) -> tuple[tuple[PassageVectors, ...], ...]:
        self.good -= 1
        if self.good < 0:
            raise self.error
        embedded: tuple[tuple[PassageVectors, ...], ...] = self.inner.embed(items)
        return embedded


def test_an_interrupt_ends_after_the_batches_that_are_embedded(
    ingest: Ingest, writer: Any, write_lines: Write
) -> None:
    embedder = FailingEmbedder(ingest._embedder, 3, KeyboardInterrupt())
    interrupted = Ingest(writer, embedder, ingest._clock)
    report = interrupted.run([write_lines(*stories(500))], IngestOptions(("w",), batch_size=10))
    assert report.interrupted
    assert report.acknowledged == len(writer.versions) == 30
    assert not left_running()


@pytest.mark.parametrize("started", [0, 1])
def test_an_interrupt_before_both_threads_run_is_an_empty_report(
    ingest: Ingest, write_lines: Write, monkeypatch: pytest.MonkeyPatch, started: int
) -> None:
    start, left = _Worker.start, [None] * started

    def interrupted(worker: _Worker) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        start(worker)

    monkeypatch.setattr(_Worker, "start", interrupted)
    report = ingest.run([write_lines(story("a"))], WIRE)
    assert (report.interrupted, report.acknowledged) == (True, 0)
    assert not left_running()


def test_ctrl_c_from_outside_ends_cleanly(ingest: Ingest, writer: Any, write_lines: Write) -> None:
    class Presser:
        """Presses Ctrl-C while the second batch is reported."""

        def advance(self, progress: Progress) -> None:
            if progress.documents == 20:
                _thread.interrupt_main()
            time.sleep(0.02)

    path = write_lines(*stories(2000))
    report = ingest.run([path], IngestOptions(("w",), batch_size=10), Presser())
    assert report.interrupted
    assert 20 <= report.acknowledged == len(writer.versions) < 200
    assert not left_running()


def test_a_model_error_stops_with_that_error(
    ingest: Ingest, writer: Any, write_lines: Write
) -> None:
    error = ModelError("changed")
    broken = Ingest(writer, FailingEmbedder(ingest._embedder, 1, error), ingest._clock)
    report = broken.run([write_lines(*stories(100))], IngestOptions(("w",), batch_size=10))
    assert report.stopped_by is error
    assert report.acknowledged == 10


def test_a_slow_writer_holds_the_reader_back(
    ingest: Ingest, writer: Any, write_lines: Write
) -> None:
    """Queues are short: few batches are read beyond what is written."""
    ahead: list[int] = []

    class Counting:
        def __init__(self, inner: Any) -> None:
            self.inner, self.embedded = inner, 0

        def embed(self, items: Sequence[Item]) -> Any:
            self.embedded += 1
            ahead.append(self.embedded - len(writer.batches))
            return self.inner.embed(items)

    class Slow(Limited):
        def put(self, writes: Sequence[PutItem], by: Caller = OPERATOR) -> tuple[Written, ...]:
            time.sleep(0.005)
            return super().put(writes)

    slow = Ingest(Slow(writer, 10**6, ValueError()), Counting(ingest._embedder), ingest._clock)
    slow.run([write_lines(*stories(300))], IngestOptions(("w",), batch_size=10))
    assert max(ahead) <= 4


def test_documents_of_the_api_are_answered_in_order(ingest: Ingest, writer: Any) -> None:
    answers = ingest.put_documents(
        [
            json.dumps(story("a")).encode(),
            b"{broken",
            story("b"),
            {"uri": "c", "body_text": "\ud800"},
            story("a", 2),
            story("a", 1),
        ],
        ("api",),
    )
    assert answers[0] == Written("a", 1, Outcome.CREATED)
    assert isinstance(answers[1], Rejected)
    assert (answers[1].line, answers[1].file) == (2, "")
    assert answers[2] == Written("b", 1, Outcome.CREATED)
    assert isinstance(answers[3], Rejected)
    assert answers[3].field == "body_text"
    assert answers[4] == Written("a", 2, Outcome.SUPERSEDED)
    assert answers[5] == Written("a", 1, Outcome.STALE, known=True)
    assert len(writer.batches) == 1
    assert writer.newest("b").item.products == ("api",)
    assert writer.newest("b").vectors[0].vectors.shape == (1, 8)


def test_a_text_is_put_first_and_its_vectors_later(
    folder: Path, ingest: Ingest, encoder: Any
) -> None:
    room = Room(folder, encoder)
    apart = Ingest(room.engine, ingest._embedder, ingest._clock)
    try:
        (first,) = apart.put_documents([story("a")], part=Part.TEXT)
        assert (first.outcome, room.engine.count_lacking("text")) == (Outcome.CREATED, 1)
        assert encoder.texts == []
        (later,) = apart.put_documents([story("a")], part=Part.VECTORS)
        assert (later.outcome, room.engine.count_lacking("text")) == (Outcome.UPDATED, 0)
        (late,) = apart.put_documents([story("a", 2)], part=Part.VECTORS)
        assert late.outcome is Outcome.STALE
    finally:
        room.engine.close()


@pytest.mark.parametrize("documents", [[], [b"{"]])
def test_nothing_to_put_is_no_transaction(
    ingest: Ingest, writer: Any, documents: list[bytes]
) -> None:
    assert len(ingest.put_documents(documents)) == len(documents)
    assert writer.batches == []


def test_a_handover_ends_from_either_side() -> None:
    handover: Handover[int] = Handover(2)
    assert handover.put(1)
    handover.close(ValueError("broken"))
    taken = iter(handover)
    assert next(taken) == 1
    with pytest.raises(ValueError, match="broken"):
        next(taken)
    handover.cancel()
    assert not handover.put(2)
