"""The sound of files as samples, from the cage: at its seconds, in parts, damaged, missing."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from core.errors import InputError, MediaError
from core.media import SOUND_RATE, Samples
from indexing.media.reading import CagedReader
from tests.indexing.media.clips import Clip, write_clip, write_sound


def write_tones(
    path: Path, rate: int = 44_100, layout: str = "stereo", late_s: float = 0.0
) -> Path:
    """Ten seconds; in each odd one a tone sounds, and the sound begins `late_s` after the video."""
    codec = {".wav": "pcm_s16le", ".mp3": "mp3", ".flac": "flac"}.get(path.suffix, "aac")
    times = np.arange(10 * rate) / rate
    samples = (8_000 * np.sin(2 * np.pi * 440 * times) * (times.astype(int) % 2)).astype(np.int16)
    channels = 2 if layout == "stereo" else 1
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        if late_s:
            video = container.add_stream("mpeg4", rate=25)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            for number in range(275):
                frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))
                frame.pts = number
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        for start in range(0, len(samples), 1024):
            part = np.repeat(samples[start : start + 1024], channels)[None, :]
            sound = av.AudioFrame.from_ndarray(part, format="s16", layout=layout)
            sound.sample_rate, sound.pts = rate, start + round(late_s * rate)
            container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    return path


def loud_seconds(samples: Samples, first_s: float = 0.0) -> list[int]:
    """The seconds in whose middle it is loud."""
    count = int(len(samples) / SOUND_RATE)
    found = []
    for second in range(count):
        middle = samples[round((second + 0.25) * SOUND_RATE) : round((second + 0.75) * SOUND_RATE)]
        if np.abs(middle.astype(int)).mean() > 1_000:
            found.append(second + int(first_s))
    return found


@pytest.mark.parametrize(
    ("name", "rate", "layout"),
    [
        ("a.wav", 44_100, "stereo"),
        ("a.wav", 8_000, "mono"),
        ("a.mp3", 48_000, "stereo"),
        ("a.flac", 44_100, "mono"),
        ("a.m4a", 44_100, "stereo"),
        ("a.mkv", 48_000, "stereo"),
        ("a.ts", 48_000, "mono"),
    ],
)
def test_each_second_is_at_its_place_from_any_start(
    reader: CagedReader, folder: Path, name: str, rate: int, layout: str
) -> None:
    path = write_tones(folder / name, rate, layout)
    whole = reader.sound(path, 0.0, 300.0)
    assert whole.notes == ()
    assert whole.seconds == pytest.approx(10.0, abs=0.15)
    assert loud_seconds(whole.samples) == [1, 3, 5, 7, 9]
    part = reader.sound(path, 4.0, 8.0)
    assert len(part.samples) == 4 * SOUND_RATE
    assert loud_seconds(part.samples, 4.0) == [5, 7]
    if path.suffix in (".wav", ".flac"):  # the others give times in thousandths
        apart = whole.samples[4 * SOUND_RATE : 8 * SOUND_RATE].astype(int) - part.samples
        assert np.abs(apart[SOUND_RATE // 2 : -SOUND_RATE // 2]).mean() < 300
    assert len(reader.sound(path, 20.0, 30.0).samples) == 0


def test_sound_that_begins_after_the_video_is_at_the_videos_seconds(
    reader: CagedReader, folder: Path
) -> None:
    sound = reader.sound(write_tones(folder / "a.mkv", late_s=2.0), 0.0, 60.0)
    assert loud_seconds(sound.samples) == [3, 5, 7, 9, 11]


def test_a_video_without_sound_says_so(reader: CagedReader, folder: Path) -> None:
    found = reader.sound(write_clip(folder / "a.mp4", Clip(count=5)), 0.0, 10.0)
    assert (len(found.samples), found.notes) == (0, ("there is no sound in it",))


def test_a_damaged_track_is_silent_where_it_is_damaged_and_says_so(
    reader: CagedReader, folder: Path
) -> None:
    path = write_tones(folder / "a.flac", 44_100, "mono")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4_000] = b"\xff" * 4_000
    path.write_bytes(data)
    found = reader.sound(path, 0.0, 60.0)
    assert found.notes
    assert {1, 9} <= set(loud_seconds(found.samples))


def test_what_is_no_media_is_refused_and_a_stretch_has_limits(
    reader: CagedReader, folder: Path
) -> None:
    (folder / "a.mp3").write_bytes(b"no sound at all")
    with pytest.raises(MediaError):
        reader.sound(folder / "a.mp3", 0.0, 10.0)
    path = write_sound(folder / "b.m4a")
    for start, end in ((-1.0, 1.0), (2.0, 2.0), (0.0, 1e6)):
        with pytest.raises(InputError):
            reader.sound(path, start, end)
