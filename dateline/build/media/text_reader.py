"""Composition of the reader of text in pictures: the two models that the settings name.

Only this module names these classes.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import ModelError
from dateline.build.models.runtimes import model_store, open_runtime
from dateline.settings import Settings
from indexing.work.remembered import Remembered
from indexing.work.stages.read_text import Legible
from inference.text_in_pictures.finder import TextFinder
from inference.text_in_pictures.line_reader import LineReader
from inference.text_in_pictures.reader import PictureTextReader


@dataclass(frozen=True, slots=True)
class Eyes:
    """What reads text in pictures, None for nothing; `lacks` says why if the settings name a model
    that is not here.
    """

    reader: PictureTextReader | None = None
    lacks: str = ""

    @property
    def is_wanted(self) -> bool:
        """Whether pictures and videos go through the stage."""
        return self.reader is not None or bool(self.lacks)

    def legible(self, known: Remembered) -> Legible | None:
        """Return what a ledger has of its text; None without a reader."""
        return None if self.reader is None else Legible(self.reader, known)

    def close(self) -> None:
        """Free the models."""
        if self.reader is not None:
            self.reader.close()


def eyes_of(settings: Settings) -> Eyes:
    """Return what the settings name. The default models are used where they are there, and not
    missed where they are not.
    """
    if not settings.text_reader:
        return Eyes()
    try:
        return Eyes(text_reader_of(settings))
    except ModelError as error:
        is_named = "text_reader" in settings.model_fields_set
        return Eyes(lacks=error.what if is_named else "")


def text_reader_of(settings: Settings) -> PictureTextReader:
    """Return the reader of the models that the settings name. Raises ModelError if one of them is
    not here or does not fit.
    """
    store = model_store(settings)
    finder, lines = store.find(settings.text_finder), store.find(settings.text_reader)
    return PictureTextReader(
        TextFinder.over(finder, open_runtime(settings, finder, threads=settings.threads)),
        LineReader.over(lines, open_runtime(settings, lines, threads=settings.threads)),
    )
