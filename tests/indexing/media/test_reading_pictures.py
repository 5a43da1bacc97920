"""Photos: facts, metadata, and renditions that look like the photo."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

from core.errors import LimitError, MediaError
from core.media import MediaKind
from indexing.media.cage.limits import CageLimits
from indexing.media.reading import CagedReader
from tests.indexing.media.clips import (
    Clip,
    gif_claiming,
    photo,
    png_claiming,
    video_claiming,
    write_clip,
)

XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><t>Überflutung</t></x:xmpmeta>'


def shown(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    assert (image.format, image.mode) == ("JPEG", "RGB")
    assert not image.getexif()
    assert {"icc_profile", "xmp", "comment"}.isdisjoint(image.info)
    return image


def apart(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of levels."""
    small = [np.asarray(image.convert("RGB").resize((48, 36)), float) for image in (one, other)]
    return float(np.abs(small[0] - small[1]).mean())


@pytest.mark.parametrize(
    ("kind", "mode", "mimetype"),
    [
        ("JPEG", "RGB", "image/jpeg"),
        ("JPEG", "L", "image/jpeg"),
        ("JPEG", "CMYK", "image/jpeg"),
        ("PNG", "RGB", "image/png"),
        ("PNG", "P", "image/png"),
        ("PNG", "1", "image/png"),
        ("WEBP", "RGB", "image/webp"),
        ("TIFF", "RGB", "image/tiff"),
        ("TIFF", "CMYK", "image/tiff"),
        ("GIF", "P", "image/gif"),
        ("BMP", "RGB", "image/bmp"),
    ],
)
def test_a_photo_comes_back_in_each_size(
    kind: str, mode: str, mimetype: str, reader: CagedReader, tmp_path: Path
) -> None:
    original = photo((900, 600)).convert(mode)
    path = tmp_path / "photo"
    original.save(path, kind)
    facts, stills = reader.picture(path, [320, 640, 2000])
    assert (facts.kind, facts.mimetype) == (MediaKind.PICTURE, mimetype)
    assert (facts.width, facts.height, facts.notes) == (900, 600, ())
    assert [(still.width, still.height) for still in stills] == [(320, 213), (640, 427), (900, 600)]
    for still in stills:
        image = shown(still.jpeg)
        assert image.size == (still.width, still.height)
        assert apart(image, original) < 4
    assert len({still.similarity for still in stills}) == 1
    assert reader.probe(path) == facts


def test_large_photos_are_scaled_by_the_decoder_and_look_the_same(
    reader: CagedReader, tmp_path: Path
) -> None:
    original = photo((3264, 2448))
    path = tmp_path / "large.jpg"
    original.save(path, quality=90)
    _, stills = reader.picture(path, [320, 1280])
    assert [(still.width, still.height) for still in stills] == [(320, 240), (1280, 960)]
    assert all(apart(shown(still.jpeg), original) < 2 for still in stills)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_upright(
    orientation: int, reader: CagedReader, tmp_path: Path
) -> None:
    upright = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(upright).rectangle((0, 0, 100, 60), fill="black")
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(back[orientation]) if orientation in back else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.jpg"
    stored.save(path, exif=exif)
    facts, (still,) = reader.picture(path, [300])
    assert (facts.width, facts.height) == (300, 200)
    assert apart(shown(still.jpeg), upright) < 3


