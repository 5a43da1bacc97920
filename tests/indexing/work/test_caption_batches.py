"""Batches of captions over a durable ingest, with a provider on loopback and deaths in between."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from core.errors import NotFoundError, UnavailableError
from core.items import Item, PubStatus
from core.media import ToCaption
from core.work import JobState
from core.writes import PutItem, SetStatus
from dateline.build.media.captions import captioner_of
from dateline.build.media.stages import asking_of
from dateline.settings import Settings
from indexing.captions.batch import BatchCaptioner, Leave, Submission
from indexing.captions.calls import CAP, Calls, Rates, new_breaker
from indexing.captions.provider import Provider
from indexing.captions.rights import RIGHTS, Rule, may_leave_as_recorded, rights_now
from indexing.captions.spending import Prices, Spending
from indexing.work.caption_batches import RENEWED, TRIES, UNRECORDED, CaptionBatches
from indexing.work.stages.describe import WAITS
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
        self.rule: Rule = "unless_forbidden"
        self._most = most
        world.later = True
        self.use(MODEL)

    def use(self, model: str) -> None:
        """Another model from now on, for the workers as for who sends."""
        calls = Calls(
            Provider.open(self.server.base_url, model, key=KEY, seconds=10),
            Rates(),
            Spending(self.book, PRICES, self._most),
            breaker=new_breaker(),
        )
        self.captioner = BatchCaptioner(calls, EDGE)
        self.world.captioner = Describer(self.captioner.digest)

    def rights(self, uris: Sequence[str]) -> list[bool | None]:
        """What the record says now."""
        known, newest = self.world.writer.versions, self.world.writer.newest
        return [
            may_leave_as_recorded(newest(uri).item, self.rule) if uri in known else None
            for uri in uris
        ]

    def item(self, name: str) -> Item:
        """The newest recorded version of a file's item."""
        items = [self.world.writer.newest(uri).item for uri in self.world.writer.versions]
        (found,) = [i for i in items if i.media and i.media.location.endswith(f"/{name}")]
        return found

    def say(self, name: str, **members: object) -> None:
        """Somebody else records another version of a file's item, past every ingest."""
        item = self.item(name)
        source = {**item.source, **members}
        again = replace(item, version=item.version + 1, source=source)
        self.world.writer.put([PutItem(again, ())])

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
            self.rights,
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


def test_what_its_document_withholds_waits_for_no_batch(
    bench: Bench, server: CaptionServer
) -> None:
    bench.world.write("a.jpg", "picture one")
    bench.world.write("a.json", json.dumps({"pubstatus": "withheld"}))
    job = bench.world.ingest()
    assert bench.world.jobs.remarks(job.id) == {f"not described: {RIGHTS}": 1}
    assert bench.batches().submit().batches == 0
    bench.world.write("a.json", json.dumps({"pubstatus": "usable", "version": "2"}))
    bench.world.ingest()
    assert bench.batches().submit().stills == 1


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


@pytest.mark.parametrize("how", ["document", "embedded", "damaged", "rule", "killed", "withheld"])
def test_what_the_record_forbids_by_then_never_leaves(
    bench: Bench, server: CaptionServer, how: str
) -> None:
    """Whoever recorded it: what was judged when the file was ingested is not asked."""
    for name in ("open", "kept"):
        bench.world.write(f"{name}.jpg", f"picture {name}")
        bench.world.write(f"{name}.json", json.dumps({"headline": f"Words of {name}"}))
    bench.world.ingest()
    bench.say("open.jpg", external_processing=True)
    if how == "document":
        bench.say("kept.jpg", external_processing=False)
    elif how == "embedded":
        bench.say("kept.jpg", embedded_rights={"DataMining": ["x/DMI-PROHIBITED-AIMLTRAINING"]})
    elif how == "damaged":
        bench.say("kept.jpg", embedded_rights={"TDMReservation": [{"value": "0"}]})
    elif how == "rule":
        bench.rule = "only_allowed"
    else:
        status = PubStatus.CANCELED if how == "killed" else PubStatus.WITHHELD
        change = SetStatus(bench.item("kept.jpg").uri, status, None, False)
        bench.world.writer.set_status([change])
    report = bench.batches().submit()
    assert (report.stills, report.reasons) == (1, {RIGHTS: 1})
    assert b"Words of kept" not in server.received()
    assert len(sent(server)) == 1
    assert bench.world.waiting.count() == {"unsent": 0, "sent": 1, "answered": 0}
    assert bench.collected()["captions"] == 1
    assert bench.captions()["open.jpg"]
    assert not bench.captions()["kept.jpg"]
    assert bench.batches().submit().batches == 0


