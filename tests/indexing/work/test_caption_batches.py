"""Batches of captions over a durable ingest, with a provider on loopback and deaths in between."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest

from core.errors import NotFoundError, UnavailableError
from core.media import ToCaption
from core.work import JobState
from indexing.captions.batch import BatchCaptioner, Submission
from indexing.captions.calls import CAP, Calls, new_breaker
from indexing.captions.gate import RIGHTS
from indexing.captions.provider import Provider
from indexing.captions.rates import Rates
from indexing.captions.spending import Prices, Spending
from indexing.work.ask_later import WAITS
from indexing.work.caption_batches import TRIES, CaptionBatches
from tests.caption_provider import KEY, CaptionServer, Reply
from tests.indexing.captions.world import EDGE, MODEL, Book, jpeg
from tests.indexing.work.world import Describer, World, look_of

PRICES = Prices(2.0, 8.0, 0.5)


class Killed(BaseException):
    """What ends a process."""


@pytest.fixture
def server() -> Iterator[CaptionServer]:
    with CaptionServer() as made:
        yield made


class Bench:
    """A world whose captions come in batches, from `server`."""

    def __init__(self, world: World, server: CaptionServer, most: float | None = None) -> None:
        self.world = world
        self.server = server
        self.book = Book()
        world.later = True
        self.calls = Calls(
            Provider.open(server.base_url, MODEL, key=KEY, seconds=10),
            Rates(),
            Spending(self.book, PRICES, most),
            breaker=new_breaker(),
        )
        self.captioner = BatchCaptioner(self.calls, EDGE)
        world.captioner = Describer(self.captioner.digest)

    def batches(self, provider: object = None, most: int = 100) -> CaptionBatches:
        """As another process has them."""
        world = self.world
        return CaptionBatches(
            world.waiting,
            provider or self.captioner,  # type: ignore[arg-type]
            world.store,
            world.known,
            world.likenesses,
            world.desk,
            picture_of,
            most=most,
        )

    def collected(self) -> dict[str, int]:
        """Looks until the batches have ended, and works on what follows."""
        made = {"captions": 0, "applied": 0}
        for _ in range(6):
            report = self.batches().collect()
            made["captions"] += report.captions
            made["applied"] += report.applied
            self.world.work()
            if not report.open:
                return made
        raise AssertionError("the batches do not end")

    def spent(self) -> float:
        return self.book.spent(datetime.now(UTC).date().isoformat())

    def captions(self) -> dict[str, str]:
        """What machines say by the file's name, "" for nothing."""
        found = {}
        for uri in self.world.writer.versions:
            item = self.world.writer.newest(uri).item
            assert item.media is not None
            found[item.media.location.rpartition("/")[2]] = item.machine_text
        return found


@pytest.fixture
def bench(world: World, server: CaptionServer) -> Iterator[Bench]:
    made = Bench(world, server)
    yield made
    made.captioner.close()


def picture_of(still: bytes) -> bytes:
    """A real JPEG for a text that stands for one."""
    return jpeg((sum(still) % 256, len(still) * 7 % 256, 90))


def sent(server: CaptionServer) -> list[str]:
    """The keys in every file that was handed in."""
    files = [data for name, data in server.files.items() if b'"url"' in data]
    return [json.loads(line)["custom_id"] for data in files for line in data.splitlines()]


def test_pictures_are_applied_at_once_and_again_with_their_captions(
    bench: Bench, server: CaptionServer
) -> None:
    for name in "abc":
        bench.world.write(f"{name}.jpg", f"picture {name}")
    job = bench.world.ingest()
    assert job.state is JobState.FINISHED
    assert set(bench.captions().values()) == {""}
    assert bench.world.jobs.remarks(job.id) == {WAITS: 3}
    assert server.requests == []
    report = bench.batches().submit()
    assert (report.batches, report.stills) == (1, 3)
    assert bench.batches().submit().batches == 0
    assert bench.collected() == {"captions": 3, "applied": 3}
    assert all(bench.captions().values())
    assert bench.spent() == pytest.approx(3 * PRICES.of(900, 60) * 0.5)
    assert bench.world.jobs.remarks(job.id) == {}
    assert bench.world.waiting.count() == {"unsent": 0, "sent": 0, "answered": 0}
    assert bench.collected() == {"captions": 0, "applied": 0}
    assert bench.world.made(bench.world.ingest()) == {}
    assert len(server.batches) == 1
    assert server.asked() == []


