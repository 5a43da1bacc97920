"""Shots and embeddings with queues of their own, so that hosts with a GPU do nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import InputError
from core.work import MODEL_STAGES, READ, STAGES, Job, JobState, Stage
from indexing.passages import PassageSplitter
from indexing.work.queues import QUEUES, queues_named
from tests.indexing.work.world import Describer, World


@pytest.fixture
def apart(world: World) -> World:
    world.apart = True
    return world


def work_on(world: World, stages: tuple[Stage, ...]) -> list[Stage]:
    """A worker that takes orders of these stages only; which it carried out."""
    runner, reading = world.runner(), world.reading()
    queues = {str(stage): 1 for stage in stages} | ({READ: 1} if Stage.DECODE in stages else {})
    done: list[Stage] = []
    while leased := world.orders.lease("some", queues):
        for order in leased:
            if order.queue == READ:
                reading.run(order, lambda: False)
            else:
                done.append(order.stage)
                runner.run(order, lambda: False)
    return done


def finished(world: World, job: Job) -> bool:
    return world.jobs.job(job.id).state is JobState.FINISHED


def test_a_host_with_models_takes_what_needs_them_and_the_others_the_rest(apart: World) -> None:
    apart.captioner = Describer()
    apart.write("a.jpg", "picture a")
    apart.write("clip.mp4", "video one two")
    job = apart.start()
    others = tuple(stage for stage in STAGES if stage not in MODEL_STAGES)
    assert work_on(apart, others) == [Stage.DECODE]
    assert {what for what, _ in apart.reader.opened} == {"picture", "probe"}
    assert apart.encoder.texts == []
    assert work_on(apart, MODEL_STAGES).count(Stage.SHOTS) == 1
    assert ("shots", "clip.mp4") in apart.reader.opened
    assert len(apart.captioner.asked) == 3
    embedded = len(apart.encoder.texts)
    assert embedded
    assert not finished(apart, job)
    assert apart.writer.versions == {}
    assert set(work_on(apart, others)) == {Stage.APPLY}
    assert finished(apart, job)
    assert len(apart.encoder.texts) == embedded  # it found the vectors in the ledger
    assert apart.made(job) == {
        "decoded": 2,
        "shots": 2,
        "captioned": 3,
        "embedded": 2,
        "written": 2,
    }


def test_apart_or_not_the_archive_is_the_same(
    world: World, splitter: PassageSplitter, folder: Path
) -> None:
    other = World(folder / "other", splitter)
    other.apart = True
    for one in (world, other):
        one.captioner = Describer()
        for name in "abcdefg":
            one.write(f"{name}.jpg", f"picture {name}")
        one.write("clip.mp4", "video one two three")
        one.ingest()
        one.ingest()
    for uri, versions in world.writer.versions.items():
        theirs = other.writer.versions[uri]
        assert versions.keys() == theirs.keys()
        mine, its = world.writer.newest(uri), other.writer.newest(uri)
        assert mine.item.caption == its.item.caption
        assert len(mine.item.shots) == len(its.item.shots)
        for ours, same in zip(mine.vectors, its.vectors, strict=True):
            assert ours.passages == same.passages
            assert (ours.vectors == same.vectors).all()
    other.database.close()


def test_the_second_time_nothing_is_computed(apart: World) -> None:
    apart.write("a.jpg", "picture a")
    apart.write("clip.mp4", "video one two")
    apart.ingest()
    opened, embedded = len(apart.reader.opened), len(apart.encoder.texts)
    assert apart.made(apart.ingest()) == {}
    assert (len(apart.reader.opened), len(apart.encoder.texts)) == (opened, embedded)


def test_queues_by_name() -> None:
    assert queues_named("read, decode ,models,apply") == QUEUES
    assert queues_named("models,shots") == (
        "shots",
        "describe",
        "transcribe",
        "look",
        "read_text",
        "embed",
    )
    for text in ("", ",", "decode,paint"):
        with pytest.raises(InputError):
            queues_named(text)
