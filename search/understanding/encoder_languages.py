"""The languages that the encoder reads, and the note on a query in another language."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator

from core.query_tree import Bool, Keyword, Node

MANY = "mul"  # the code of a model for many languages, by ISO 639-2
_LATIN = "LATIN"
# Languages that are not written in Latin letters. The script is the first word of a letter's
# Unicode name.
_SCRIPTS = {
    "ar": "ARABIC",
    "bg": "CYRILLIC",
    "el": "GREEK",
    "fa": "ARABIC",
    "he": "HEBREW",
    "hi": "DEVANAGARI",
    "ja": "CJK",
    "ka": "GEORGIAN",
    "ko": "HANGUL",
    "ru": "CYRILLIC",
    "th": "THAI",
    "uk": "CYRILLIC",
    "ur": "ARABIC",
    "zh": "CJK",
}
_JAPANESE = ("HIRAGANA", "KATAKANA", "CJK")


def unread_language(text: str, filters: Node, languages: Collection[str]) -> tuple[str, ...]:
    """A note where the encoder, which reads `languages`, does not know the query's language: the
    filters ask for a language that it lacks, or most letters are of a script that none of its
    languages has.

    Words answer such a query as any other, but its vectors mean little.
    """
    if not languages or MANY in languages:
        return ()
    read = ", ".join(sorted(languages))
    asked = [code for code in _asked(filters) if code.split("-")[0] not in languages]
    if asked:
        what = f"the query is for language {', '.join(asked)}"
    elif script := _foreign_script(text, languages):
        what = f"the query is in {script.capitalize()} letters"
    else:
        return ()
    return (f"{what}, and the vectors' model reads {read}: trust the matches by words",)


def _asked(node: Node) -> Iterator[str]:
    """The languages that a filter lets through."""
    match node:
        case Keyword("language", values):
            yield from (value.casefold().replace("_", "-") for value in values)
        case Bool(must, should, _):
            for child in (*must, *should):
                yield from _asked(child)


def _foreign_script(text: str, languages: Collection[str]) -> str:
    """The script of most letters; "" where it is Latin or a language of the encoder uses it."""
    if text.isascii():
        return ""
    scripts = [_script(letter) for letter in text if letter.isalpha()]
    most = max(sorted(set(scripts)), key=scripts.count, default=_LATIN)
    known = {_SCRIPTS.get(code, _LATIN) for code in languages}
    return "" if most in known or most == _LATIN else most


def _script(letter: str) -> str:
    name = unicodedata.name(letter, _LATIN).split()[0]
    return "CJK" if name in _JAPANESE else name