def test_what_is_in_no_record_yet_is_not_sent(bench: Bench, server: CaptionServer) -> None:
    bench.world.write("a.jpg", "picture a")
    bench.world.start()
    while not bench.world.waiting.count()["unsent"]:
        assert bench.world.work(1)
    assert bench.batches().submit().reasons == {UNRECORDED: 1}
    assert server.files == {}
    bench.world.work()
    assert bench.batches().submit().stills == 1


def test_another_model_is_asked_once_and_for_what_it_is_to_be_asked(
    bench: Bench, server: CaptionServer
) -> None:
    """What waits under another model's key would be paid for, and for the new key once more."""
    for name in "ab":
        bench.world.write(f"{name}.jpg", f"picture {name}")
    bench.world.ingest()
    bench.captioner.close()
    bench.use("another-model")
    report = bench.batches().submit()
    assert (report.batches, report.reasons) == (0, {RENEWED: 2})
    assert server.files == {}
    bench.world.work()
    assert bench.batches().submit().stills == 2
    assert bench.collected()["captions"] == 2
    for name in ("a.jpg", "b.jpg"):
        assert bench.item(name).caption_by.startswith("another-model@")
    bench.world.ingest()
    assert bench.batches().submit().batches == 0
    assert len(sent(server)) == 2
    assert bench.spent() == pytest.approx(2 * PRICES.of(900, 60) * 0.5)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("change", ["rights", "model"])
def test_a_packet_that_was_left_is_judged_once_more(
    bench: Bench, server: CaptionServer, before: bool, change: str
) -> None:
    """Unless it had been sent: then it is that batch, and nothing is sent or paid for again."""
    for name in "ab":
        bench.world.write(f"{name}.jpg", f"picture {name}")
    bench.world.ingest()
    with pytest.raises(Killed):
        bench.batches(Dying(bench.captioner, before)).submit()
    if change == "rights":
        bench.say("a.jpg", external_processing=False)
    else:
        bench.captioner.close()
        bench.use("another-model")
    report = bench.batches().submit()
    if not before:
        assert (report.batches, report.stills, report.reasons) == (1, 2, {})
        assert len(server.batches) == 1
    elif change == "rights":
        assert (report.stills, report.reasons) == (1, {RIGHTS: 1})
    else:
        assert (report.stills, report.reasons) == (0, {RENEWED: 2})
        assert server.files == {}
    assert bench.collected()["captions"] == report.stills
    if not before:
        items = [bench.item(name) for name in ("a.jpg", "b.jpg")]
        assert all(item.caption_by.startswith(f"{MODEL}@") for item in items)
        assert bench.batches().submit().batches == 0
        assert bench.spent() == pytest.approx(2 * PRICES.of(900, 60) * 0.5)


