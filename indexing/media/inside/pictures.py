"""Facts of photos, and upright photos in several sizes; inside the child."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pdqhash  # type: ignore[import-untyped]
from PIL import Image, ImageCms, ImageFile

from indexing.media.cage.limits import CageLimits, Refusal
from indexing.media.cage.wire import Message
from indexing.media.inside.tags import packed, picture_tags

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF")
_QUALITY = 85
_ORIENTATION = 0x0112
_TURNS = {3: 180, 4: 180, 5: 270, 6: 90, 7: 90, 8: 270}  # degrees clockwise to make it upright
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_HASH_EDGE = 320  # the hash uses 64 x 64 averages; more pixels cost more than they add
# Half the time of LANCZOS, and hardly different when a picture is made smaller.
_FILTER = Image.Resampling.HAMMING
_WHITE = (255, 255, 255)
_SRGB = ImageCms.createProfile("sRGB")
_BLACK_MEAN, _BLACK_SPREAD = 16.0, 6.0

Image.MAX_IMAGE_PIXELS = None  # our own limit is checked instead, before anything is decoded


def open_picture(handle: int, limits: CageLimits) -> Image.Image | None:
    """Return the image behind a file handle, not decoded yet; None if it is not a picture.

    Raises Refusal if it has more pixels than the limits allow.
    """
    source = io.FileIO(handle, closefd=False)
    source.seek(0)
    try:
        image = Image.open(source, formats=FORMATS)
    except (OSError, ValueError, SyntaxError, KeyError, IndexError, TypeError):
        return None
    width, height = image.size
    if width * height > limits.picture_pixels:
        raise Refusal(
            f"a picture of {width} x {height} pixels; {limits.picture_pixels:,} are allowed",
            limit=True,
        )
    return image


def facts_of_picture(image: Image.Image, limits: CageLimits) -> Message:
    """Return the facts from header and metadata."""
    notes: list[str] = []
    tags = picture_tags(image, notes)
    width, height = image.size
    turned = _orientation(image)
    if turned in (5, 6, 7, 8):
        width, height = height, width
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        notes.append(f"{image.n_frames} frames or pages, of which the first is shown")  # type: ignore[attr-defined]
    kind = (image.format or "").lower()
    body = packed(tags, limits.tag_bytes, notes)
    head = {
        "say": "facts",
        "kind": "picture",
        "mimetype": Image.MIME.get(image.format or "", f"image/{kind}"),
        "codec": "jpeg" if kind == "mpo" else kind,
        "width": width,
        "height": height,
        "rotation": _TURNS.get(turned, 0),
        "duration_s": 0.0,
        "frame_rate": 0.0,
        "notes": notes[:50],
    }
    return Message(head, body)


def picture(handle: int, asked: Mapping[str, Any], limits: CageLimits) -> Iterator[Message]:
    """Yield the facts, and a still for each of the edges."""
    image = open_picture(handle, limits)
    if image is None:
        raise Refusal("no picture that can be read; " + ", ".join(FORMATS) + " are")
    with image:
        yield facts_of_picture(image, limits)
        orientation = _orientation(image)
        profile = image.info.get("icc_profile")
        edges = [int(edge) for edge in asked["edges"]]
        notes: list[str] = []
        largest = _upright(_shrunk(image, max(edges), notes), orientation, profile, notes)
    yield from renditions(largest, edges)
    yield Message({"say": "done", "notes": notes})


def renditions(
    largest: Image.Image, edges: Sequence[int], second: float = 0.0, *, blurred: bool = False
) -> Iterator[Message]:
    """Yield a still for each edge, from an upright RGB image that is no smaller than any still."""
    made: dict[int, Image.Image] = {}
    smaller = largest
    for edge in sorted({*edges, _HASH_EDGE}, reverse=True):
        made[edge] = smaller = _scaled(smaller, _target(largest.size, edge))
    similarity = hash_of(made[_HASH_EDGE])
    black = looks_black(np.asarray(made[_HASH_EDGE].convert("L")))
    for edge in edges:
        head = {
            "say": "still",
            "second": second,
            "width": made[edge].width,
            "height": made[edge].height,
            "similarity": similarity,
            "black": black,
            "blurred": blurred,
        }
        yield Message(head, _jpeg(made[edge]))


def hash_of(image: Image.Image) -> str:
    """Return the PDQ hash of an RGB image of _HASH_EDGE pixels or less, 256 bits in hex (Facebook,
    ThreatExchange, hashing.pdf).
    """
    bits, _ = pdqhash.compute(np.asarray(image))
    return np.packbits(bits.astype(bool)).tobytes().hex()


def looks_black(gray: np.ndarray[Any, np.dtype[np.uint8 | np.float32]]) -> bool:
    """Return whether hardly anything but black is visible."""
    return bool(gray.mean() < _BLACK_MEAN and gray.std() < _BLACK_SPREAD)


def _shrunk(image: Image.Image, edge: int, notes: list[str]) -> Image.Image:
    """Return the image at `edge` pixels: the decoder scales as far as it can, resampling does the
    rest.
    """
    size = _target(image.size, edge)
    mode = image.mode if image.mode in ("L", "RGB") else None
    image.draft(mode, size)  # a JPEG is decoded at an eighth, a quarter or half of its size
    try:
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        _load_what_is_there(image, error, notes)
    shown = _eight_bits(image)
    return shown.resize(size, _FILTER, reducing_gap=2.0)


def _load_what_is_there(image: Image.Image, error: Exception, notes: list[str]) -> None:
    """Load the part of a cut file that can be decoded; the rest stays grey or black."""
    notes.append(f"only a part could be decoded: {error}"[:300])
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        image.load()
    except (OSError, SyntaxError, ValueError) as again:
        raise Refusal(f"the picture can't be decoded: {again}") from again
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return the image as L, RGB, CMYK, or with alpha: a mode that can be resampled and shown."""
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        values = np.asarray(image, np.float32)
        most = max(float(values.max()), 1.0)
        scale = 255.0 / (65535.0 if most > 255 and image.mode != "F" else most)
        return Image.fromarray(np.clip(values * scale, 0, 255).astype(np.uint8))
    if image.mode == "P":
        return image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("L", "RGB", "CMYK", "RGBA", "LA", "RGBa", "La"):
        return image
    return image.convert("RGB")


def _upright(
    image: Image.Image, orientation: int, profile: bytes | None, notes: list[str]
) -> Image.Image:
    """Return RGB in sRGB without alpha, turned as EXIF says."""
    if "A" in image.mode or "a" in image.mode:
        over = image.convert("RGBA")
        image = Image.new("RGB", image.size, _WHITE)
        image.paste(over, mask=over.getchannel("A"))
    elif profile:
        image = _in_srgb(image, profile, notes)
    image = image.convert("RGB")
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _in_srgb(image: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(image, given, _SRGB, outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        notes.append(f"its colour profile could not be used: {error}"[:200])
        return image


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - Pillow raises all sorts over damaged metadata
        return 1


def _target(size: tuple[int, int], edge: int) -> tuple[int, int]:
    share = min(1.0, edge / max(size))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def _scaled(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if size == image.size else image.resize(size, _FILTER, reducing_gap=2.0)


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(
        out, "JPEG", quality=_QUALITY
    )  # pixels and nothing else
    return out.getvalue()
