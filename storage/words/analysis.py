"""Turns text into index terms, with one analyzer per language (tantivy's Snowball stemmers).

Words consist of Unicode letters and digits. They are lower-cased, their accents are folded, and
they are stemmed if the language has a stemmer. Both engines use these steps in this order, so that
a word finds the same texts in both.
"""

from __future__ import annotations

from functools import lru_cache

import tantivy

from core.languages import LANGUAGES, primary_subtag

STEMMERS = {code: one.stemmer for code, one in LANGUAGES.items() if one.stemmer}
LONGEST_TERM = 40  # bytes; longer words are base64, links and the like


@lru_cache(maxsize=64)
def analyzer(language: str) -> tantivy.TextAnalyzer:
    """Return the analyzer of a language tag; it stems no words of a language without a stemmer."""
    builder = (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(LONGEST_TERM))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
    )
    stemmer = STEMMERS.get(primary_subtag(language))
    if stemmer:
        builder = builder.filter(tantivy.Filter.stemmer(stemmer))
    return builder.build()
