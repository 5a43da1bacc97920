"""`core.ports.models.TextAnalysis` with the engines' analyzers, for highlights and spelling."""

from __future__ import annotations

from storage.words.analysis import analyzer
from storage.words.stop_words import is_stop_word


class Analysis:
    """The analyzers of storage/words/analysis.py behind the port."""

    def terms(self, text: str, language: str) -> tuple[str, ...]:
        """Return the index terms of `text` in order."""
        return tuple(analyzer(language).analyze(text))

    def is_stop_word(self, word: str, language: str) -> bool:
        """Return whether the word is a stop word of the language."""
        return is_stop_word(word, (language,))