def test_shots_of_a_video_are_described_together(bench: Bench) -> None:
    bench.world.write("clip.mp4", "video one two three")
    bench.world.ingest()
    bench.batches(most=2).submit()
    assert len(bench.server.batches) == 2
    assert bench.collected()["applied"] == 1
    (uri,) = bench.world.writer.versions
    item = bench.world.writer.newest(uri).item
    assert all(shot.description and shot.described_by for shot in item.shots)
    assert len(bench.world.writer.versions[uri]) == 2


def test_what_may_not_leave_is_in_no_file(bench: Bench, server: CaptionServer) -> None:
    bench.world.write("open.jpg", "picture one")
    bench.world.write("kept.jpg", "picture two")
    bench.world.write(
        "kept.json", json.dumps({"external_processing": False, "headline": "Embargoed words"})
    )
    job = bench.world.ingest()
    assert bench.world.jobs.remarks(job.id) == {WAITS: 1, f"not described: {RIGHTS}": 1}
    bench.batches().submit()
    bench.collected()
    assert len(sent(server)) == 1
    assert b"Embargoed words" not in server.received()
    assert bench.captions()["kept.jpg"] == ""


def test_rights_that_change_before_it_is_sent_take_it_back(
    bench: Bench, server: CaptionServer
) -> None:
    bench.world.write("a.jpg", "picture one")
    bench.world.ingest()
    assert bench.world.waiting.count()["unsent"] == 1
    bench.world.write("a.json", json.dumps({"external_processing": False}))
    bench.world.ingest()
    assert bench.batches().submit().batches == 0
    assert server.requests == []


def test_near_duplicates_are_sent_once_and_share(bench: Bench, server: CaptionServer) -> None:
    for name in ("look.1", "look.22", "look.333", "other"):
        bench.world.write(f"{name}.jpg", f"picture {name}")
    assert look_of("look.1") != look_of("look.22")
    bench.world.ingest()
    assert bench.batches().submit().stills == 2
    bench.world.write("late.jpg", "picture look.4444")
    bench.world.ingest()
    assert bench.batches().submit().batches == 0  # one that looks the same is under way
    assert bench.collected()["captions"] == 2
    captions = bench.captions()
    assert all(captions.values())
    assert len({captions[f"look.{n}.jpg"] for n in (1, 22, 333)} | {captions["late.jpg"]}) == 1
    assert len(sent(server)) == 2


def test_the_cap_leaves_the_rest_for_another_day(world: World, server: CaptionServer) -> None:
    from indexing.captions.prompt import question
    from indexing.captions.spending import TokenEstimate

    expected = TokenEstimate().before(question(ToCaption(b"", "", True)))
    price = PRICES.of(expected.tokens_in, expected.tokens_out) * 0.5
    bench = Bench(world, server, most=2.5 * price)
    for name in "abcde":
        world.write(f"{name}.jpg", f"picture {name}")
    world.ingest()
    report = bench.batches().submit()
    assert (report.stills, report.reasons) == (2, {CAP: 3})
    assert bench.spent() <= 2.5 * price
    assert bench.collected()["captions"] == 2
    assert sum(map(bool, bench.captions().values())) == 2
    bench.book.days.clear()  # the next day
    assert bench.batches().submit().stills == 2
    assert bench.collected()["captions"] == 2
    bench.captioner.close()


class Dying:
    """A provider's batches for a process that is killed at one of the calls."""

    def __init__(self, captioner: BatchCaptioner, before: bool) -> None:
        self._captioner = captioner
        self._before = before

    def submit(self, stills: Mapping[str, ToCaption], turn: int = 1) -> Submission:
        if not self._before:
            self._captioner.submit(stills, turn)
        raise Killed

    def results(self, batch: str, contexts: Mapping[str, str]) -> object:
        raise Killed


@pytest.mark.parametrize("before", [True, False])
def test_a_process_killed_while_it_sends_is_not_paid_for_twice(
    bench: Bench, server: CaptionServer, before: bool
) -> None:
    for name in "abc":
        bench.world.write(f"{name}.jpg", f"picture {name}")
    bench.world.ingest()
    with pytest.raises(Killed):
        bench.batches(Dying(bench.captioner, before)).submit()
    bench.world.write("d.jpg", "picture d")  # more comes before it is begun again
    bench.world.ingest()
    bench.batches().submit()
    assert sorted(sent(server)) == sorted(set(sent(server)))
    assert bench.collected()["captions"] == 4
    assert all(bench.captions().values())
    assert bench.spent() == pytest.approx(4 * PRICES.of(900, 60) * 0.5)


