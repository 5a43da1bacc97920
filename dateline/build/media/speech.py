"""Composition of speech: what writes it down, as the settings say.

Only this module names these classes. Packages of extras are imported where they are used.
"""

from __future__ import annotations

from core.errors import SettingsError
from core.ports.media import MediaReader
from core.work import Stage, Tracked
from dateline.build.media.named import Named, named
from dateline.build.models.runtimes import model_store
from dateline.settings import Settings
from indexing.captions.rights import RightsNow
from indexing.speech.provider import SpeechProvider
from indexing.work.remembered import Remembered
from indexing.work.sources.listing import is_picture
from indexing.work.sources.stores import Spool
from indexing.work.stages.preparing import Preparing
from indexing.work.stages.stage import PassOn, StageWork
from indexing.work.stages.transcribe import Heard, TranscribeStage
from inference.transcriber import WhisperTranscriber, need_packages

PROVIDER = "openai"

OwnedTranscriber = WhisperTranscriber | SpeechProvider


def heard_of(speech: Named[OwnedTranscriber], known: Remembered) -> Heard | None:
    """Return what a ledger has of its words; None without a transcriber."""
    one = speech.model
    return None if one is None else Heard(known, one.digest, one.name, one.leaves)


def speech_of(settings: Settings) -> Named[OwnedTranscriber]:
    """Return what writes down speech. Raises SettingsError for settings that contradict each
    other.
    """
    service = settings.transcriber == PROVIDER
    return named(
        settings, "transcriber", lambda: _provider(settings) if service else model_of(settings)
    )


def model_of(settings: Settings) -> WhisperTranscriber:
    """Return the model that the settings name; it is loaded when it is first used. Raises
    ModelError if it or a package that runs it is not here.
    """
    folder = model_store(settings).find(settings.transcriber)
    need_packages(settings.transcriber)
    return WhisperTranscriber.of(folder, threads=settings.threads, device=settings.device)


def stage_of(
    speech: Named[OwnedTranscriber],
    heard: Heard | None,
    preparing: Preparing,
    reader: MediaReader,
    spool: Spool,
    rights: RightsNow,
    then: Stage,
) -> StageWork:
    """Return the stage; without a transcriber it passes assets on."""
    if speech.model is None or heard is None:
        remark = f"not transcribed: {speech.lacks}" if speech.lacks else ""
        return PassOn(then, remark, has_sound)
    return TranscribeStage(preparing, speech.model, reader, spool, heard, rights, then)


def has_sound(asset: Tracked) -> bool:
    """Return whether a file of this name may have sound."""
    return not is_picture(asset.found.location)


def _provider(settings: Settings) -> SpeechProvider:
    if not settings.transcribe_model:
        mend = "name one of the service's models that take sound, such as whisper-1"
        raise SettingsError("no model is named", where="transcribe_model", mend=mend)
    key = settings.transcribe_key.get_secret_value() if settings.transcribe_key else ""
    return SpeechProvider.open(
        settings.transcribe_url,
        settings.transcribe_model,
        key=key,
        seconds=settings.transcribe_seconds,
    )
