"""Text to index terms, one analyzer per language (tantivy's Snowball stemmers).

Words by Unicode letters and digits, lower-cased, accents folded, stemmed where the language has a
stemmer. Both engines use the same steps, in this order, so that one word finds the same texts.
"""

from __future__ import annotations

from functools import lru_cache

import tantivy

STEMMERS = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nb": "norwegian",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
}
LONGEST_TERM = 40  # bytes; longer ones are base64, links and the like


def primary_subtag(language: str) -> str:
    """The language of a BCP 47 tag: "nb" of "nb-NO"."""
    return language.partition("-")[0].casefold()


@lru_cache(maxsize=64)
def analyzer(language: str) -> tantivy.TextAnalyzer:
    """The analyzer of a language tag; a language without a stemmer keeps its words whole."""
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
