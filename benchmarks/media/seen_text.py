"""Text in pictures: how much of it is read, how much is invented, and what it costs.

    python -m benchmarks.media.seen_text [--models FOLDER] [--media FOLDER] [--threads N]
                                   [--least SCORE] [--only quality|cost] [--peer PYTHON]
                                   [--cells WORD]

**Quality** on generated pictures with known text (`written_pictures`), by type, height of the
letters, angle, contrast, background and language. The character error rate is the least number of
insertions, deletions and replacements from each written line to the line read nearest to it, over
the characters written, capitals counted; recall of words is the share of written words that are
among the words read in that picture, as a search would find them. On real media it counts what is
read where people see no text, and how much is read of the text that is known.

**Cost** is milliseconds and processor time for a picture with six lines and for one without text,
and the memory that the models need.

`--peer` names a Python with rapidocr, whose own detection and recognition read the same pictures
(`seen_text_peer.py`). The models are those that `dateline models pull` fetched.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from rapidfuzz.distance import Levenshtein

from benchmarks.machine import arguments, show, show_table, this_machine
from benchmarks.media.written_pictures import Written, cells, jpeg_of, written
from dateline.build.models.runtimes import model_store, open_runtime
from dateline.settings import Settings, configure
from inference.text_in_pictures.finder import TextFinder
from inference.text_in_pictures.line_reader import LineReader
from inference.text_in_pictures.reader import LEAST_SCORE, PictureTextReader

MEDIA = Path("../shared/media")
EMPTY = ("chelsea.png", "coffee.png", "elephant-660-480.jpg", "rocket.jpg")  # photos without text
WORDLESS = ("cockatoo.mp4", "friday.mp4")
TITLED = {"testvideo.mp4": ("Copyright © 2013 Brandon Castellano", "www.bcastell.com")}
EVERY_S = 4.0  # seconds between frames of a clip
HEAD = ("pictures", "lines", "character error rate", "recall of words", "words invented")
_PEER = Path(__file__).with_name("seen_text_peer.py")

Read = Callable[[bytes], Sequence[str]]  # a JPEG to its lines


@dataclass(slots=True)
class Tally:
    """What was written and read in the pictures of a cell."""

    lines: int = 0
    letters: int = 0
    wrong: int = 0
    words: int = 0
    found: int = 0
    invented: int = 0

    def add(self, lines: Sequence[str], read: Sequence[str]) -> None:
        """Count one picture."""
        self.lines += len(lines)
        heard = [word for line in read for word in _words(line)]
        for line in lines:
            self.letters += len(line)
            self.wrong += min((Levenshtein.distance(line, one) for one in read), default=len(line))
        wanted = [word for line in lines for word in _words(line)]
        self.words += len(wanted)
        self.found += sum(word in heard for word in wanted)
        self.invented += sum(word not in wanted for word in heard)

    def row(self, name: str) -> tuple[str, ...]:
        """Return the cells of a table."""
        if not self.letters:
            return name, str(self.lines), "", "", str(self.invented)
        rate, recall = self.wrong / self.letters, self.found / self.words
        return name, str(self.lines), f"{rate:.3f}", f"{recall:.3f}", str(self.invented)


def main() -> None:
    """Run the benchmark."""
    chosen = _chosen()
    settings = configure({"pulled_models": chosen.models} if chosen.models else {}).settings
    photos = [chosen.media / "photos" / name for name in EMPTY]
    photos = [path for path in photos if path.is_file()]
    machine = this_machine()
    if chosen.only != "cost":
        pictures = [*written(cells(photos), photos), *_real(chosen.media)]
        pictures = [one for one in pictures if chosen.cells in one.cell]
        reader = opened(settings, chosen.threads, chosen.least)
        _show_quality("ours", pictures, lambda jpeg: [t.text for t in reader.read([jpeg])[0]])
        reader.close()
        if chosen.peer:
            _show_quality("rapidocr", pictures, _peer(chosen.peer, pictures))
    if chosen.only != "quality":
        show(f"cost, {chosen.threads} threads", cost(settings, chosen), machine, as_json=False)
    else:
        print(machine)


def opened(settings: Settings, threads: int, least: float = LEAST_SCORE) -> PictureTextReader:
    """Return the reader of the pulled models."""
    store = model_store(settings)
    finder, lines = (store.find(f"PP-OCRv6-small-{part}") for part in ("det", "rec"))
    return PictureTextReader(
        TextFinder.over(finder, open_runtime(settings, finder, threads=threads)),
        LineReader.over(lines, open_runtime(settings, lines, threads=threads)),
        least,
    )


def cost(settings: Settings, chosen: argparse.Namespace) -> Mapping[str, float]:
    """Return milliseconds of pictures with and without text, and the memory of the models."""
    before = _resident()
    reader = opened(settings, chosen.threads)
    looks = {name: look for name, look in cells(()).items() if name == "plain"}
    written_on = [one.jpeg for one in written(looks, ())]
    empty = next(written({"empty": looks["plain"]}, ())).jpeg
    photos = [chosen.media / "photos" / name for name in EMPTY]
    bare = [jpeg_of(path) for path in photos if path.is_file()] or [empty]
    found: dict[str, float] = {}
    for name, jpegs in (("six lines", written_on), ("no text", bare)):
        walls, processors = [], []
        for jpeg in (jpegs * 8)[:8]:
            began, used = perf_counter(), process_time()
            reader.read([jpeg])
            walls.append(perf_counter() - began)
            processors.append(process_time() - used)
        found[f"{name}: ms a picture, median"] = 1000 * median(walls)
        found[f"{name}: ms of processor, median"] = 1000 * median(processors)
    found["memory in MiB, models and working"] = (_resident() - before) / 2**20
    reader.close()
    return found


def _show_quality(title: str, pictures: Sequence[Written], read: Read) -> None:
    tallies: dict[str, Tally] = {}
    for picture in pictures:
        tallies.setdefault(picture.cell, Tally()).add(picture.lines, read(picture.jpeg))
    print(title)
    show_table(HEAD, [tally.row(name) for name, tally in tallies.items()])


def _real(media: Path) -> list[Written]:
    """Return photos and frames of real media, with the text that is known to be in them."""
    found = [
        Written("real photos without text", jpeg_of(media / "photos" / name), ())
        for name in EMPTY
        if (media / "photos" / name).is_file()
    ]
    for name in (*WORDLESS, *TITLED):
        cell = "real clip with a credit" if name in TITLED else "real clips without text"
        if (path := media / "video" / name).is_file():
            found += [Written(cell, jpeg, TITLED.get(name, ())) for jpeg in _frames(path)]
    return found


def _frames(path: Path) -> list[bytes]:
    """Return a frame every four seconds, scaled to 640 pixels as a shot's still is."""
    import io

    import av
    from PIL import Image

    found, due = [], 1.0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time is None or frame.time < due:
                continue
            due += EVERY_S
            picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
            picture.thumbnail((640, 640))
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=85)
            found.append(out.getvalue())
    return found


