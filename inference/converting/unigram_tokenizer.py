"""The tokenizer of a unigram vocabulary, as the file `tokenizer.json`.

The replacement of characters is that of XLM-RoBERTa: NFKC, with control characters left out and
white space of every kind as a blank.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

from core.errors import ModelError
from inference.converting.packed_e5 import Pieces

_BLANK = "\u2581"  # stands for a blank in pieces
_MOST_KINDS = 8  # what characters may be replaced by, beside NFKC


def unigram_tokenizer(pieces: Pieces) -> str:
    """The text of `tokenizer.json`, the same for the same vocabulary.

    Raises ModelError for a vocabulary whose replacements are not NFKC but for a few.
    """
    special = {"begin": pieces.begin, "end": pieces.end}
    names = {role: pieces.texts[number] for role, number in special.items()}
    written = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            _added(number, pieces.texts[number])
            for number in sorted({*special.values(), pieces.padding, pieces.unknown})
        ],
        "normalizer": {"type": "Sequence", "normalizers": _normalizers(pieces.replaced)},
        "pre_tokenizer": {
            "type": "Metaspace",
            "replacement": _BLANK,
            "prepend_scheme": "always",
            "split": True,
        },
        "post_processor": _template(names["begin"], names["end"], special),
        "decoder": {
            "type": "Metaspace",
            "replacement": _BLANK,
            "prepend_scheme": "always",
            "split": True,
        },
        "model": {
            "type": "Unigram",
            "unk_id": pieces.unknown,
            "vocab": list(zip(pieces.texts, pieces.scores, strict=True)),
            "byte_fallback": False,
        },
    }
    return json.dumps(written, ensure_ascii=False, separators=(",", ":")) + "\n"


def _added(number: int, text: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": text, **flags, "special": True}


def _normalizers(replaced: Mapping[str, str]) -> list[dict[str, Any]]:
    """The steps before a text is cut."""
    others: dict[str, list[str]] = {}
    for character, instead in replaced.items():
        if unicodedata.normalize("NFKC", character) != instead:
            others.setdefault(instead, []).append(character)
    if len(others) > _MOST_KINDS:
        what = "its characters are replaced otherwise than by NFKC"
        raise ModelError(what, mend="the package has another vocabulary than expected")
    steps = [
        _replace("[" + "".join(f"\\x{{{ord(one):x}}}" for one in sorted(found)) + "]", instead)
        for instead, found in sorted(others.items())
    ]
    return [*steps, {"type": "NFKC"}, _replace(" {2,}", " "), _STRIP]


_STRIP = {"type": "Strip", "strip_left": True, "strip_right": True}


def _replace(pattern: str, instead: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": instead}


def _template(begin: str, end: str, numbers: Mapping[str, int]) -> dict[str, Any]:
    """What stands around a text."""
    single = [_special(begin), {"Sequence": {"id": "A", "type_id": 0}}, _special(end)]
    tokens = {begin: numbers["begin"], end: numbers["end"]}
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, {"Sequence": {"id": "B", "type_id": 0}}, _special(end)],
        "special_tokens": {
            name: {"id": name, "ids": [number], "tokens": [name]} for name, number in tokens.items()
        },
    }


def _special(name: str) -> dict[str, Any]:
    return {"SpecialToken": {"id": name, "type_id": 0}}
