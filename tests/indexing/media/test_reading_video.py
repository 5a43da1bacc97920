"""What a reader says of videos of every make, with the times at which their frames are shown."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.errors import MediaError
from core.media import FrameBatch, Gap, MediaKind
from indexing.media.reading import CagedReader
from tests.indexing.media.clips import Clip, Pixels, level, write_clip, write_sound

STEPS = (0, 40, 80, 500, 540, 1200, 1240, 1280, 3000, 3040, *(3080 + 40 * n for n in range(30)))
CLIPS = {
    "b_frames.mp4": Clip(options={"bf": "3", "g": "25"}),
    "variable_rate.mp4": Clip(count=40, stamps=STEPS, options={"bf": "2"}),
    "variable_rate.mkv": Clip(count=40, stamps=STEPS),
    "starts_late.ts": Clip(stamps=[5000 + 40 * n for n in range(50)], options={"bf": "2"}),
    "edit_list.mp4": Clip(stamps=[1000 + 40 * n for n in range(50)], options={"bf": "3"}),
    "fragments.mp4": Clip(muxer={"movflags": "frag_keyframe+empty_moov"}, options={"g": "10"}),
    "program.mpg": Clip(codec="mpeg2video"),
    "exchange.mxf": Clip(codec="mpeg2video", size=(720, 576)),
    "flash.flv": Clip(),
    "windows.asf": Clip(codec="wmv2"),
    "motion.avi": Clip(codec="mjpeg"),
    "decode_times_only.avi": Clip(options={"bf": "2"}),
    "bare.h264": Clip(options={"bf": "2"}),
    "odd.avi": Clip(size=(161, 91), codec="ffv1"),
    "odd.mkv": Clip(size=(167, 93), codec="libvpx-vp9"),
    "smallest.mkv": Clip(size=(2, 2), codec="ffv1"),
    "one.mp4": Clip(count=1),
    "sound_too.mp4": Clip(sound=True),
    "newer.mp4": Clip(codec="libx265", options={"x265-params": "log-level=none"}),
}


def read(reader: CagedReader, path: Path) -> tuple[list[float], list[Pixels], list[Gap], str]:
    """Times, frames, gaps and notes; the frames' numbers must go on from batch to batch."""
    seconds: list[float] = []
    pixels: list[Pixels] = []
    gaps: list[Gap] = []
    stream = reader.frames(path)
    for item in stream:
        if isinstance(item, Gap):
            gaps.append(item)
            continue
        assert item.first == len(seconds)
        assert item.pixels.shape == (len(item.seconds), 27, 48, 3)
        seconds += list(item.seconds)
        pixels += list(item.pixels)
    return seconds, pixels, gaps, "; ".join(stream.notes)


def numbers(pixels: list[Pixels]) -> list[int]:
    """Which brightness each frame has, counted in `level`."""
    levels = np.array([level(number) for number in range(11)])
    return [int(np.abs(levels - float(frame[18:, 24:].mean())).argmin()) for frame in pixels]


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_comes_once_in_order_at_its_time(
    name: str, reader: CagedReader, tmp_path: Path
) -> None:
    clip = CLIPS[name]
    path = write_clip(tmp_path / name, clip)
    facts = reader.probe(path)
    seconds, pixels, gaps, notes = read(reader, path)
    assert (facts.kind, facts.width, facts.height) == (MediaKind.VIDEO, *clip.size)
    assert gaps == []
    assert seconds == pytest.approx(clip.times(), abs=1e-3)
    assert numbers(pixels) == [number % 11 for number in range(clip.count)]
    assert ("without a timestamp" in notes) == (name in ("bare.h264", "decode_times_only.avi"))


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_video_is_upright(turn: int, reader: CagedReader, tmp_path: Path) -> None:
    """The dark corner of the stored frames lies upper left; turned clockwise it wanders."""
    path = write_clip(tmp_path / "turned.mp4", Clip(rotation=turn))
    facts = reader.probe(path)
    assert facts.rotation == turn
    assert (facts.width, facts.height) == ((160, 90) if turn == 180 else (90, 160))
    _, pixels, _, _ = read(reader, path)
    corners = {90: (3, 44), 180: (23, 44), 270: (23, 3)}
    dark = {corner: int(pixels[-1][corner].mean()) for corner in [(3, 3), *corners.values()]}
    assert min(dark, key=dark.__getitem__) == corners[turn]
    (still,) = reader.stills(path, [[0.4]], 320)
    assert (still.width, still.height) == (facts.width, facts.height)


def test_pixels_that_are_not_square_are_shown_as_such(reader: CagedReader, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "wide.mp4", Clip(aspect=Fraction(4, 3)))
    facts = reader.probe(path)
    assert (facts.width, facts.height) == (213, 90)
    (still,) = reader.stills(path, [[0.4]], 320)
    assert (still.width, still.height) == (213, 90)


