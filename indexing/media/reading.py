"""The media reader for the rest of the program: it asks children and checks their answers."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from core.errors import InputError, MediaError
from core.extras import need_extra
from core.media import (
    SOUND_RATE,
    FrameBatch,
    Gap,
    Kept,
    LiveItem,
    MediaFacts,
    ShotReading,
    Sound,
    Still,
)
from core.ports.media import FindShots
from indexing.media.cage.answers import Done
from indexing.media.cage.hearing import FrameEar, hear_done, hear_facts, hear_sound, hear_still
from indexing.media.cage.limits import CageLimits, CageProtection
from indexing.media.cage.parent import Cage, CagedChild, UnreadError
from indexing.media.cage.sources import Beside, LiveSource, live_frames
from indexing.media.shots.shots_reading import ShotsReading

Answer = TypeVar("Answer")
Came = TypeVar("Came")
_PACKAGES = {"av": "av", "PIL": "pillow", "pdqhash": "pdqhash"}
_MOST_MOMENTS = 20_000
_MOST_SOUND_S = 3600.0


class CagedReader:
    """core.ports.media.MediaReader over limited child processes; for many threads.

    Raises InputError if the packages for media are not installed. `close` it, or use `with`.
    """

    def __init__(self, limits: CageLimits | None = None) -> None:
        need_packages()
        self.limits = limits or CageLimits()
        self._cage = Cage(self.limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the children."""
        self._cage.close()

    def protection(self) -> CageProtection:
        """Return the protections of a child on this machine; starts one if none waits."""
        with self._cage.child() as child:
            return child.protection

    def probe(self, path: Path) -> MediaFacts:
        """Return the facts of a file."""

        def work(child: CagedChild, handle: int) -> MediaFacts:
            child.ask({"do": "probe"}, handle)
            return hear_facts(child, self.limits)

        return self._whole(path, work)

    def picture(self, path: Path, edges: Sequence[int]) -> tuple[MediaFacts, tuple[Still, ...]]:
        """Return a photo's facts, with notes on what failed, and the photo in each size."""
        wanted = [_edge(edge) for edge in edges]

        def work(child: CagedChild, handle: int) -> tuple[MediaFacts, tuple[Still, ...]]:
            child.ask({"do": "picture", "edges": wanted}, handle)
            facts = hear_facts(child, self.limits)
            found = tuple(hear_still(child, edge, self.limits) for edge in wanted)
            return replace(facts, notes=facts.notes + hear_done(child)), found

        return self._whole(path, work)

    def shots(
        self, path: Path, edge: int, find: FindShots, keep: Callable[[Still], Kept]
    ) -> ShotReading[Kept]:
        """Return shots and their stills in one reading."""
        with _opened(path) as handle, _named(path), self._cage.child() as child:
            return ShotsReading(child, _edge(edge), self.limits, keep).read(find, handle)

    def stills(
        self, path: Path, moments: Sequence[Sequence[float]], edge: int
    ) -> tuple[Still, ...]:
        """Return a still for each group, in the groups' order."""
        if not moments:
            return ()
        groups = [sorted(_moment(second) for second in group) for group in moments]
        if any(not group for group in groups) or sum(map(len, groups)) > _MOST_MOMENTS:
            raise InputError(f"from 1 to {_MOST_MOMENTS} moments are looked at", where=str(path))
        order = sorted(range(len(groups)), key=groups.__getitem__)

        def work(child: CagedChild, handle: int) -> tuple[Still, ...]:
            asked = [groups[number] for number in order]
            child.ask({"do": "stills", "moments": asked, "edge": _edge(edge)}, handle)
            found = {number: hear_still(child, edge, self.limits) for number in order}
            hear_done(child)
            return tuple(found[number] for number in range(len(groups)))

        return self._whole(path, work)

    def sound(self, path: Path, start_s: float, end_s: float) -> Sound:
        """Return the first sound track from one second up to another, at most an hour of it."""
        if not 0 <= start_s < end_s <= min(1e9, start_s + _MOST_SOUND_S):
            raise InputError(f"no stretch of sound: {start_s} to {end_s} s", where=str(path))

        def work(child: CagedChild, handle: int) -> Sound:
            child.ask({"do": "sound", "start_s": start_s, "end_s": end_s}, handle)
            return hear_sound(child, round(end_s * SOUND_RATE) - round(start_s * SOUND_RATE))

        return self._whole(path, work)

    def frames(self, path: Path) -> FrameStream[FrameBatch | Gap]:
        """Return every frame, small, as an iterator; its `notes` are complete when it has ended."""
        return FrameStream(lambda notes, _: self._frames(path, notes))

    def live(self, source: LiveSource, beside: Beside | None = None) -> FrameStream[LiveItem]:
        """Return the frames of one connection to a live source, as they come, and what is wanted
        `beside` them (`sources.live_frames`).
        """
        return FrameStream(
            lambda notes, stopped: live_frames(
                self._cage, self.limits, source, notes, stopped, beside
            )
        )

    def _frames(self, path: Path, notes: list[str]) -> Iterator[FrameBatch | Gap]:
        with _opened(path) as handle, _named(path), self._cage.child() as child:
            child.ask({"do": "frames"}, handle)
            yield from _heard(child, notes)

    def _whole(self, path: Path, work: Callable[[CagedChild, int], Answer]) -> Answer:
        """Return one question with one answer. If a used child fails for what earlier files left
        behind, a fresh one is asked.
        """
        with _opened(path) as handle, _named(path):
            try:
                with self._cage.child() as child:
                    used = child.files > 0
                    return work(child, handle)
            except UnreadError as error:
                if not (used and error.again):
                    raise
            with self._cage.child(fresh=True) as child:
                return work(child, handle)


