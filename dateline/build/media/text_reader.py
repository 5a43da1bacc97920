"""Composition of the reader of text in pictures: the two models that the settings name.

Only this module names these classes.
"""

from __future__ import annotations

from dateline.build.media.named import Named, named
from dateline.build.models.runtimes import model_store, open_runtime
from dateline.settings import Settings
from inference.text_in_pictures.finder import TextFinder
from inference.text_in_pictures.line_reader import LineReader
from inference.text_in_pictures.reader import PictureTextReader


def eyes_of(settings: Settings) -> Named[PictureTextReader]:
    """Return what reads text in pictures."""
    return named(settings, "text_reader", lambda: text_reader_of(settings))


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
