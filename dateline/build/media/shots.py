"""Composition of shots: the shot model, the reader of videos and the finder of shots, as the
settings say.

Only this module names these classes. Packages of the extra `media` are imported where they are
used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from core.errors import SettingsError
from core.media import FrameBatch, Gap, LiveItem, ShotBounds
from core.work import Stage
from dateline.build.models.runtimes import model_store, open_runtime
from dateline.settings import Settings
from indexing.handover import read_ahead
from indexing.media.cage.limits import CageLimits, CageProtection
from indexing.media.cage.sources import LiveSource
from indexing.media.reading import CagedReader, FrameStream
from indexing.media.shots.finding import ShotFinder, ShotSettings
from indexing.media.shots.live import LiveFrames, LiveSettings
from indexing.media.shots.windows import FILE_AHEAD, FILE_WINDOW, WINDOW, WindowLayout
from inference.runtimes.choice import is_remote
from inference.serving.batches import BatchLimits
from inference.shot_detector import FRAMES_AT_ONCE, TransitionDetector

_MOST_AT_ONCE = 1024
_KNOWN_S = 3.0  # less would put more frames to the model, which a busy machine can't
_LEAST_STRIDE = 10  # ten times the frames go through the model


def shot_detector_of(settings: Settings) -> TransitionDetector:
    """Return the model that the setting `shots` names. All threads work on one call, because a live
    source waits for each of its windows.

    Raises ModelError if it can't be loaded, SettingsError if none is named or its runtime is at
    another service.
    """
    name = settings.shots
    if not name:
        what, mend = "no model finds shots", "name one, such as transnetv2"
        raise SettingsError(what, where="shots", mend=mend)
    if is_remote(settings.runtimes.get(name, "")):
        what = f"{name} can't be asked at another service"
        raise SettingsError(what, where=f"runtimes.{name}", mend="name a runtime of this machine")
    folder = model_store(settings).find(name)
    runtime = open_runtime(settings, folder, threads=settings.threads)
    limits = BatchLimits(
        tokens=batch_sizes(settings)[Stage.SHOTS] * WINDOW,  # a file's window is three of these
        wait_ms=settings.batch_wait_ms,
        waiting_tokens=settings.batch_waiting_tokens,
    )
    return TransitionDetector.over(folder, runtime, limits=limits)


def cage_limits(settings: Settings) -> CageLimits:
    """Return the limits of the processes that read media."""
    return replace(CageLimits(), unsealed=settings.media_unsealed)


def cage_protection(settings: Settings) -> CageProtection:
    """Return what protects a process that reads media on this machine, be it enough or not. Raises
    BusyError if none starts.
    """
    with CagedReader(replace(cage_limits(settings), unsealed=True)) as reader:
        return reader.protection()


def batch_sizes(settings: Settings) -> Mapping[Stage, int]:
    """Return how much goes through a model at once, by the stage of an ingest. Raises SettingsError
    for an unknown name.
    """
    sizes = {Stage.SHOTS: FRAMES_AT_ONCE // WINDOW, Stage.DESCRIBE: 16, Stage.EMBED: 32}
    for name, size in settings.work_batch.items():
        if name not in sizes or not 0 < size <= _MOST_AT_ONCE:
            what = f"{name} = {size} is no batch's size"
            mend = f"write 1 to {_MOST_AT_ONCE} for {', '.join(sizes)}"
            raise SettingsError(what, where="work_batch", mend=mend)
    return sizes | {Stage(name): size for name, size in settings.work_batch.items()}


def shot_finder_of(detector: TransitionDetector) -> ShotFinder:
    """Return a finder of shots in files by a detector, with long windows."""
    layout = WindowLayout(ahead=FILE_AHEAD).lengthened(min(FILE_WINDOW, detector.longest))
    return ShotFinder(detector, ShotSettings(layout))


def live_finder_of(
    settings: Settings, detector: TransitionDetector, rate: float = 0.0
) -> ShotFinder:
    """Return a finder of shots in live sources by a detector, with the settings' windows. At a low
    `rate`, frames a second, their stride is shorter, so that a shot is known in `_KNOWN_S`.
    """
    stride, ahead = settings.shot_stride, settings.shot_ahead
    if rate:
        stride = max(min(_LEAST_STRIDE, stride), min(stride, round(_KNOWN_S * rate) - ahead + 1))
    return ShotFinder(detector, ShotSettings(WindowLayout.of_stride(stride, ahead)))


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
        last: list[FrameStream[LiveItem]] = []  # the connection that is read

        def note() -> None:
            notes.extend(note for frames in last for note in frames.notes if note not in notes)

        def connect() -> FrameStream[LiveItem]:
            note()
            last[:] = [self.reader.live(source)]
            return last[0]

        with closing(LiveFrames(connect, settings)) as live:
            try:
                frames = (item for item in live if isinstance(item, (FrameBatch, Gap)))
                yield from _found(self.live, frames)
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
    with CagedReader(replace(cage_limits(settings), threads=settings.threads)) as reader:
        detector = shot_detector_of(settings)
        finder, live = shot_finder_of(detector), live_finder_of(settings, detector)
        yield ShotFinding(reader, finder, live)