def test_interlaced_frames_are_read_and_it_is_said(reader: CagedReader, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "fields.mpg", Clip(codec="mpeg2video", interlaced=True))
    seconds, pixels, _, notes = read(reader, path)
    assert len(seconds) == 50
    assert numbers(pixels) == [number % 11 for number in range(50)]
    assert "interlaced" in notes


def test_sound_alone_has_no_frames(reader: CagedReader, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "tone.m4a")
    facts = reader.probe(path)
    assert (facts.kind, facts.mimetype) == (MediaKind.AUDIO, "audio/mp4")
    assert facts.duration_s == pytest.approx(1.0, abs=0.1)
    seconds, _, gaps, notes = read(reader, path)
    assert (seconds, gaps) == ([], [])
    assert "no video" in notes
    with pytest.raises(MediaError, match="no video"):
        reader.stills(path, [[0.0]], 320)


def test_a_file_s_own_metadata_are_told(reader: CagedReader, tmp_path: Path) -> None:
    tags = {"title": "Flood in Köln", "comment": "second bridge"}
    facts = reader.probe(write_clip(tmp_path / "told.mp4", Clip(tags=tags)))
    assert tags.items() <= facts.tags["container"].items()


@pytest.mark.parametrize("name", ["variable_rate.mkv", "starts_late.ts", "fragments.mp4"])
def test_of_a_truncated_file_the_beginning_is_read(
    name: str, reader: CagedReader, tmp_path: Path
) -> None:
    clip = CLIPS[name]
    path = write_clip(tmp_path / name, clip)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    seconds, pixels, gaps, notes = read(reader, path)
    assert 3 <= len(seconds) < clip.count
    whole = len(seconds) - 4  # the last may lean on frames that are gone
    assert seconds[:whole] == pytest.approx(clip.times()[:whole], abs=1e-3)
    assert numbers(pixels[:whole]) == [number % 11 for number in range(whole)]
    if name.endswith("mkv"):  # its header says how long it is
        (gap,) = gaps
        assert gap.start_s == pytest.approx(seconds[-1] + 0.04)
        assert gap.end_s == pytest.approx(clip.times()[-1] + 0.04, abs=0.05)
    if name.endswith("mp4"):
        assert "could not be decoded" in notes


def test_damage_in_the_middle_is_a_gap_and_the_rest_is_read(
    reader: CagedReader, tmp_path: Path
) -> None:
    clip = Clip(count=200, options={"g": "25", "bf": "2"})
    path = write_clip(tmp_path / "hurt.mp4", clip)
    data = bytearray(path.read_bytes())
    start, end = len(data) // 3, len(data) // 2
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    seconds, _, gaps, notes = read(reader, path)
    times = clip.times()
    assert set(np.round(seconds, 3)) <= set(np.round(times, 3))
    assert seconds[0] == 0
    assert seconds[-1] == pytest.approx(times[-1])
    assert gaps
    assert all(gap.end_s > gap.start_s for gap in gaps)
    between = [s for s in seconds if any(g.start_s + 1e-6 < s < g.end_s - 1e-6 for g in gaps)]
    assert between == []
    assert "could not be decoded" in notes


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "empty"), (b"a text\n" * 100, "no picture"), (bytes(5000), "no picture")],
)
def test_what_is_no_media_is_refused(
    data: bytes, says: str, reader: CagedReader, tmp_path: Path
) -> None:
    path = tmp_path / "thing.mp4"
    path.write_bytes(data)
    for ask in (reader.probe, lambda file: list(reader.frames(file))):
        with pytest.raises(MediaError, match=says) as raised:
            ask(path)
        assert raised.value.where == str(path)
        assert raised.value.mend or not data


def test_what_is_no_file_is_refused(reader: CagedReader, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, says in ((".", "is no file"), ("pipe", "is no file"), ("gone", "can't be opened")):
        with pytest.raises(MediaError, match=says):
            reader.probe(tmp_path / name)


def test_real_clips_are_read(reader: CagedReader, shared_media: Path) -> None:
    """As many frames as the container counts, times within its duration."""
    for path in sorted((shared_media / "video").glob("*.mp4")):
        facts = reader.probe(path)
        seconds, pixels, gaps, notes = read(reader, path)
        assert (gaps, notes) == ([], "")
        assert len(seconds) == pytest.approx(facts.duration_s * facts.frame_rate, abs=1.6)
        assert facts.duration_s - 0.1 < seconds[-1] + 1 / facts.frame_rate < facts.duration_s + 0.1
        assert np.stack(pixels).std() > 10


def test_batches_are_no_larger_than_is_good_for_memory(reader: CagedReader, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "long.mp4", Clip(count=300))
    sizes = [len(item.seconds) for item in reader.frames(path) if isinstance(item, FrameBatch)]
    assert sum(sizes) == 300
    assert max(sizes) <= 64
