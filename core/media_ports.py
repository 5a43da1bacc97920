"""The ports of media: who decodes, who finds shots, who describes, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias

from core.items import FloatMatrix
from core.media import (
    Caption,
    FrameBatch,
    Frames,
    Gap,
    Kept,
    MediaFacts,
    ShotBounds,
    ShotReading,
    Still,
    ToCaption,
    Uncaptioned,
)

FindShots: TypeAlias = Callable[[Iterator[FrameBatch | Gap]], Iterator[ShotBounds]]


class MediaReader(Protocol):
    """Decodes untrusted media in limited child processes: whatever a file does, the caller lives.

    Every method raises `core.errors.MediaError` for what can't be read at all, and
    `core.errors.LimitError` for what would take more than the limits allow.
    """

    def probe(self, path: Path) -> MediaFacts:
        """The facts of a file, from its header and metadata; no frame is decoded."""
        ...

    def frames(self, path: Path) -> Iterator[FrameBatch | Gap]:
        """Every frame of a file's video, small, in order; a stretch that can't be decoded is a
        gap. Nothing for a file without video.
        """
        ...

    def shots(
        self,
        path: Path,
        edge: int,
        find: FindShots,
        keep: Callable[[Still], Kept],
    ) -> ShotReading[Kept]:
        """Every frame as `frames` gives it goes to `find`, and out of the same reading comes a
        still of each shot that it finds, in order, scaled to at most `edge` pixels: near the shot's
        middle, the sharpest that is neither black nor a blend. Each goes through `keep` at once.
        There is none of a shot that is too short for one; `stills` has it.
        """
        ...

    def stills(
        self, path: Path, moments: Sequence[Sequence[float]], edge: int
    ) -> tuple[Still, ...]:
        """For each group of `moments`, in seconds, the sharpest of its frames that is
        neither black nor a blend, scaled to at most `edge` pixels.
        """
        ...

    def picture(self, path: Path, edges: Sequence[int]) -> tuple[MediaFacts, tuple[Still, ...]]:
        """A photo's facts and the photo upright in each of the sizes, largest edge in pixels."""
        ...


class ShotDetector(Protocol):
    """Says for each frame how likely it is that a transition stands there."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str:
        """sha256 over the model's files."""
        ...

    def transitions(self, windows: Frames) -> FloatMatrix:
        """For uint8 [n, t, 27, 48, 3], windows of t frames, 100 or more: float32 [n, 2 * t], the t
        probabilities that the frame is the last before a cut, or in the middle of a transition,
        and then the t that it is any frame of one (the second head).
        """
        ...


class Captioner(Protocol):
    """Describes pictures in words."""

    @property
    def leaves(self) -> bool:
        """Whether the pictures go to a service outside, so that their rights must allow it."""
        ...

    @property
    def digest(self) -> str:
        """sha256 over model, prompt and schema: with another digest the texts are made again."""
        ...

    def caption(self, stills: Sequence[ToCaption]) -> tuple[Caption | Uncaptioned, ...]:
        """A caption of each still, or why there is none; never raises for a single still."""
        ...


class Ledger(Protocol):
    """What was computed already, by digest of content, of model and of parameters."""

    def get(self, keys: Sequence[str]) -> tuple[bytes | None, ...]: ...

    def put(self, results: Mapping[str, bytes]) -> None:
        """Durable when it returns. A key that is there keeps its first value."""
        ...


class MediaStore(Protocol):
    """Thumbnails, stills and originals that were handed in: bytes by their sha256."""

    def put(self, data: bytes, suffix: str) -> str:
        """The name under which `data` is kept, `sha256` in hex and suffix; durable."""
        ...

    def open(self, name: str) -> BinaryIO:
        """What was put under `name`, to be read and sought; raises NotFoundError."""
        ...
