"""What is said in videos and sounds, piece by piece, over orders, failures and rights."""

from __future__ import annotations

import json

import pytest

from core.items import Item
from core.work import AssetState, Job, Stage
from indexing.captions.rights import RIGHTS
from indexing.speech.pieces import PIECE_S
from tests.indexing.work.world import SHOT_S, SILENT, Listener, World

LONG = [f"word{n // 2}" if n % 2 else SILENT for n in range(160)]  # 640 s, with pauses


def item(world: World, name: str, job: Job) -> Item:
    digest = world.assets(job)[name].digest
    return world.writer.newest(f"urn:sha256:{digest}").item


def said(world: World, name: str, job: Job) -> list[tuple[float, str]]:
    return [(one.start_s, one.text) for one in item(world, name, job).speech]


def test_a_video_and_a_sound_are_written_down_with_seconds_and_maker(world: World) -> None:
    world.listener = Listener("hello", "thanks")
    world.write("clip.mp4", f"video hello {SILENT} thanks")
    world.write("voice.mp3", "sound thanks")
    world.write("a.jpg", "picture hello")
    job = world.ingest()
    assert said(world, "clip.mp4", job) == [(0.0, "hello"), (2 * SHOT_S, "thanks")]
    made = item(world, "clip.mp4", job)
    assert (made.speech_by, made.speech[1].language) == ("listener@listener-1", "en")
    assert made.speech[1].words == ((8.0, 12.0, "thanks"),)
    assert said(world, "voice.mp3", job) == [(0.0, "thanks")]
    assert item(world, "a.jpg", job).speech == ()
    assert {asset.cause for asset in world.assets(job).values()} == {""}


def test_the_second_time_nothing_is_heard_again_and_another_model_hears_all(world: World) -> None:
    world.listener = first = Listener("hello")
    world.write("clip.mp4", "video hello")
    world.ingest()
    world.ingest()
    assert first.heard == [SHOT_S]
    world.listener = Listener("hello", digest="listener-2")
    job = world.ingest()
    assert item(world, "clip.mp4", job).speech_by == "listener@listener-2"
    assert sorted(world.writer.versions[item(world, "clip.mp4", job).uri]) == [0, 1]


def test_a_long_file_is_cut_into_pieces_at_pauses_and_into_orders(world: World) -> None:
    words = [name for name in LONG if name != SILENT]
    world.listener = listener = Listener(*words)
    world.order_s = 200.0
    world.write("long.mp4", f"video {' '.join(LONG)}")
    world.write("short.mp4", f"video {words[3]}")
    job = world.start()
    orders = 0
    while (order := world.orders.next()) is not None:
        orders += order.queue == Stage.TRANSCRIBE
        run = world.reading().run if order.queue == "read" else world.runner().run
        run(order, lambda: False)
    assert orders >= 3
    assert [text for _, text in said(world, "long.mp4", job)] == words
    assert [start for start, _ in said(world, "long.mp4", job)] == [
        n * SHOT_S for n, name in enumerate(LONG) if name != SILENT
    ]
    assert all(seconds <= PIECE_S for seconds in listener.heard)
    assert sum(listener.heard) == pytest.approx((len(LONG) + 1) * SHOT_S, abs=0.01)


def test_a_process_that_ends_between_two_pieces_hears_none_again(world: World) -> None:
    world.listener = listener = Listener(*LONG)
    world.write("long.mp4", f"video {' '.join(LONG)}")
    job = world.start()
    world.work(2)  # read, decode
    stage = world.stages()[Stage.TRANSCRIBE]
    (asset,) = [a for a in world.assets(job).values() if a.state is AssetState.WAITING]
    asks = iter([False, False, True])
    assert list(stage.work([asset], lambda: next(asks, True))) == []
    assert len(listener.heard) == 1
    world.work()
    assert sum(listener.heard) == pytest.approx(len(LONG) * SHOT_S, abs=0.01)
    assert len(said(world, "long.mp4", job)) == 80


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("mute one", "there is no sound in it"),
        (f"video {SILENT} {SILENT}", "no words were heard in it"),
        ("video music", "no words were heard in it"),
        ("video damaged hello", "a part of it is damaged"),
    ],
)
def test_what_has_no_words_is_said_and_is_no_error(world: World, text: str, remark: str) -> None:
    world.listener = Listener("hello")
    world.write("clip.mp4", text)
    job = world.ingest()
    asset = world.assets(job)["clip.mp4"]
    assert (asset.state, asset.cause) == (AssetState.DONE, remark)
    assert bool(item(world, "clip.mp4", job).speech) == ("hello" in text)


def test_silence_is_not_put_to_the_model(world: World) -> None:
    world.listener = listener = Listener()
    world.write("clip.mp4", f"video {SILENT}")
    world.ingest()
    assert listener.heard == []


def test_a_model_that_fails_leaves_the_item_without_words_until_the_next_ingest(
    world: World,
) -> None:
    world.listener = listener = Listener("hello")
    world.write("clip.mp4", "video hello")
    listener.failing = "out of memory"
    job = world.ingest()
    assert world.assets(job)["clip.mp4"].cause == "not transcribed: out of memory"
    assert item(world, "clip.mp4", job).speech == ()
    listener.failing = ""
    again = world.ingest()
    assert said(world, "clip.mp4", again) == [(0.0, "hello")]


def test_what_the_agency_wrote_down_is_not_heard(world: World) -> None:
    world.listener = listener = Listener("hello")
    world.write("clip.mp4", "video hello")
    world.write("clip.srt", "1\n00:00:01,000 --> 00:00:02,000\nGood day.\n")
    job = world.ingest()
    assert listener.heard == []
    assert said(world, "clip.mp4", job) == [(1.0, "Good day.")]
    assert item(world, "clip.mp4", job).speech_by == ""


def test_rights_keep_sound_from_a_service_and_not_from_a_model_here(world: World) -> None:
    world.listener = outside = Listener("hello", leaves=True)
    world.write("clip.mp4", "video hello")
    world.write("clip.json", json.dumps({"external_processing": False}))
    job = world.ingest()
    assert outside.heard == []
    assert world.assets(job)["clip.mp4"].cause == f"not transcribed: {RIGHTS}"
    world.listener = Listener("hello", digest="here")
    assert said(world, "clip.mp4", world.ingest()) == [(0.0, "hello")]


def test_words_from_a_service_go_when_rights_forbid_it(world: World) -> None:
    world.listener = Listener("hello", leaves=True)
    world.write("clip.mp4", "video hello")
    assert said(world, "clip.mp4", world.ingest())
    world.write("clip.json", json.dumps({"external_processing": False}))
    assert said(world, "clip.mp4", world.ingest()) == []
