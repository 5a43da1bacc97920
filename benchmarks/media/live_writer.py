"""A camera: a process that writes a video at its own pace, for the live benchmark and the tests.

    python -m benchmarks.media.live_writer FORM TARGET RATE FRAMES CUTS [--start T] [--clip FILE]

FORM is `ts` (MPEG-TS) or `flv`, to a file or pipe (`-` is standard output), or `hls`, a folder that
gets a playlist `live.m3u8` and segments of one second. RATE is frames a second, FRAMES their
number. The picture changes at each frame number in CUTS, a list with commas (`-`: never); with
--clip, frames come from a video file instead, which is looped. Frame n is sent n / RATE seconds
after T, by the clock that all processes of a machine share (CLOCK_MONOTONIC), so that others know
when.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import IO

import av
import numpy as np
from av.container import OutputContainer

from core.media import Frames

ROOT = Path(__file__).parents[2]
_BLOCKS, _BLOCK = (4, 6), 16  # a picture of coloured blocks


def start_writer(
    form: str,
    target: str,
    *,
    rate: int,
    frames: int,
    cuts: Sequence[int] = (),
    start: float = 0.0,
    clip: Path | None = None,
    stdout: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start the process, for a caller that reads its output; `start` 0 means at once."""
    numbers = ",".join(map(str, cuts)) or "-"
    command = [
        sys.executable,
        "-m",
        "benchmarks.media.live_writer",
        form,
        target,
        str(rate),
        str(frames),
    ]
    more = ["--start", str(start), *(["--clip", str(clip.resolve())] if clip else [])]
    return subprocess.Popen([*command, numbers, *more], stdout=stdout, cwd=ROOT)


def main() -> None:
    """Write until all frames are written or nobody reads them any more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("form", choices=("ts", "flv", "hls"))
    parser.add_argument("target")
    parser.add_argument("rate", type=int)
    parser.add_argument("frames", type=int)
    parser.add_argument("cuts")
    parser.add_argument("--start", type=float, default=0.0)
    parser.add_argument("--clip", type=Path)
    chosen = parser.parse_args()
    cuts = [] if chosen.cuts == "-" else [int(cut) for cut in chosen.cuts.split(",")]
    pictures = _blocks(cuts) if chosen.clip is None else _of_clip(chosen.clip)
    with suppress(av.error.FFmpegError, OSError):
        _write(pictures, chosen)


def _write(pictures: Iterator[Frames], chosen: argparse.Namespace) -> None:
    rate, started = chosen.rate, chosen.start or time.monotonic()
    first = next(pictures)
    with _container(chosen.form, chosen.target) as container:
        options = {"preset": "ultrafast", "tune": "zerolatency"}
        stream = container.add_stream("libx264", rate=Fraction(rate), options=options)
        stream.height, stream.width, stream.pix_fmt = *first.shape[:2], "yuv420p"
        stream.gop_size = rate
        for number in range(chosen.frames):
            pixels = next(pictures) if number else first
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _container(form: str, target: str) -> OutputContainer:
    """Return the container that the video is written to."""
    if form == "hls":
        options = {"hls_time": "1", "hls_list_size": "6", "hls_flags": "temp_file"}
        return av.open(str(Path(target) / "live.m3u8"), "w", format="hls", options=options)
    place = sys.stdout.buffer if target == "-" else Path(target).open("wb", buffering=0)  # noqa: SIM115
    kind = "mpegts" if form == "ts" else form
    return av.open(place, "w", format=kind, options={"flush_packets": "1"})


def _blocks(cuts: Sequence[int]) -> Iterator[Frames]:
    """Yield pictures of coloured blocks [64, 96, 3]; the colours change at each cut."""
    rng = np.random.default_rng(7)
    colours = rng.integers(40, 215, (len(cuts) + 1, *_BLOCKS, 3))
    number = 0
    while True:
        blocks = colours[sum(cut <= number for cut in cuts)]
        yield np.kron(blocks, np.ones((_BLOCK, _BLOCK, 1))).astype(np.uint8)
        number += 1


def _of_clip(path: Path) -> Iterator[Frames]:
    """Yield a video's frames [h, w, 3], in an endless loop."""
    while True:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


if __name__ == "__main__":
    main()
