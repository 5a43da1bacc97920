"""The language of a document that states none, from its words."""

from __future__ import annotations

from search.understanding.query_language import QueryLanguages
from storage.words.text_analysis import ANALYSIS

_CHARACTERS = 600  # of a text, which show its language
_LANGUAGES = QueryLanguages(ANALYSIS)


def told_language(*texts: str) -> str:
    """The ISO 639-1 code of the language of `texts`; "" unless their words tell it plainly."""
    return _LANGUAGES.of_text(" ".join(filter(None, texts))[:_CHARACTERS])
