"""Composition of shots: what decodes videos and what finds their shots, as the settings say.

The only place that names these classes. What the extra `media` brings is imported where it is used.
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
    """A reader of media, and what finds shots in its frames: in those of a file, and in those that
    come live.
    """

    reader: CagedReader
    finder: ShotFinder
    live: ShotFinder

    @property
    def model(self) -> str:
        """What finds the shots, for a person."""
        return self.finder.detector.name

    def found(self, frames: Iterable[FrameBatch | Gap]) -> Iterator[ShotBounds | Gap]:
        """Shots and gaps of a file's frames, which are read while the model looks at others."""
        with read_ahead(frames) as ahead:
            yield from _found(self.finder, ahead)

    def followed(
        self, source: LiveSource, settings: LiveSettings, notes: list[str]
    ) -> Iterator[ShotBounds | Gap]:
        """Shots and gaps of a live source over all its connections; what else is to be said of
        them goes to `notes`.
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
    """Everything that finds shots, ready.

    Raises InputError where the packages for media are missing, SettingsError where the settings
    name no model for shots, ModelError where it can't be loaded.
    """
    with CagedReader(replace(CageLimits(), threads=settings.threads)) as reader:
        detector = shot_detector_of(settings)
        finder, live = shot_finder_of(detector), live_finder_of(settings, detector)
        yield ShotFinding(reader, finder, live)
