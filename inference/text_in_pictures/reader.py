"""Pictures to the text that is written in them, by two models: one finds lines, one reads them.

Stills are JPEGs that our own encoder wrote, so they are decoded here, after a look at their size.
Lines that the model is not sure of are left out, and so is a letter or digit alone: a cup or a lamp
looks like an 8 or an o to it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import MediaError
from core.media_words import SeenText
from inference.runtimes.loading import first_line, library
from inference.text_in_pictures.boxes import TextBox
from inference.text_in_pictures.finder import LEAST_EDGE, MOST_EDGE, TextFinder
from inference.text_in_pictures.line_reader import LineReader, ReadLine, upright

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST_SCORE = 0.8  # the mean probability of a line's characters
MOST_TEXT = 200  # characters of a line
LARGEST_EDGE = 8192  # pixels of a still
_IDEOGRAPHS = 0x2E80  # where Unicode's blocks of CJK begin
_VERSION = 1  # raise it when other text comes of the same models


@dataclass(frozen=True, slots=True)
class PictureTextReader:
    """The TextReader port over two loaded models. Safe to use from several threads."""

    finder: TextFinder
    lines: LineReader
    least: float = LEAST_SCORE

    @property
    def name(self) -> str:
        """The name of the model that reads, and the start of the digest."""
        return f"{self.lines.name}@{self.digest[:12]}"

    @property
    def digest(self) -> str:
        """sha256 over both models and the settings of their answers."""
        settings = [_VERSION, LEAST_EDGE, MOST_EDGE, self.least]
        told = [self.finder.digest, self.lines.digest, settings]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def read(self, stills: Sequence[bytes]) -> tuple[tuple[SeenText, ...], ...]:
        """Return the lines of text in each JPEG, from top to bottom. Raises MediaError for bytes
        that are no JPEG of a usual size, ModelError if a model fails.
        """
        return tuple(self._read(_picture(still)) for still in stills)

    def close(self) -> None:
        """Free the models. Nothing can be read afterwards."""
        self.finder.close()
        self.lines.close()

    def _read(self, picture: Image) -> tuple[SeenText, ...]:
        boxes = self.finder.boxes(picture)
        turned = [(box, part) for box in boxes for part in upright(picture, box)]
        best: dict[TextBox, ReadLine] = {}
        for (box, _), line in zip(turned, self.lines.read([p for _, p in turned]), strict=True):
            if box not in best or line.score > best[box].score:
                best[box] = line
        seen = [
            _seen(line, box, picture.size)
            for box, line in best.items()
            if line.score >= self.least and _is_text(line.text)
        ]
        return tuple(_in_order(seen))


def _picture(jpeg: bytes) -> Image:
    """Return a still as RGB. Raises MediaError."""
    image = library("PIL.Image")
    try:
        with image.open(io.BytesIO(jpeg), formats=("JPEG",)) as opened:
            if max(opened.size) > LARGEST_EDGE:
                raise ValueError(f"it is {opened.width}x{opened.height}")
            picture: Image = opened.convert("RGB")
            return picture
    except (OSError, ValueError) as error:
        raise MediaError(f"the still can't be read: {first_line(error)}") from error


def _is_text(text: str) -> bool:
    """Return whether it has two letters or digits, or one of a script with more than a few."""
    kept = [one for one in text if one.isalnum()]
    return len(kept) > 1 or any(ord(one) >= _IDEOGRAPHS for one in kept)


def _seen(line: ReadLine, box: TextBox, size: tuple[int, int]) -> SeenText:
    corners = box.corners() / size
    left, top = corners.min(axis=0).clip(0, 1).tolist()
    right, bottom = corners.max(axis=0).clip(0, 1).tolist()
    place = (round(left, 4), round(top, 4), round(right - left, 4), round(bottom - top, 4))
    text = " ".join(line.text.split())[:MOST_TEXT]
    return SeenText(text, place, score=round(line.score, 4))


def _in_order(seen: Sequence[SeenText]) -> list[SeenText]:
    """Return lines as they are read: those at one height from left to right, then the next."""
    rows: list[list[SeenText]] = []
    for line in sorted(seen, key=lambda line: line.box[1] + line.box[3] / 2):
        middle = line.box[1] + line.box[3] / 2
        first = rows[-1][0] if rows else None
        if first is not None and middle < first.box[1] + first.box[3]:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.box[0])]
