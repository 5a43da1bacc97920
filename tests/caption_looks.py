"""What the captions' provider of the tests says of a picture, from its bytes alone."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

ALIKE = 10  # bits of 64 in which two hashes of the same picture may differ
COLOURS = {
    "black": (20, 20, 20),
    "white": (235, 235, 235),
    "grey": (128, 128, 128),
    "red": (200, 40, 40),
    "green": (40, 160, 60),
    "blue": (40, 70, 200),
    "yellow": (220, 210, 60),
    "orange": (230, 140, 40),
    "brown": (120, 80, 50),
    "purple": (130, 50, 150),
}


def picture_in(asked: Mapping[str, Any]) -> bytes:
    """The picture's bytes in a request. Raises ValueError where there is none."""
    for message in asked.get("messages", []):
        for part in message["content"] if isinstance(message["content"], list) else []:
            if part.get("type") == "image_url":
                head, _, data = part["image_url"]["url"].partition(",")
                if head != "data:image/jpeg;base64":
                    raise ValueError("the picture is not inside of the request")
                return base64.b64decode(data, validate=True)
    raise ValueError("there is no picture")


def described(picture: bytes, captions: Mapping[str, str]) -> dict[str, Any]:
    """What the model says of a picture; `captions` are by sha256, or by `look` of one alike."""
    text = captions.get(hashlib.sha256(picture).hexdigest(), "")
    if not text and captions:
        look = int(look_of(picture), 16)
        hashes = [name for name in captions if len(name) == 16]
        away = {name: (int(name, 16) ^ look).bit_count() for name in hashes}
        nearest = min(away, key=lambda name: away[name], default="")
        if nearest and away[nearest] <= ALIKE:
            text = captions[nearest]
    with Image.open(io.BytesIO(picture)) as image:
        width, height = image.size
        mean = image.convert("RGB").resize((1, 1), Image.Resampling.BOX).tobytes()
    colour = min(COLOURS, key=lambda name: _away(COLOURS[name], tuple(mean)))
    text = text or f"A picture of {width} by {height} pixels, mostly {colour}."
    words = [word for word in re.findall(r"[a-z]+", text.casefold()) if len(word) > 3]
    return {"caption": text, "persons": [], "places": [], "keywords": words[:12]}


def look_of(picture: bytes) -> str:
    """A difference hash in 16 hex digits: alike for a picture and its scaled copies."""
    with Image.open(io.BytesIO(picture)) as image:
        grey = image.convert("L").resize((9, 8), Image.Resampling.BOX).tobytes()
    bits = [grey[row * 9 + at] > grey[row * 9 + at + 1] for row in range(8) for at in range(8)]
    return f"{sum(bit << place for place, bit in enumerate(bits)):016x}"


def captions_of(file: Path) -> dict[str, str]:
    """The mapping for CaptionServer from a file of captions by names of pictures beside it."""
    named = json.loads(file.read_text("utf-8"))
    return {look_of((file.parent / name).read_bytes()): text for name, text in named.items()}


def _away(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
