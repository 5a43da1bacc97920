"""Makes libraries load their late parts while files can still be opened. Runs in the child."""

from __future__ import annotations

import io
from importlib import import_module
from pkgutil import walk_packages

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from PIL import ExifTags, Image, ImageCms

from core.media import SOUND_RATE
from indexing.media.inside.pictures import hash_of, renditions

_LATE = (
    "GifImagePlugin",
    "ImageChops",
    "ImageMath",
    "ImageOps",
    "ImagePalette",
    "ImageSequence",
    "IptcImagePlugin",
    "JpegPresets",
    "MpoImagePlugin",
)
_PROGRAMS = {"av.__main__", "av.datasets"}
_ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "latin-1", "cp1252", "ascii", "idna")


def warm_up() -> None:
    """Run a picture through each writable format, a frame through the scaler, and a sound through
    its filter.
    """
    for name in _ENCODINGS:
        "a".encode(name)
    _import_all()
    Image.init()
    image = Image.fromarray(np.zeros((64, 96, 3), np.uint8))
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF"):
        _there_and_back(image, kind)
    frame = VideoFrame.from_ndarray(np.zeros((64, 96, 3), np.uint8), format="rgb24")
    VideoReformatter().reformat(frame, 48, 27, format="gray", threads=1).to_ndarray()
    sound = AudioFrame.from_ndarray(np.zeros((1, 4800), np.int16), layout="mono")
    sound.sample_rate = 48_000
    AudioResampler(format="s16", layout="mono", rate=SOUND_RATE).resample(sound)
    list(renditions(image, [32]))
    hash_of(image)
    ImageCms.createProfile("sRGB")
    ExifTags.IFD.__members__.get("Exif")


def _import_all() -> None:
    for found in walk_packages(av.__path__, "av."):
        if found.name not in _PROGRAMS:
            import_module(found.name)
    for name in _LATE:
        import_module(f"PIL.{name}")


def _there_and_back(image: Image.Image, kind: str) -> None:
    out = io.BytesIO()
    try:
        image.save(out, kind)
        Image.open(io.BytesIO(out.getvalue()), formats=(kind,)).load()
    except (OSError, KeyError, ValueError):
        return  # this build of Pillow does without
