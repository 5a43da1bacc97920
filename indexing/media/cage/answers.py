"""Checks a child's answers: types, ranges and sizes, each of them.

The child reads hostile files and counts as hostile: nothing that it says is used before it passed
these checks.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.media import (
    FRAME_HEIGHT,
    FRAME_WIDTH,
    SOUND_RATE,
    FrameBatch,
    Gap,
    MediaFacts,
    MediaKind,
    Samples,
    Still,
)
from indexing.media.cage.limits import CageLimits, CageProtection
from indexing.media.cage.wire import Message, WireError

MAX_FRAMES = 4096
MAX_SAMPLES = 2**22  # of sound in an answer
_FRAME_BYTES = FRAME_HEIGHT * FRAME_WIDTH * 3
_MAX_SECONDS = 1e9
_Word = Annotated[str, Field(max_length=100)]
_Text = Annotated[str, Field(max_length=500)]
_Seconds = Annotated[float, Field(ge=0, le=_MAX_SECONDS, allow_inf_nan=False)]
_Edge = Annotated[int, Field(ge=0, le=10**6)]
_Notes = Annotated[tuple[_Text, ...], Field(max_length=50, strict=False)]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Ready(_Answer):
    """The walls stand; the fields are those of CageProtection."""

    say: Literal["ready"]
    no_open: bool
    no_network: bool
    own_network: bool
    no_new_privileges: bool
    memory: bool
    notes: _Notes

    def protection(self) -> CageProtection:
        """Return the fields as a CageProtection."""
        return CageProtection(**self.model_dump(exclude={"say"}))


class Refused(_Answer):
    """The file can't be read, or exceeds the limits (`limit`); `over` ends the child."""

    say: Literal["refused"]
    what: _Text
    limit: bool
    over: bool


class FactsAnswer(_Answer):
    """The facts of a file; the body has the tags as JSON."""

    say: Literal["facts"]
    kind: Literal["picture", "video", "audio"]
    mimetype: _Word
    codec: _Word
    width: _Edge
    height: _Edge
    rotation: Annotated[int, Field(ge=0, lt=360)]
    duration_s: _Seconds
    frame_rate: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
    notes: _Notes


class FramesAnswer(_Answer):
    """Frames; the body holds the times, float64, and the pixels, both little-endian."""

    say: Literal["frames"]
    first: Annotated[int, Field(ge=0)]
    count: Annotated[int, Field(ge=1, le=MAX_FRAMES)]


class GapAnswer(_Answer):
    """A stretch without frames."""

    say: Literal["gap"]
    start_s: _Seconds
    end_s: _Seconds
    reason: _Text


class StillAnswer(_Answer):
    """A still; the body is the JPEG."""

    say: Literal["still"]
    second: _Seconds
    width: _Edge
    height: _Edge
    similarity: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]
    black: bool
    blurred: bool


class SoundAnswer(_Answer):
    """Samples of sound; the body holds them, int16, little-endian."""

    say: Literal["sound"]
    first: Annotated[int, Field(ge=0)]
    count: Annotated[int, Field(ge=1, le=MAX_SAMPLES)]


class RecordedAnswer(_Answer):
    """What a live source sent, as MPEG-TS in the body. `cut`: it begins with a key frame, and a new
    file can begin with it.
    """

    say: Literal["recorded"]
    cut: bool


class NoStill(_Answer):
    """No frame of a shot was kept."""

    say: Literal["none"]


class AllRead(_Answer):
    """Every frame was sent."""

    say: Literal["read"]


class Done(_Answer):
    """The end of an answer."""

    say: Literal["done"]
    notes: _Notes


class FetchAnswer(_Answer):
    """A child that reads a live source asks for bytes `start` to `end` of it; 0 for all."""

    say: Literal["fetch"]
    url: Annotated[str, Field(max_length=4096)]
    start: Annotated[int, Field(ge=0, le=2**53)]
    end: Annotated[int, Field(ge=0, le=2**53)]


