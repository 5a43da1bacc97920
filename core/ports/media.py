"""The ports of media: reading, shot detection, captions, the ledger and the media store."""

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
    Looked,
    MediaFacts,
    ShotBounds,
    ShotReading,
    Sound,
    Still,
    ToCaption,
    Uncaptioned,
)
from core.media_words import SeenText, Utterance

FindShots: TypeAlias = Callable[[Iterator[FrameBatch | Gap]], Iterator[ShotBounds]]


class MediaReader(Protocol):
    """Decodes untrusted media in limited child processes, so that no file can harm the caller.

    Every method raises `core.errors.MediaError` for a file that can't be read, and
    `core.errors.LimitError` for one that would exceed the limits.
    """

    def probe(self, path: Path) -> MediaFacts:
        """Return a file's facts from its header and metadata, without decoding a frame."""
        ...

    def frames(self, path: Path) -> Iterator[FrameBatch | Gap]:
        """Yield every frame of a file's video, small, in order; a part that can't be decoded is a
        gap. A file without video gives nothing.
        """
        ...

    def shots(
        self,
        path: Path,
        edge: int,
        find: FindShots,
        keep: Callable[[Still], Kept],
    ) -> ShotReading[Kept]:
        """Pass every frame, as `frames` gives it, to `find`, and take a still of each shot in the
        same reading.

        A still is at most `edge` pixels large and is taken near the shot's middle: the sharpest
        frame that is neither black nor a blend of two shots. Each still goes through `keep` at
        once. `stills` has None for a shot that is too short for a still.
        """
        ...

    def stills(
        self, path: Path, moments: Sequence[Sequence[float]], edge: int
    ) -> tuple[Still, ...]:
        """Return, for each group of `moments` (seconds), the sharpest of its frames that is neither
        black nor a blend of two shots, scaled to at most `edge` pixels.
        """
        ...

    def picture(self, path: Path, edges: Sequence[int]) -> tuple[MediaFacts, tuple[Still, ...]]:
        """Return a photo's facts, and the photo upright in each of the sizes `edges` (largest edge
        in pixels).
        """
        ...

    def sound(self, path: Path, start_s: float, end_s: float) -> Sound:
        """Return the first sound track of a file from one second up to another. Damaged parts are
        silence.
        """
        ...


class ShotDetector(Protocol):
    """Says for each frame how likely a transition at that frame is."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str:
        """sha256 over the model's files."""
        ...

    def transitions(self, windows: Frames) -> FloatMatrix:
        """Return the probabilities of transitions in `windows`, uint8 [n, t, 27, 48, 3] with t >=
        100: float32 [n, 2 * t].

        The first t say that the frame is the last before a cut, or in the middle of a transition;
        the other t that it is any frame of a transition (the second head).
        """
        ...


class PictureModel(Protocol):
    """Looks at pictures: what they look like, and what is in them."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str:
        """sha256 over the model and how pictures are put to it: it names the space of the
        vectors.
        """
        ...

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        ...

    @property
    def leaves(self) -> bool:
        """Whether the pictures go to an outside service, so that their rights must allow it."""
        ...

    @property
    def made_by(self) -> str:
        """The maker's name in items: the model's, and the beginning of the digest."""
        ...

    def look(self, jpegs: Sequence[bytes]) -> tuple[Looked | None, ...]:
        """Return what each still shows, None for one that can't be read. Raises BusyError if too
        much waits for the model already.
        """
        ...


class Captioner(Protocol):
    """Describes pictures in words."""

    @property
    def leaves(self) -> bool:
        """Whether the pictures go to an outside service, so that their rights must allow it."""
        ...

    @property
    def digest(self) -> str:
        """sha256 over model, prompt and schema: a new digest means that the texts are made
        again.
        """
        ...

    def caption(self, stills: Sequence[ToCaption]) -> tuple[Caption | Uncaptioned, ...]:
        """Return a caption of each still, or why it has none; a single still never raises."""
        ...


class Transcriber(Protocol):
    """Writes down what is said in sound."""

    @property
    def name(self) -> str:
        """Who wrote it down: the model, and the start of its digest."""
        ...

    @property
    def leaves(self) -> bool:
        """Whether the sound goes to an outside service, so that its rights must allow it."""
        ...

    @property
    def digest(self) -> str:
        """sha256 over the model and all else that decides the words."""
        ...

    def transcribe(self, sound: Sound) -> tuple[Utterance, ...]:
        """Return what is said, in order, in seconds from the start of the sound; nothing where
        nobody speaks. Raises ModelError.
        """
        ...


class TextReader(Protocol):
    """Reads the text that is written in pictures."""

    @property
    def name(self) -> str:
        """The model's name and the start of the digest, for people."""
        ...

    @property
    def digest(self) -> str:
        """sha256 over models and settings: a new digest means that pictures are read again."""
        ...

    def read(self, stills: Sequence[bytes]) -> tuple[tuple[SeenText, ...], ...]:
        """Return the lines of text in each JPEG, in the order in which people read. Raises
        MediaError for bytes that can't be read, ModelError if the model fails.
        """
        ...


class Ledger(Protocol):
    """What was computed already, by the digests of content, model and parameters."""

    def get(self, keys: Sequence[str]) -> tuple[bytes | None, ...]: ...

    def put(self, results: Mapping[str, bytes]) -> None:
        """Keep `results`, durably when it returns. A key that is there keeps its first value."""
        ...


class MediaStore(Protocol):
    """Thumbnails, stills and uploaded originals: bytes by their sha256."""

    def put(self, data: bytes, suffix: str) -> str:
        """Keep `data` durably and return its name: the `sha256` in hex and the suffix."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Return what was put under `name`, open for reading and seeking; raises NotFoundError."""
        ...