def _peer(python: str, pictures: Sequence[Written]) -> Read:
    """Return what rapidocr reads in the pictures, each once."""
    with tempfile.TemporaryDirectory() as folder:
        for number, picture in enumerate(pictures):
            (Path(folder) / f"{number:04}.jpg").write_bytes(picture.jpeg)
        command = [python, "-P", str(_PEER), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    print(f"rapidocr {told['version']}: {told['ms']:.0f} ms a picture")
    by_jpeg = {one.jpeg: lines for one, lines in zip(pictures, told["lines"], strict=True)}
    return by_jpeg.__getitem__


def _words(line: str) -> list[str]:
    """Return a line's words as a search finds them: without case and marks."""
    kept = "".join(c if c.isalnum() else " " for c in line.casefold())
    return kept.split()


def _resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096


def _chosen() -> argparse.Namespace:
    parser = arguments(__doc__, json=False)
    parser.add_argument("--models", type=Path, help="folder of pulled models")
    parser.add_argument("--media", type=Path, default=MEDIA)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--least", type=float, default=LEAST_SCORE)
    parser.add_argument("--only", choices=("quality", "cost"), default="")
    parser.add_argument("--cells", default="", help="only those whose name has this")
    parser.add_argument("--peer", default="", help="a Python that has rapidocr")
    return parser.parse_args()


if __name__ == "__main__":
    main()
