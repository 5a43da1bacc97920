"""The types of pictures and videos before they are items: facts, frames, shots and stills.

Times are seconds of presentation from the first frame of the source, never frame number / rate,
because rates vary. Frames are counted from 0 in the order of presentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from core.items import FloatMatrix, Item
from core.media_words import Look

Frames = npt.NDArray[np.uint8]
Seconds = npt.NDArray[np.float64]
Samples = npt.NDArray[np.int16]
Kept = TypeVar("Kept")
SOUND_RATE = 16_000  # samples a second, which models of speech take
FRAME_HEIGHT, FRAME_WIDTH = 27, 48  # input of TransNetV2 (Soucek and Lokoc 2020, section 3)


def is_url(location: str) -> bool:
    """Return whether a file's location is a store's URL, not a path of this machine."""
    return "://" in location


class MediaKind(StrEnum):
    """What a media file shows."""

    PICTURE = "picture"
    VIDEO = "video"
    AUDIO = "audio"


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What the header and the metadata of a media file say.

    `width` and `height` are as shown, after `rotation` (degrees clockwise) and the pixels' aspect
    ratio. `duration_s` and `frame_rate` are 0 if unknown. `tags` has the embedded metadata, limited
    in size: `exif`, `iptc` and `container` are objects of texts by tag name, `xmp` is the packet as
    text. `notes` say what could not be read.
    """

    kind: MediaKind
    mimetype: str
    codec: str
    width: int
    height: int
    rotation: int = 0
    duration_s: float = 0.0
    frame_rate: float = 0.0
    tags: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FrameBatch:
    """Successive frames: RGB uint8 [n, 27, 48, 3], the time of each, float64 [n], and the first
    one's number.
    """

    pixels: Frames
    seconds: Seconds
    first: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a source without frames, and why; the shot before it ends at `start_s`."""

    start_s: float
    end_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class SoundBatch:
    """Successive samples of a live source: int16 [n], one channel, SOUND_RATE a second. The first
    one is heard at `start_s`.
    """

    samples: Samples
    start_s: float

    @property
    def end_s(self) -> float:
        """The second at which the last sample ends."""
        return self.start_s + len(self.samples) / SOUND_RATE


class Transition(StrEnum):
    """How a shot begins."""

    START = "start"
    CUT = "cut"
    GRADUAL = "gradual"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class ShotBounds:
    """One shot: its first and last frame, `start_s` of the first frame, and `end_s`, where the next
    shot's first frame (or the end of the source) is. Shots never overlap; the frames of a gradual
    transition are split halfway between its neighbours.
    """

    start_s: float
    end_s: float
    start_frame: int
    end_frame: int
    transition: Transition


@dataclass(frozen=True, slots=True)
class Still:
    """A picture from a file: JPEG bytes, upright, at most as large as requested.

    `second` is 0 for a photo. `similarity` is the perceptual hash in hex (PDQ, 256 bits). `black`
    and `blurred` say that the still shows nothing worth describing.
    """

    second: float
    jpeg: bytes
    width: int
    height: int
    similarity: str
    black: bool = False
    blurred: bool = False


@dataclass(frozen=True, slots=True)
class AskedStill:
    """The still of a live source's shot, which somebody asked for under the number `key`; None if
    no frame of the shot was kept.
    """

    key: int
    still: Still | None


@dataclass(frozen=True, slots=True)
class LastFrame:
    """A connection to a live source has given all its frames; stills can still be asked for."""


LiveItem: TypeAlias = FrameBatch | Gap | SoundBatch | AskedStill | LastFrame


@dataclass(frozen=True, slots=True)
class ShotReading(Generic[Kept]):
    """The shots of a video, what `keep` returned for each shot's still (None if a shot has no
    still), the gaps, and notes for a person on how the video was read.
    """

    shots: tuple[ShotBounds, ...]
    stills: tuple[Kept | None, ...]
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Caption:
    """A machine's description of a picture. `made_by` names model and prompt, so that a text can be
    distinguished from the agency's own, and made again when either changes.
    """

    text: str
    made_by: str
    persons: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToCaption:
    """A still to be described, with text of the agency's own as context. `may_leave` is whether the
    asset's rights let an outside service see the still; one rule that forbids it makes it False.
    """

    jpeg: bytes
    context: str
    may_leave: bool
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Looked:
    """What a model sees in a still: a unit vector, float32 [1, d], close to those of pictures that
    look alike, and the things that it has names for, the most probable first.
    """

    vector: FloatMatrix
    looks: tuple[Look, ...] = ()


@dataclass(frozen=True, slots=True)
class Uncaptioned:
    """Why a still has no caption. `again` is whether a later try may give one."""

    reason: str
    again: bool


@dataclass(frozen=True, slots=True)
class Sound:
    """A stretch of a file's sound: int16 [n], one channel, SOUND_RATE a second, and notes for a
    person on what is missing. It is shorter than the stretch that was asked for if the file ends
    before, and empty without any sound.
    """

    samples: Samples
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / SOUND_RATE


@dataclass(frozen=True, slots=True)
class Undescribed:
    """`count` of the `media` visible pictures, videos, sounds and graphics have no description.
    `items` are the first of them, up to the limit of the request.
    """

    media: int
    count: int
    items: tuple[Item, ...]
