"""Shows text and numbers of unknown origin: cleaned, cut, and never as markup."""

from __future__ import annotations

import math
import unicodedata

LONGEST = 240  # characters of a query or a name on a page
MISSING = "–"  # for a missing value
_REPLACED = "\ufffd"
# Control characters and surrogates are not text. Format characters can reverse the direction of a
# line; only the joiners of scripts and emoji are kept.
_NEVER = frozenset({"Cc", "Cs", "Cf", "Co", "Cn"})
_KEPT = frozenset("\u200c\u200d")


def shown(text: str, longest: int = LONGEST) -> str:
    """Return the text in one line without invisible characters. A text that is too long is cut, and
    its length is given.
    """
    head = " ".join(text[: 4 * longest].split())
    clean = visible(head)
    if len(clean) <= longest and len(text) <= 4 * longest:
        return clean or MISSING
    return f"{clean[:longest].rstrip()}… ({len(text):,} characters)"


def visible(text: str) -> str:
    """Return the text with a mark in place of each character that is not text."""
    return "".join(character if _is_text(character) else _REPLACED for character in text)


def short(text: str, longest: int = 40) -> str:
    """Return a name for a plot or a table's head: cut, without its length."""
    clean = shown(text, 4 * longest)
    return clean if len(clean) <= longest else f"{clean[: longest - 1].rstrip()}…"


def decimal(value: float, digits: int = 4, *, signed: bool = False) -> str:
    """Return `0.4432`, or `+0.0210` if signed; a dash for a value that is not finite."""
    if not math.isfinite(value):
        return MISSING
    text = f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}"
    return text.replace("-", "\u2212")


def interval(low: float, high: float, digits: int = 4, *, signed: bool = False) -> str:
    """Return `[0.41, 0.47]`; "" if an end is not finite."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{decimal(low, digits, signed=signed)}, {decimal(high, digits, signed=signed)}]"


def milliseconds(value: float) -> str:
    """Return a time with three significant digits: `0.42`, `12.3`, `1,240`; the head has the
    unit.
    """
    if not math.isfinite(value):
        return MISSING
    return decimal(value, 2 if value < 10 else 1 if value < 100 else 0)


def probability(value: float) -> str:
    """Return a p value: `0.012`, or `<0.001` for smaller ones."""
    if not math.isfinite(value):
        return MISSING
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def percent(share: float) -> str:
    """Return a share of 1 in per cent: `95 %`."""
    return f"{100 * share:.4g} %"


def compact(value: float) -> str:
    """Return a number of unknown size in few digits: `12,345`, `0.0123`, `1.2e-07`."""
    if not math.isfinite(value):
        return MISSING
    if value == int(value) and abs(value) < 1e12:
        return f"{int(value):,}".replace("-", "\u2212")
    text = f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"
    return text.replace("-", "\u2212")


def _is_text(character: str) -> bool:
    return character in _KEPT or unicodedata.category(character) not in _NEVER