Answer = (
    Ready
    | Refused
    | FactsAnswer
    | FramesAnswer
    | GapAnswer
    | StillAnswer
    | SoundAnswer
    | RecordedAnswer
    | NoStill
    | AllRead
    | Done
    | FetchAnswer
)
_ANSWERS: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="say")])
_TAGS = TypeAdapter(dict[_Word, Any])


def understand(message: Message) -> Answer:
    """Return the answer in a head. Raises WireError."""
    try:
        return _ANSWERS.validate_python(dict(message.head))
    except ValidationError as error:
        raise WireError("an answer that is not of this protocol") from error


def facts(answer: FactsAnswer, body: bytes, limits: CageLimits) -> MediaFacts:
    """Return the facts with their tags. Raises WireError."""
    if len(body) > 2 * limits.tag_bytes + 1024:
        raise WireError("more metadata than was asked for")
    try:
        tags = _TAGS.validate_json(body)
    except ValidationError as error:
        raise WireError("metadata that are not a JSON object") from error
    told = answer.model_dump(exclude={"say", "kind"})
    return MediaFacts(kind=MediaKind(answer.kind), tags=tags, **told)


def frames(answer: FramesAnswer, body: bytes, expected: int) -> FrameBatch:
    """Return the batch whose first frame must have the number `expected`. Raises WireError."""
    count = answer.count
    if answer.first != expected or len(body) != count * (8 + _FRAME_BYTES):
        raise WireError("frames that are not those that come next")
    seconds = np.frombuffer(body, "<f8", count)
    if not (np.isfinite(seconds).all() and seconds[0] >= 0 and seconds[-1] <= _MAX_SECONDS):
        raise WireError("frames at impossible times")
    if (np.diff(seconds) <= 0).any():
        raise WireError("frames out of order")
    pixels = np.frombuffer(body, np.uint8, offset=8 * count)
    return FrameBatch(pixels.reshape(count, FRAME_HEIGHT, FRAME_WIDTH, 3), seconds, answer.first)


def samples(answer: SoundAnswer, body: bytes, expected: int, most: int) -> Samples:
    """Return the samples whose first must have the number `expected`; they end before `most`.
    Raises WireError.
    """
    if answer.first != expected or len(body) != 2 * answer.count:
        raise WireError("sound that is not what comes next")
    if expected + answer.count > most:
        raise WireError("more sound than was asked for")
    return np.frombuffer(body, "<i2").astype(np.int16, copy=False)


def live_samples(answer: SoundAnswer, body: bytes, expected: int) -> Samples:
    """Return the samples of a live source; a hole before them is allowed. Raises WireError."""
    if answer.first < expected or answer.first > _MAX_SECONDS * SOUND_RATE:
        raise WireError("sound that is not what comes next")
    return samples(answer, body, answer.first, answer.first + answer.count)


def gap(answer: GapAnswer) -> Gap:
    """Return the gap. Raises WireError if it ends before it starts."""
    if answer.end_s < answer.start_s:
        raise WireError("a gap that ends before it starts")
    return Gap(answer.start_s, answer.end_s, answer.reason)


def _most_bytes(edge: int, limits: CageLimits) -> int:
    """Return the most bytes of a JPEG of that size: those of its raw pixels."""
    return min(limits.still_bytes, 3 * edge * edge + 2**16)


def still(answer: StillAnswer, body: bytes, edge: int, limits: CageLimits) -> Still:
    """Return the still, at most `edge` pixels wide and high. Raises WireError."""
    sizes = (answer.width, answer.height)
    if not body.startswith(b"\xff\xd8\xff") or len(body) > _most_bytes(edge, limits):
        raise WireError("a still that is not a JPEG, or too long")
    if min(sizes) < 1 or max(sizes) > edge:
        raise WireError("a still of another size than was asked for")
    return Still(jpeg=body, **answer.model_dump(exclude={"say"}))


def at_most(text: str, most: int = 500) -> str:
    """Return a child's text for a person: printable and short."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: 2 * most])
    return " ".join(shown.split())[:most]
