"""Generated pictures with known text, for benchmarks of reading text in pictures.

Each cell varies one thing from a plain picture: the type, the height of its letters, the angle, the
contrast, the background or the language. Texts are sentences of news that were written for this.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

SIZE = (1024, 683)  # pixels: the preview of a photo
AT_ONCE = 6  # lines of a picture
LINES = {
    "en": (
        "Minister resigns after ferry inquiry",
        "Ingrid Solvane, Mayor of Lissa",
        "LIVE 14:32 Port of Almendral",
        "No entry - construction site",
        "Take 3 / Scene 12 / Camera B",
        "Rescue teams reach flooded village",
        "Polls close at 8 p.m. on Sunday",
        "Share price falls 4.7% to $18.25",
        "Welcome to Osterby, pop. 12,480",
        "SAVE OUR HARBOUR",
        "Source: Ministry of Fisheries, 2026",
        "Tickets and information",
    ),
    "es": (
        "El presidente viajará mañana a Córdoba",
        "Prohibido el paso: zona de obras",
        "Última hora: dimite la ministra",
        "Niños y jubilados, 3,50 €",
    ),
    "de": (
        "Außenminister reist nächste Woche",
        "Größte Überschwemmung seit Jahren",
        "Straße gesperrt - Umleitung folgen",
        "Bürgermeisterin Käthe Müßig",
    ),
    "fr": (
        "L'élection est reportée à février",
        "Défense d'entrer, chantier privé",
        "Hôtel de ville, 2e étage à gauche",
        "Le théâtre rouvre après la grève",
    ),
}
TYPES = {
    "sans": "DejaVuSans.ttf",
    "sans bold": "DejaVuSans-Bold.ttf",
    "serif": "DejaVuSerif.ttf",
    "mono bold": "DejaVuSansMono-Bold.ttf",
    "italic": "DejaVuSans-Oblique.ttf",
    "STIX": "STIXGeneral.ttf",
    "Computer Modern": "cmr10.ttf",
}
HEIGHTS = (5, 6, 8, 12, 24, 36)  # of a capital letter
ANGLES = (0, 5, 15, 30, 45, 90, 180)  # degrees
CONTRASTS = (0.1, 0.2, 0.4, 1.0)  # of the letters with the background, 1 for white on black


@dataclass(frozen=True, slots=True)
class Look:
    """How a text is set. `background` is a flat grey, stripes, or a photo's path."""

    font: str = TYPES["sans"]
    height: int = 24
    angle: float = 0.0
    contrast: float = 0.8
    background: str = "flat"
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Written:
    """A picture, the lines that are written in it, and the cell that it belongs to."""

    cell: str
    jpeg: bytes = field(repr=False)
    lines: tuple[str, ...]


def cells(photos: Sequence[Path]) -> Mapping[str, Look]:
    """Return how each cell's pictures look; those on photos only if there are any."""
    plain = Look()
    found = {"plain": plain}
    found |= {f"type: {name}": replace(plain, font=font) for name, font in TYPES.items()}
    found |= {f"letters {one} px high": replace(plain, height=one) for one in HEIGHTS}
    found |= {f"angle {one} degrees": replace(plain, angle=one) for one in ANGLES}
    found |= {f"contrast {one}": replace(plain, contrast=one) for one in CONTRASTS}
    found |= {"on stripes": replace(plain, background="stripes")}
    if photos:
        found["on photos"] = replace(plain, background="photo")
    found |= {f"language {one}": replace(plain, language=one) for one in LINES if one != "en"}
    return found


def written(looks: Mapping[str, Look], photos: Sequence[Path]) -> Iterator[Written]:
    """Yield the pictures of all cells, six lines each, the same at every call."""
    draw = random.Random(6)
    for cell, look in looks.items():
        lines = LINES[look.language]
        for start in range(0, len(lines), AT_ONCE):
            photo = photos[draw.randrange(len(photos))] if look.background == "photo" else None
            part = lines[start : start + AT_ONCE]
            yield Written(cell, _jpeg(_picture(part, look, photo, draw)), part)


def jpeg_of(path: Path) -> bytes:
    """Return a photo as an ingest keeps it: scaled to 1,024 pixels, as JPEG."""
    from PIL import Image

    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((1024, 1024))
    return _jpeg(picture)


def _picture(lines: Sequence[str], look: Look, photo: Path | None, draw: random.Random) -> Any:
    from PIL import Image

    ground = _ground(look, photo)
    side = max(SIZE) if look.angle % 180 else 0
    layer = Image.new("RGBA", (side or SIZE[0], side or SIZE[1]), (0, 0, 0, 0))
    _set(layer, lines, look, draw)
    if look.angle:
        layer = layer.rotate(look.angle, Image.Resampling.BICUBIC)
        left, top = (layer.width - SIZE[0]) // 2, (layer.height - SIZE[1]) // 2
        layer = layer.crop((left, top, left + SIZE[0], top + SIZE[1]))
    ground.paste(layer, (0, 0), layer)
    return ground


def _ground(look: Look, photo: Path | None) -> Any:
    from PIL import Image

    if photo is not None:
        with Image.open(photo) as opened:
            return opened.convert("RGB").resize(SIZE)
    grey = np.full((SIZE[1], SIZE[0]), 128 - 127 * look.contrast)
    if look.background == "stripes":
        grey += 60 * (np.arange(SIZE[0]) // 24 % 2)
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB")


def _set(layer: Any, lines: Sequence[str], look: Look, draw: random.Random) -> None:
    """Draw the lines in the middle of a layer, each a little to the left or right."""
    from PIL import ImageDraw

    font = _font(look)
    pen = ImageDraw.Draw(layer)
    pitch = round(look.height * 2.2)
    top = layer.height // 2 - pitch * len(lines) // 2
    bright = round(128 + 127 * look.contrast)
    for number, line in enumerate(lines):
        room = layer.width // 2 - pen.textlength(line, font=font) / 2
        left = max(8, room + draw.uniform(-0.1, 0.1) * layer.width * (not look.angle))
        pen.text((left, top + number * pitch), line, font=font, fill=(bright,) * 3 + (255,))


def _font(look: Look) -> Any:
    """Return the type at the size at which a capital H is as high as wanted."""
    import matplotlib as mpl
    from PIL import ImageFont

    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / look.font
    _, top, _, bottom = ImageFont.truetype(str(path), 200).getbbox("H")
    return ImageFont.truetype(str(path), round(200 * look.height / (bottom - top)))


def _jpeg(picture: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85)
    return out.getvalue()
