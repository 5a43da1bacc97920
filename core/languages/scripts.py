"""Scripts: what a language is written in, and the script of a text."""

from __future__ import annotations

import unicodedata

from core.languages import TOLD

LATIN = "LATIN"
# Languages that are not written in Latin letters, the commonest of a script first. The script is
# the first word of a letter's Unicode name.
SCRIPTS = {
    "ru": "CYRILLIC",
    "bg": "CYRILLIC",
    "uk": "CYRILLIC",
    "ar": "ARABIC",
    "fa": "ARABIC",
    "ur": "ARABIC",
    "el": "GREEK",
    "he": "HEBREW",
    "hi": "DEVANAGARI",
    "zh": "CJK",
    "ja": "CJK",
    "ka": "GEORGIAN",
    "ko": "HANGUL",
    "th": "THAI",
}
_JAPANESE = ("HIRAGANA", "KATAKANA", "CJK")
NAMES = {
    **{one.code: one.name for one in TOLD},
    **{code: f"{script.capitalize()} letters" for code, script in SCRIPTS.items()},
}
FIRST_OF = {script: code for code, script in reversed(SCRIPTS.items())}  # language of a script


def script_of(text: str) -> str:
    """Return the script of most letters, in capitals as Unicode names it; LATIN without letters."""
    if text.isascii():
        return LATIN
    scripts = [_script(letter) for letter in text if letter.isalpha()]
    return max(sorted(set(scripts)), key=scripts.count, default=LATIN)


def _script(letter: str) -> str:
    name = unicodedata.name(letter, LATIN).split()[0]
    return "CJK" if name in _JAPANESE else name
