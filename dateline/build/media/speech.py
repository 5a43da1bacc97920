"""Composition of speech: what writes it down, as the settings say.

Only this module names these classes. Packages of extras are imported where they are used.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import ModelError, SettingsError
from core.ports.media import MediaReader
from core.work import Stage
from dateline.build.models.runtimes import model_store
from dateline.settings import Settings
from indexing.captions.rights import RightsNow
from indexing.speech.provider import SpeechProvider
from indexing.work.remembered import Remembered
from indexing.work.sources.stores import Spool
from indexing.work.stages.preparing import Preparing
from indexing.work.stages.stage import StageWork
from indexing.work.stages.transcribe import Heard, PassOn, TranscribeStage
from inference.transcriber import WhisperTranscriber, need_packages

PROVIDER = "openai"

OwnedTranscriber = WhisperTranscriber | SpeechProvider


@dataclass(frozen=True, slots=True)
class Speech:
    """What writes down speech, None for nothing; `lacks` says why if the settings name something
    that is not here.
    """

    transcriber: OwnedTranscriber | None = None
    lacks: str = ""

    @property
    def is_wanted(self) -> bool:
        """Whether videos and sounds go through the stage."""
        return self.transcriber is not None or bool(self.lacks)

    def heard(self, known: Remembered) -> Heard | None:
        """Return what a ledger has of its words; None without a transcriber."""
        one = self.transcriber
        return None if one is None else Heard(known, one.digest, one.name, one.leaves)

    def close(self) -> None:
        """Free the model, or close the connections."""
        if self.transcriber is not None:
            self.transcriber.close()


def speech_of(settings: Settings) -> Speech:
    """Return what the settings name. The default model is used where it is there, and not missed
    where it is not. Raises SettingsError for settings that contradict each other.
    """
    if not settings.transcriber:
        return Speech()
    if settings.transcriber == PROVIDER:
        return Speech(_provider(settings))
    try:
        return Speech(model_of(settings))
    except ModelError as error:
        is_named = "transcriber" in settings.model_fields_set
        return Speech(lacks=f"not transcribed: {error.what}" if is_named else "")


def model_of(settings: Settings) -> WhisperTranscriber:
    """Return the model that the settings name; it is loaded when it is first used. Raises
    ModelError if it or a package that runs it is not here.
    """
    folder = model_store(settings).find(settings.transcriber)
    need_packages(settings.transcriber)
    return WhisperTranscriber.of(folder, threads=settings.threads, device=settings.device)


def stage_of(
    speech: Speech,
    heard: Heard | None,
    preparing: Preparing,
    reader: MediaReader,
    spool: Spool,
    rights: RightsNow,
    then: Stage,
) -> StageWork:
    """Return the stage; without a transcriber it passes assets on."""
    if speech.transcriber is None or heard is None:
        return PassOn(speech.lacks, then)
    return TranscribeStage(preparing, speech.transcriber, reader, spool, heard, rights, then)


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