@pytest.mark.parametrize("call", ["put", "add", "answer", "again"])
def test_a_process_killed_while_it_fetches_goes_on(
    bench: Bench, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        bench.world.write(f"{name}.jpg", f"picture {name}")
    bench.world.ingest()
    bench.batches().submit()
    parts: dict[str, object] = {
        "put": bench.world.known,
        "add": bench.world.likenesses,
        "answer": bench.world.waiting,
        "again": bench.world.desk,
    }

    def dies(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(parts[call], call, dies)
        bench.batches().collect()  # the provider is at it
        with pytest.raises(Killed):
            bench.batches().collect()
    bench.collected()
    assert all(bench.captions().values())
    assert bench.world.waiting.count() == {"unsent": 0, "sent": 0, "answered": 0}
    assert bench.spent() == pytest.approx(2 * PRICES.of(900, 60) * 0.5)


def test_what_gives_no_answer_goes_into_another_batch_and_is_given_up_in_the_end(
    bench: Bench, server: CaptionServer
) -> None:
    for name in "ab":
        bench.world.write(f"{name}.jpg", f"picture {name}")
    bench.world.ingest()
    for _ in range(TRIES):
        report = bench.batches().submit()
        assert report.batches == 1
        server.say(*[Reply(status=500)] * report.stills)
        bench.collected()
        server.script.clear()
    assert bench.batches().submit().batches == 0
    assert len(server.batches) == TRIES
    assert bench.world.waiting.count() == {"unsent": 0, "sent": 0, "answered": 0}
    bench.world.ingest()  # asks again: the provider may be well
    assert bench.batches().submit().stills == 2


def test_what_will_never_be_described_is_not_sent_again(
    bench: Bench, server: CaptionServer
) -> None:
    bench.world.write("a.jpg", "picture a")
    bench.world.ingest()
    bench.batches().submit()
    server.say(Reply(status=400))
    bench.collected()
    bench.world.ingest()
    assert bench.world.waiting.count()["unsent"] == 0
    assert bench.batches().submit().batches == 0


def test_a_cancelled_job_s_captions_go_in_with_the_next_ingest(
    bench: Bench,
) -> None:
    for name in "ab":
        bench.world.write(f"{name}.jpg", f"picture {name}")
    job = bench.world.start()
    while any(not asset.digest for asset in bench.world.assets(job).values()) or not (
        bench.world.assets(job)
    ):
        assert bench.world.work(1)
    bench.world.work(1)  # the describe stage, not the last one
    bench.batches().submit()
    bench.world.desk.cancel(job.id)
    bench.collected()
    assert bench.world.writer.versions == {}
    assert bench.world.waiting.count()["answered"] == 0
    bench.world.ingest()
    assert all(bench.captions().values())


def test_a_lost_batch_is_told_and_can_be_given_up(bench: Bench, server: CaptionServer) -> None:
    bench.world.write("a.jpg", "picture a")
    bench.world.ingest()
    bench.batches().submit()
    (batch,) = server.batches
    server.scripted = f"/v1/batches/{batch}"
    server.say(Reply(status=404))
    report = bench.batches().collect()
    assert [batch in trouble for trouble in report.troubles] == [True]
    with pytest.raises(NotFoundError):
        bench.batches().release("batch_9")
    assert bench.batches().release(batch) == 1
    server.scripted = "/v1/chat/completions"
    assert bench.batches().submit().stills == 1
    assert bench.collected()["captions"] == 1
    assert all(bench.captions().values())


def test_a_provider_that_can_t_be_reached_keeps_what_waits(
    bench: Bench, server: CaptionServer
) -> None:
    bench.world.write("a.jpg", "picture a")
    bench.world.ingest()
    server.scripted = "/v1/files"
    server.say(Reply(status=503))
    with pytest.raises(UnavailableError):
        bench.batches().submit()
    assert bench.batches().submit().stills == 1
    assert len(set(sent(server))) == 1
    assert bench.collected()["captions"] == 1
