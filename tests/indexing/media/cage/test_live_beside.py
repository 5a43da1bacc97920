"""What comes beside the frames of a live source: sound, stills, and the packets as a file."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest

from core.media import AskedStill, FrameBatch, LastFrame, LiveItem, SoundBatch
from indexing.media.cage.sources import Beside, LiveSource
from indexing.media.reading import CagedReader
from tests.indexing.media.cage.test_live import in_thread, pour
from tests.indexing.media.clips import Clip, write_clip

pytestmark = pytest.mark.timed

CLIP = Clip(count=100, options={"g": "25", "bf": "2"}, sound=True)


class Files:
    """The recorded files, a new one at each cut."""

    def __init__(self) -> None:
        self.data = [b""]

    def __call__(self, data: bytes, is_cut: bool) -> None:
        if is_cut:
            self.data.append(b"")
        self.data[-1] += data


def read(reader: CagedReader, path: Path, beside: Beside, cut_at: int = -1) -> list[LiveItem]:
    """All that comes of a file through a pipe; a still of all frames is asked for at the end."""
    ours, theirs = os.pipe()
    thread = in_thread(pour, path.read_bytes(), theirs, 4096, 0.002)
    found: list[LiveItem] = []
    frames = 0
    try:
        for item in reader.live(LiveSource(handle=ours), beside):
            found.append(item)
            if isinstance(item, FrameBatch):
                frames += len(item.seconds)
                if 0 <= cut_at < frames:
                    cut_at = -1
                    beside.cut()
            if isinstance(item, LastFrame):
                beside.still(7, 0, frames - 1)
                beside.enough()
    finally:
        os.close(ours)
        thread.join()
    return found


def test_sound_and_stills_come_in_the_seconds_of_the_frames(
    reader: CagedReader, tmp_path: Path
) -> None:
    path = write_clip(tmp_path / "clip.ts", CLIP)
    items = read(reader, path, Beside(160))
    seconds = [at for item in items if isinstance(item, FrameBatch) for at in item.seconds]
    assert seconds == pytest.approx(CLIP.times(), abs=1e-3)
    sound = [item for item in items if isinstance(item, SoundBatch)]
    assert sound[0].start_s < 0.1
    ends = [one.end_s for one in sound]
    assert [one.start_s for one in sound[1:]] == pytest.approx(ends[:-1])
    assert ends[-1] == pytest.approx(4.0, abs=0.15)
    (asked,) = [item for item in items if isinstance(item, AskedStill)]
    assert asked.key == 7
    assert asked.still is not None
    assert asked.still.jpeg.startswith(b"\xff\xd8\xff")
    assert 0 < asked.still.second < 4


def test_the_packets_are_kept_as_files_that_are_cut_at_key_frames(
    reader: CagedReader, tmp_path: Path
) -> None:
    files = Files()
    read(reader, write_clip(tmp_path / "clip.ts", CLIP), Beside(160, record=files), cut_at=30)
    counts = []
    for number, data in enumerate(files.data):
        path = tmp_path / f"{number}.ts"
        path.write_bytes(data)
        assert reader.sound(path, 0, 60).seconds > 0.5
        frames = [item for item in reader.frames(path) if isinstance(item, FrameBatch)]
        counts.append(sum(len(batch.seconds) for batch in frames))
    assert len(counts) == 2
    assert sum(counts) == CLIP.count
    assert counts[0] % 25 == 0  # the second begins at a key frame


def test_connections_are_joined_in_one_file_with_the_time_between_them(
    reader: CagedReader, tmp_path: Path
) -> None:
    files, path = Files(), write_clip(tmp_path / "clip.ts", CLIP)
    read(reader, path, Beside(160, record=files))
    read(reader, path, Beside(160, record=files, at_s=9.0))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(files.data[0])
    seconds = np.concatenate(
        [item.seconds for item in reader.frames(joined) if isinstance(item, FrameBatch)]
    )
    assert len(seconds) == 2 * CLIP.count
    assert seconds[CLIP.count] == pytest.approx(9.0, abs=0.1)


def test_a_source_of_sound_alone_is_heard(reader: CagedReader, tmp_path: Path) -> None:
    path = tmp_path / "sound.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        samples = (np.sin(np.arange(32_000) / 5) * 8_000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None], layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    files = Files()
    items = read(reader, path, Beside(160, record=files))
    sound = [item for item in items if isinstance(item, SoundBatch)]
    assert sound[0].start_s == 0.0
    assert sound[-1].end_s == pytest.approx(2.0, abs=0.15)
    assert items[-1] == AskedStill(7, None)
    assert files.data[0]