def test_metadata_come_as_texts_by_name(reader: CagedReader, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "Flood in Köln".encode()
    exif[0x013B] = "A. Photographer"
    exif.get_ifd(0x8769)[0x9003] = "2026:02:28 11:30:00"
    exif.get_ifd(0x8825)[2] = (50.0, 56.0, 10.5)
    sets = [(1, 90, b"\x1b%G"), (2, 120, "Brücke gesperrt".encode()), (2, 105, b"Flood")]
    sets += [(2, 25, b"water"), (2, 25, b"rescue"), (2, 116, b"(c) Agency")]
    data = b"".join(
        bytes([0x1C, record, number]) + len(value).to_bytes(2, "big") + value
        for record, number, value in sets
    )
    block = b"8BIM\x04\x04\x00\x00" + len(data).to_bytes(4, "big") + data + b"\0" * (len(data) % 2)
    segment = b"Photoshop 3.0\0" + block
    out = io.BytesIO()
    photo((200, 100)).save(out, "JPEG", exif=exif, xmp=XMP.encode())
    whole = out.getvalue()
    app13 = b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment
    path = tmp_path / "told.jpg"
    path.write_bytes(whole[:2] + app13 + whole[2:])
    tags = reader.probe(path).tags
    assert tags["exif"]["ImageDescription"] == "Flood in Köln"
    assert tags["exif"]["Artist"] == "A. Photographer"
    assert tags["exif"]["DateTimeOriginal"] == "2026:02:28 11:30:00"
    assert tags["exif"]["GPSLatitude"] == "50.0, 56.0, 10.5"
    assert tags["iptc"] == {
        "Caption-Abstract": "Brücke gesperrt",
        "Headline": "Flood",
        "Keywords": ["water", "rescue"],
        "CopyrightNotice": "(c) Agency",
    }
    assert tags["xmp"] == XMP


def test_too_much_metadata_are_left_out_and_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "told.webp"
    exif = Image.Exif()
    exif[0x010E] = "short"
    photo((64, 64)).save(path, xmp=b"x" * 60_000, exif=exif)
    with CagedReader(CageLimits(tag_bytes=10_000)) as reader:
        facts = reader.probe(path)
    assert set(facts.tags) == {"exif"}
    assert "xmp left out" in " ".join(facts.notes)


def test_colours_of_another_space_become_srgb(reader: CagedReader, tmp_path: Path) -> None:
    original = photo((200, 150))
    lab = ImageCms.createProfile("LAB")
    srgb = ImageCms.createProfile("sRGB")
    path = tmp_path / "lab.tif"
    ImageCms.profileToProfile(original, srgb, lab, outputMode="LAB").save(
        path, icc_profile=ImageCms.ImageCmsProfile(lab).tobytes()
    )
    _, (still,) = reader.picture(path, [200])
    assert apart(shown(still.jpeg), original) < 6


def test_what_is_transparent_becomes_white(reader: CagedReader, tmp_path: Path) -> None:
    image = Image.new("RGBA", (120, 80), (0, 0, 0, 0))
    image.paste((200, 0, 0, 255), (0, 0, 60, 80))
    path = tmp_path / "hole.png"
    image.save(path)
    _, (still,) = reader.picture(path, [120])
    pixels = np.asarray(shown(still.jpeg))
    assert pixels[40, 100].min() > 240
    assert pixels[40, 20] == pytest.approx([200, 0, 0], abs=12)


def test_sixteen_bits_are_not_clipped(reader: CagedReader, tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (64, 1))
    path = tmp_path / "deep.png"
    Image.fromarray(ramp).save(path)
    _, (still,) = reader.picture(path, [256])
    gray = np.asarray(shown(still.jpeg).convert("L"), float)[32]
    assert gray[[0, 128, 255]] == pytest.approx([0, 128, 255], abs=4)


def test_of_what_moves_the_first_frame_is_shown(reader: CagedReader, tmp_path: Path) -> None:
    first, second = photo((100, 80), 1), photo((100, 80), 2)
    path = tmp_path / "moves.webp"
    first.save(path, save_all=True, append_images=[second], duration=100)
    facts, (still,) = reader.picture(path, [100])
    assert "2 frames" in " ".join(facts.notes)
    assert apart(shown(still.jpeg), first) < 6 < apart(shown(still.jpeg), second)


def test_of_a_cut_photo_the_upper_part_is_shown_and_it_is_said(
    reader: CagedReader, tmp_path: Path
) -> None:
    original = photo((640, 480))
    path = tmp_path / "cut.jpg"
    original.save(path, quality=95)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    facts, (still,) = reader.picture(path, [640])
    assert "only a part" in " ".join(facts.notes)
    top = (0, 0, 640, 240)
    assert apart(shown(still.jpeg).crop(top), original.crop(top)) < 6


def test_black_is_said_and_hashes_tell_pictures_apart(reader: CagedReader, tmp_path: Path) -> None:
    hashes = []
    for number, image in enumerate([photo((400, 300), 1), photo((400, 300), 2)]):
        for size in ((400, 300), (200, 150)):
            path = tmp_path / f"{number}{size}.jpg"
            image.resize(size).save(path, quality=70)
            (still,) = reader.picture(path, [320])[1]
            assert not still.black
            hashes.append(int(still.similarity, 16))
    assert (hashes[0] ^ hashes[1]).bit_count() <= 31 < (hashes[0] ^ hashes[2]).bit_count()
    path = tmp_path / "black.png"
    Image.new("RGB", (400, 300), (3, 3, 3)).save(path)
    assert reader.picture(path, [320])[1][0].black


def test_bombs_are_refused_from_their_header(reader: CagedReader, tmp_path: Path) -> None:
    """None of these files could be decoded; what is said is that they are too large."""
    bombs = {
        "bomb.png": png_claiming(60_000, 60_000),
        "bomb.gif": gif_claiming(65_535, 65_535),
        "bomb.mov": video_claiming(tmp_path / "made.mov", 16_000, 16_000).read_bytes(),
    }
    for name, data in bombs.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(LimitError, match="pixels"):
            reader.probe(path)
        ask = reader.frames if name.endswith("mov") else lambda file: reader.picture(file, [320])
        with pytest.raises(LimitError, match="pixels"):
            list(ask(path))  # type: ignore[operator]


def test_a_video_is_no_photo(reader: CagedReader, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no picture"):
        reader.picture(write_clip(tmp_path / "a.mp4", Clip(count=5)), [320])


def test_a_packet_behind_the_pixels_of_a_png_is_read(reader: CagedReader, tmp_path: Path) -> None:
    whole = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(whole, "PNG")
    head, end = whole.getvalue()[:-12], whole.getvalue()[-12:]
    body = b"iTXt" + b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.encode()
    crc = zlib.crc32(body).to_bytes(4, "big")
    path = tmp_path / "late.png"
    path.write_bytes(head + (len(body) - 4).to_bytes(4, "big") + body + crc + end)
    facts, _ = reader.picture(path, [32])
    assert "Überflutung" in facts.tags["xmp"]
    assert "Überflutung" in reader.probe(path).tags["xmp"]
