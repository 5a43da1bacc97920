"""`core.model_ports.TextAnalysis` as the engines index: what highlights and spelling look at."""

from __future__ import annotations

from storage.words.analysis import analyzer
from storage.words.stop_words import is_stop_word


class Analysis:
    """The analyzers of storage/words/analysis.py behind the port."""

    def terms(self, text: str, language: str) -> tuple[str, ...]:
        """The index terms of `text` in order."""
        return tuple(analyzer(language).analyze(text))

    def is_stop_word(self, word: str, language: str) -> bool:
        """Whether the word is too common in the language to rank by."""
        return is_stop_word(word, (language,))