@pytest.mark.parametrize("ingested", ["before", "after"])
def test_another_model_is_not_asked_about_what_was_sent_to_the_one_before(
    bench: Bench, server: CaptionServer, ingested: str
) -> None:
    """Its captions are the items', whether the same files are ingested before they come or after,
    and those of pictures that look the same.
    """
    bench.world.write("clip.mp4", "video one two three")
    names = ["look.1", "look.22"] if ingested == "after" else ["look.1"]
    for name in names:
        bench.world.write(f"{name}.jpg", f"picture {name}")
    bench.world.ingest()
    assert bench.batches().submit().stills == 4
    bench.captioner.close()
    bench.use("another-model")
    if ingested == "before":
        bench.world.ingest()
        assert bench.batches().submit().batches == 0
        bench.world.work()
    assert bench.collected()["captions"] == 4
    for _ in range(2):
        bench.world.ingest()
        assert bench.batches().submit().batches == 0
        bench.collected()
    assert all(shot.described_by.startswith(MODEL) for shot in bench.item("clip.mp4").shots)
    assert all(bench.item(f"{name}.jpg").caption_by.startswith(f"{MODEL}@") for name in names)
    assert len(sent(server)) == 4
    assert bench.world.waiting.count() == {"unsent": 0, "sent": 0, "answered": 0}
    bench.world.write("new.jpg", "picture new")
    bench.world.ingest()
    assert bench.batches().submit().stills == 1
    bench.collected()
    assert bench.item("new.jpg").caption_by.startswith("another-model@")


def test_a_caption_of_the_model_before_is_not_taken_across_rights(
    bench: Bench, server: CaptionServer
) -> None:
    bench.world.write("a.jpg", "picture a")
    bench.world.ingest("wire")
    bench.batches().submit()
    bench.captioner.close()
    bench.use("another-model")
    bench.world.ingest("desk")
    assert bench.batches().submit().stills == 1
    bench.collected()
    assert bench.item("a.jpg").caption_by.startswith("another-model@")


def test_what_the_model_before_gave_no_caption_of_goes_to_the_one_that_is_set(
    bench: Bench, server: CaptionServer
) -> None:
    for name in "ab":
        bench.world.write(f"{name}.jpg", f"picture {name}")
    bench.world.ingest()
    bench.batches().submit()
    bench.captioner.close()
    bench.use("another-model")
    server.say(Reply(status=500), Reply(status=400))
    bench.collected()
    server.script.clear()
    assert bench.batches().submit().reasons == {RENEWED: 1}
    bench.world.work()
    assert bench.world.waiting.count() == {"unsent": 1, "sent": 1, "answered": 0}
    assert bench.batches().submit().stills == 1
    bench.collected()
    for name in ("a.jpg", "b.jpg"):
        assert bench.item(name).caption_by.startswith("another-model@")


def test_words_that_change_while_a_batch_is_made_do_not_make_another(
    bench: Bench, server: CaptionServer
) -> None:
    bench.world.write("a.jpg", "picture a")
    bench.world.write("copies/a.jpg", "picture a")
    bench.world.ingest()
    with pytest.raises(Killed):
        bench.batches(Dying(bench.captioner, before=False)).submit()
    bench.world.write("a.json", json.dumps({"headline": "Other words"}))
    bench.world.ingest()
    assert bench.batches().submit().batches == 1
    assert len(server.batches) == 1
    assert bench.collected()["captions"] == 1
    assert bench.spent() == pytest.approx(PRICES.of(900, 60) * 0.5)


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


def test_single_calls_that_end_in_the_middle_leave_little_to_pay_again(
    world: World, server: CaptionServer
) -> None:
    """What was paid for is in the ledger after as many calls as are made at the same time."""
    for name in "abcdef":
        world.write(f"{name}.jpg", f"picture {name}")
    assets = world.assets(world.ingest()).values()
    provider = {"captioner": "openai", "caption_model": MODEL, "caption_key": KEY}
    here = {"data": world.folder, "caption_url": server.base_url, "caption_at_once": 2}
    settings = Settings.model_validate({**provider, **here})
    captioner = captioner_of(settings, Book())
    assert captioner is not None
    world.captioner = Describer(captioner.digest)
    ready = [prepared for asset in assets if (prepared := world.preparing().prepare(asset))]

    def dies_at_the_fourth() -> bool:
        if len(server.asked()) >= 4:
            raise Killed
        return False

    rights = rights_now(world.newest, "unless_forbidden")
    parts = (settings, captioner, world.store, world.database, picture_of, rights, [])
    first, second = asking_of(*parts), asking_of(*parts)
    assert first is not None
    assert second is not None
    with pytest.raises(Killed):
        first.ask(ready, dies_at_the_fourth)
    assert len(server.asked()) == 4
    assert sum(second.ask(ready, lambda: False).made.values()) == 2
    assert len(server.asked()) == 6
    captioner.close()


