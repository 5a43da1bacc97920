"""Composition of shots: the reader of videos and the finder of shots, as the settings say.

Only this module names these classes. Packages of the extra `media` are imported where they are
used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from core.media import FrameBatch, Gap, ShotBounds
from dateline.build.detector import live_finder_of, shot_detector_of, shot_finder_of
from dateline.settings import Settings
from indexing.media.cage.limits import CageLimits
from indexing.media.cage.sources import LiveSource
from indexing.media.reading import CagedReader, FrameStream
from indexing.media.reading_ahead import read_ahead
from indexing.media.shots.finding import ShotFinder
from indexing.media.shots.live import LiveFrames, LiveSettings


@dataclass(frozen=True, slots=True)
class ShotFinding:
    """A reader of media, and finders of shots in the frames of files and of live sources."""

    reader: CagedReader
    finder: ShotFinder
    live: ShotFinder

    @property
    def model(self) -> str:
        """The name of the shot model, for a person."""
        return self.finder.detector.name

    def found(self, frames: Iterable[FrameBatch | Gap]) -> Iterator[ShotBounds | Gap]:
        """Yield shots and gaps of a file's frames; reads ahead while the model works."""
        with read_ahead(frames) as ahead:
            yield from _found(self.finder, ahead)

    def followed(
        self, source: LiveSource, settings: LiveSettings, notes: list[str]
    ) -> Iterator[ShotBounds | Gap]:
        """Yield shots and gaps of a live source over all its connections; `notes` get the remarks
        of the connections.
        """
        last: list[FrameStream] = []  # the connection that is read

        def note() -> None:
            notes.extend(note for frames in last for note in frames.notes if note not in notes)

        def connect() -> FrameStream:
            note()
            last[:] = [self.reader.live(source)]
            return last[0]

        with closing(LiveFrames(connect, settings)) as live:
            try:
                yield from _found(self.live, live)
            finally:
                note()


def _found(finder: ShotFinder, frames: Iterable[FrameBatch | Gap]) -> Iterator[ShotBounds | Gap]:
    stream = finder.stream()
    for arrived in frames:
        yield from finder.push([stream], [arrived])[0]
        if isinstance(arrived, Gap):
            yield arrived
    yield from finder.push([stream], [None])[0]


@contextmanager
def opened_finding(settings: Settings) -> Iterator[ShotFinding]:
    """Yield everything that finds shots, ready.

    Raises InputError if the packages for media are missing, SettingsError if the settings name no
    shot model, ModelError if it can't be loaded.
    """
    with CagedReader(replace(CageLimits(), threads=settings.threads)) as reader:
        detector = shot_detector_of(settings)
        finder, live = shot_finder_of(detector), live_finder_of(settings, detector)
        yield ShotFinding(reader, finder, live)
