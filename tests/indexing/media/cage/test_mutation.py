"""Malformed media by the hundred: each is read or refused, and nothing else happens.

The seed is fixed; a failure names the number of the file, by which it can be made again.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from core.errors import DatelineError, LimitError, MediaError
from core.media import MediaKind
from indexing.media.cage.limits import CageLimits
from indexing.media.reading import CagedReader
from tests.indexing.media.clips import Clip, photo, write_clip, write_sound

MEMORY = 512 * 2**20
CLIPS = {
    "b.mp4": Clip(count=12, options={"bf": "2", "g": "6"}, sound=True),
    "f.mp4": Clip(count=12, muxer={"movflags": "frag_keyframe+empty_moov"}, options={"g": "4"}),
    "m.mkv": Clip(count=12, options={"g": "6"}),
    "v.webm": Clip(count=12, codec="libvpx"),
    "t.ts": Clip(count=12, options={"g": "6"}),
    "p.mpg": Clip(count=12, codec="mpeg2video"),
    "a.avi": Clip(count=12, codec="mpeg4"),
    "j.avi": Clip(count=6, codec="mjpeg"),
    "w.asf": Clip(count=12, codec="wmv2"),
    "l.flv": Clip(count=12),
    "x.mxf": Clip(count=6, codec="mpeg2video", size=(720, 576)),
    "h.mp4": Clip(count=12, codec="libx265", options={"x265-params": "log-level=none"}),
}
Mutation = Callable[[bytearray, np.random.Generator], None]


def flip(data: bytearray, random: np.random.Generator) -> None:
    for at in random.integers(0, len(data), random.integers(1, 40)):
        data[at] ^= int(random.integers(1, 256))


def wipe(data: bytearray, random: np.random.Generator) -> None:
    start = int(random.integers(0, len(data)))
    end = min(len(data), start + int(random.integers(1, 2000)))
    data[start:end] = bytes([int(random.choice([0, 255]))]) * (end - start)


def cut(data: bytearray, random: np.random.Generator) -> None:
    del data[int(random.integers(1, len(data))) :]


def drop(data: bytearray, random: np.random.Generator) -> None:
    start = int(random.integers(0, len(data)))
    del data[start : start + int(random.integers(1, 500))]


def double(data: bytearray, random: np.random.Generator) -> None:
    start = int(random.integers(0, len(data)))
    piece = data[start : start + int(random.integers(1, 2000))]
    data[start:start] = piece * int(random.integers(1, 5))


def exaggerate(data: bytearray, random: np.random.Generator) -> None:
    """Large numbers near the beginning, where sizes and counts stand."""
    for _ in range(int(random.integers(1, 6))):
        at = int(random.integers(0, min(len(data), 1500)))
        number = bytes.fromhex(str(random.choice(["ffffffff", "7fffffff", "80000000", "00010000"])))
        data[at : at + 4] = number


MUTATIONS: tuple[Mutation, ...] = (flip, wipe, cut, drop, double, exaggerate)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    """Sound files to begin with, small ones of every make."""
    place = tmp_path_factory.mktemp("whole")
    found = [(name, write_clip(place / name, clip).read_bytes()) for name, clip in CLIPS.items()]
    found.append(("s.m4a", write_sound(place / "s.m4a", 0.3).read_bytes()))
    exif = Image.Exif()
    exif[0x010E] = "told"
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"):
        out = io.BytesIO()
        image = photo((160, 120)).quantize(64) if kind == "GIF" else photo((160, 120))
        image.save(out, kind, exif=exif)
        found.append((kind.lower(), out.getvalue()))
    return found


def mutate(whole: list[tuple[str, bytes]], number: int) -> tuple[str, bytes]:
    random = np.random.default_rng([7, number])
    name, data = whole[number % len(whole)]
    damaged = bytearray(data)
    for _ in range(int(random.integers(1, 4))):
        MUTATIONS[int(random.integers(len(MUTATIONS)))](damaged, random)
        if not damaged:
            damaged.extend(b"\0")
    return name, bytes(damaged)


def read_all(reader: CagedReader, path: Path) -> str:
    """Everything that is done with a file on its way in; what became of it."""
    facts = reader.probe(path)
    if facts.kind is MediaKind.PICTURE:
        reader.picture(path, [64, 128])
        return "picture"
    count = sum(1 for _ in reader.frames(path))
    if count:
        reader.stills(path, [[0.0, 0.1], [0.3]], 96)
    return "video" if count else "nothing"


def outcome_of(reader: CagedReader, path: Path) -> str:
    """What became of a file; an error that does not say which file it is about is none of ours."""
    try:
        return read_all(reader, path)
    except MediaError as error:
        if error.where != str(path) or not error.what:
            return repr(error)
        return "limit" if isinstance(error, LimitError) else "refused"
    except DatelineError as error:
        return repr(error)


def peak_memory(strangers: set[int]) -> int:
    """The most address space that a child of the reader has had: other tests' are no concern."""
    most = 0
    for child in psutil.Process().children():
        if child.pid in strangers:
            continue
        text = Path(f"/proc/{child.pid}/status").read_text()
        lines = dict(line.split(":", 1) for line in text.splitlines())
        most = max(most, int(lines.get("VmPeak", "0 kB").split()[0]) * 1024)
    return most


def survive(whole: list[tuple[str, bytes]], numbers: range, place: Path) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    strangers = {child.pid for child in psutil.Process().children()}
    limits = CageLimits(memory_bytes=MEMORY, cpu_s=5, stall_s=20.0)
    with CagedReader(limits) as reader:
        for number in numbers:
            name, data = mutate(whole, number)
            path = place / name
            path.write_bytes(data)
            outcome = outcome_of(reader, path)
            assert outcome in ("picture", "video", "nothing", "refused", "limit"), (number, outcome)
            outcomes[outcome] += 1
            assert peak_memory(strangers) <= MEMORY, number
        for name, data in whole:  # and nothing of it is left behind
            path = place / name
            path.write_bytes(data)
            assert read_all(reader, path) in ("picture", "video", "nothing")
    return outcomes


def test_sixty_malformed_files_are_read_or_refused(
    whole: list[tuple[str, bytes]], tmp_path: Path
) -> None:
    outcomes = survive(whole, range(60), tmp_path)
    assert outcomes["refused"] > 3
    assert outcomes["video"] + outcomes["picture"] > 10


@pytest.mark.faults
@pytest.mark.deep
def test_a_thousand_malformed_files_are_read_or_refused(
    whole: list[tuple[str, bytes]], tmp_path: Path
) -> None:
    outcomes = survive(whole, range(1000), tmp_path)
    assert outcomes["refused"] > 100
    assert outcomes["video"] + outcomes["picture"] > 300