class Dying:
    """A provider's batches for a process that is killed at one of the calls."""

    def __init__(self, captioner: BatchCaptioner, before: bool) -> None:
        self._captioner = captioner
        self._before = before

    @property
    def digest(self) -> str:
        return self._captioner.digest

    def submit(self, stills: Mapping[str, ToCaption], packet: str, leave: Leave) -> Submission:
        if not self._before:
            self._captioner.submit(stills, packet, leave)
        raise Killed

    def results(self, batch: str, contexts: Mapping[str, str]) -> object:
        raise Killed


def test_a_look_alike_without_embargo_is_sent_with_its_own_words(
    bench: Bench, server: CaptionServer
) -> None:
    for name, look in (("kept", "look.1"), ("open", "look.22"), ("open2", "look.333")):
        embargo = {"embargoed": "2999-01-01T00:00:00Z"} if name == "kept" else {}
        bench.world.write(f"{name}.jpg", f"picture {look}")
        document = {"uri": name, "headline": f"Words of {name}"} | embargo
        bench.world.write(f"{name}.json", json.dumps(document))
    bench.world.ingest()
    assert bench.batches().submit().stills == 2
    assert b"Words of open" in server.received()
    assert bench.collected()["captions"] == 2
    assert all(bench.captions().values())
    captions = bench.captions()
    assert captions["open.jpg"] == captions["open2.jpg"] != captions["kept.jpg"]


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


def test_what_did_not_go_along_is_no_answer_that_is_missing(
    bench: Bench, server: CaptionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when the provider had the batch, which some of the packet had no room in."""
    monkeypatch.setattr("indexing.captions.batch.MOST_REQUESTS", 2)
    for name in "abcd":
        bench.world.write(f"{name}.jpg", f"picture {name}")
    bench.world.write("kept.jpg", "picture kept")
    bench.world.ingest()
    bench.say("kept.jpg", external_processing=False)
    with pytest.raises(Killed):
        bench.batches(Dying(bench.captioner, before=False)).submit()
    report = bench.batches().submit()
    assert (report.batches, report.stills) == (2, 4)
    assert len(sent(server)) == 4
    server.say(*[Reply(status=500)] * 4)
    bench.collected()
    assert [still.tries for still in bench.world.waiting.unsent()] == [1] * 4
    server.script.clear()
    assert bench.batches().submit().stills == 4
    bench.collected()
    captions = bench.captions()
    assert not captions.pop("kept.jpg")
    assert all(captions.values())


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


def test_a_cancelled_job_s_captions_go_in_with_the_next_ingest(bench: Bench) -> None:
    bench.world.chunk = 1
    for name in "ab":
        bench.world.write(f"{name}.jpg", f"picture {name}")
    job = bench.world.start()
    while not bench.world.writer.versions:
        assert bench.world.work(1)
    bench.batches().submit()
    bench.world.desk.cancel(job.id)
    bench.collected()
    assert list(bench.captions().values()) == [""]
    assert bench.world.waiting.count()["answered"] == 0
    bench.world.ingest()
    assert all(text for name, text in bench.captions().items() if name == "a.jpg")
    bench.batches().submit()
    bench.collected()
    assert len(bench.captions()) == 2
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