class FrameStream(Generic[Came]):
    """Frames and gaps of one source; iterate over it once. `close` ends its child early; so does
    `stop`, from another thread than the one that waits for frames.

    `notes` say what could not be read; they are complete when the iterator has ended.
    """

    def __init__(self, start: Callable[[list[str], threading.Event], Iterator[Came]]) -> None:
        self._notes: list[str] = []
        self._stopped = threading.Event()
        self._flow = start(self._notes, self._stopped)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Came:
        return next(self._flow)

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes so far."""
        return tuple(self._notes)

    def stop(self) -> None:
        """Raise MediaError within half a second in the thread that waits for live frames."""
        self._stopped.set()

    def close(self) -> None:
        """Stop reading; end a child at work."""
        close = getattr(self._flow, "close", None)
        if close is not None:
            close()


def need_packages() -> None:
    """Raise InputError if packages for decoding media are missing."""
    need_extra("media", "photos and videos", _PACKAGES)


def _heard(child: CagedChild, notes: list[str]) -> Iterator[FrameBatch | Gap]:
    """Yield frames and gaps until the child is done."""
    ear = FrameEar(child)
    while True:
        answer, body = child.hear()
        if isinstance(answer, Done):
            notes.extend(ear.notes(answer))
            return
        yield ear.frames(answer, body)


def _edge(edge: int) -> int:
    if not 16 <= edge <= 8192:
        raise InputError(f"stills have from 16 to 8192 pixels a side, not {edge}")
    return edge


def _moment(second: float) -> float:
    if not 0 <= second <= 1e9:
        raise InputError(f"{second} is no second of a video")
    return float(second)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Yield a file to be read, opened here, as the child opens nothing. Raises MediaError."""
    try:
        # Opening a pipe without a writer would wait; it is not a file in any case.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise MediaError(
            f"can't be opened: {error.strerror}", where=str(path), mend="check the path"
        ) from error
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise MediaError("is no file", where=str(path))
        if not about.st_size:
            raise MediaError("is empty", where=str(path))
        yield handle
    finally:
        os.close(handle)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Add the file's name to an error of reading it."""
    try:
        yield
    except UnreadError as error:
        raise error.error(str(path)) from None
