"""Stop words: words too common to rank by, which are left out of a query's optional words.

Some languages declare them (`core.languages`); the others have tantivy's lists.
"""

from __future__ import annotations

from functools import lru_cache

import tantivy

from core.languages import LANGUAGES, primary_subtag
from storage.words.analysis import STEMMERS

_MAIN_SHARE = 0.1


@lru_cache(maxsize=16_384)
def is_stop_word(word: str, languages: tuple[str, ...]) -> bool:
    """Return whether the word is a stop word in every one of `languages`."""
    return bool(languages) and all(_is_stop(word, language) for language in languages)


def main_languages(counts: dict[str, int]) -> tuple[str, ...]:
    """Return the languages of at least a tenth of the items, whose stop words count."""
    least = _MAIN_SHARE * sum(counts.values())
    return tuple(sorted(language for language, count in counts.items() if count >= least))


def _is_stop(word: str, language: str) -> bool:
    known = LANGUAGES.get(primary_subtag(language))
    if known is not None and known.stop_words is not None:
        return word.casefold() in known.stop_words
    stops = _tantivy_stops(primary_subtag(language))
    return stops is not None and not stops.analyze(word)


@lru_cache(maxsize=64)
def _tantivy_stops(language: str) -> tantivy.TextAnalyzer | None:
    """Return the analyzer that removes a language's stop words, None if tantivy has no list."""
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    stop_words = tantivy.Filter.stopword(STEMMERS.get(language, ""))
    try:
        return builder.filter(tantivy.Filter.lowercase()).filter(stop_words).build()
    except ValueError:  # tantivy has no list for the language
        return None
