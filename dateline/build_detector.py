"""Composition of the model that finds shots: which one, in which runtime, by the settings."""

from __future__ import annotations

from core.errors import SettingsError
from core.observation import UNWATCHED, Watching
from dateline.build_models import model_store, open_runtime
from dateline.settings import Settings
from indexing.media.shots import ShotFinder, ShotSettings
from indexing.media.windows import WindowLayout
from inference.batches import BatchLimits
from inference.remote_calls import is_remote
from inference.shot_detector import WINDOWS_AT_ONCE, TransitionDetector


def shot_detector_of(settings: Settings, watching: Watching = UNWATCHED) -> TransitionDetector:
    """The model that the setting `shots` names. All threads work on one call: a live source waits
    for each of its windows.

    Raises ModelError where it can't be loaded, SettingsError where none is named or its runtime is
    elsewhere.
    """
    name = settings.shots
    if not name:
        what, mend = "no model finds shots", "name one, such as transnetv2"
        raise SettingsError(what, where="shots", mend=mend)
    if is_remote(settings.runtimes.get(name, "")):
        what = f"{name} can't be asked at another service"
        raise SettingsError(what, where=f"runtimes.{name}", mend="name a runtime of this machine")
    folder = model_store(settings).open(name)
    runtime = open_runtime(settings, folder, threads=settings.threads)
    limits = BatchLimits(
        tokens=WINDOWS_AT_ONCE * folder.manifest.max_tokens,
        wait_ms=settings.batch_wait_ms,
        waiting_tokens=settings.batch_waiting_tokens,
    )
    return TransitionDetector.over(folder, runtime, limits=limits, watching=watching)


def shot_finder_of(settings: Settings, watching: Watching = UNWATCHED) -> ShotFinder | None:
    """What finds shots in frames; None where the setting `shots` is empty. Raises as above."""
    if not settings.shots:
        return None
    return ShotFinder(shot_detector_of(settings, watching), shot_settings(settings))


def shot_settings(settings: Settings) -> ShotSettings:
    """How frames are put to the detector."""
    return ShotSettings(WindowLayout.of_stride(settings.shot_stride, settings.shot_ahead))
