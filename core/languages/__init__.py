"""The languages: a file for each that is read in queries, with all that is particular to it.

To add a language, write its `Language` in a file of its own and add it here.
"""

from core.languages.declaration import DateWords, KindForms, KindWords, Language
from core.languages.english import ENGLISH
from core.languages.french import FRENCH
from core.languages.german import GERMAN
from core.languages.others import OTHERS
from core.languages.spanish import SPANISH

LANGUAGES = {one.code: one for one in (ENGLISH, SPANISH, FRENCH, GERMAN, *OTHERS)}
TOLD = tuple(one for one in LANGUAGES.values() if one.telling)  # by their words


def primary_subtag(language: str) -> str:
    """Return the primary language of a BCP 47 tag: "nb" of "nb-NO"."""
    return language.partition("-")[0].casefold()


__all__ = [
    "LANGUAGES",
    "TOLD",
    "DateWords",
    "KindForms",
    "KindWords",
    "Language",
    "primary_subtag",
]
