"""Rates what may be done with an item, in a few words that queries can filter by.

    commercial   more than editorial use: no restrictions, public domain, a Creative Commons licence
                 without NC and ND
    editorial    editorial use only, or no commercial use; other uses need more clearances
    restricted   something narrows it further (whom, where, how long, in which form): read the terms
    owned        the agency owns all of it (AP's signal `APWhollyOwned`)

An item has the words of its document, and none if that says nothing about rights. The agency's own
words, in the extension member `rights`, replace all others. Terms that are not understood are
`restricted`, because a rating that is too generous costs more than one that is too strict. The
rating helps to find and is not legal advice: the terms themselves stay in `usageterms`.

It reads `usageterms`, sentence by sentence, in English; ninjs' `rightsinfo`: the last part of a
`linkedrights` address and an ODRL policy in `encodedrights`; AP's `signals`.
https://iptc.org/std/ninjs/, https://www.w3.org/TR/odrl-vocab/,
https://creativecommons.org/licenses/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

COMMERCIAL = "commercial"
EDITORIAL = "editorial"
RESTRICTED = "restricted"
OWNED = "owned"
MAX_WORDS = 32  # words of the agency's own rights
MAX_WORD = 100  # characters
_ORDER = (COMMERCIAL, EDITORIAL, RESTRICTED, OWNED)
_SIGNALS = {"apwhollyowned": OWNED}
# A full stop ends a sentence only before a blank: addresses contain full stops.
_SENTENCE_END = re.compile(r"[.;!]+(?:\s+|$)|[|\n]|\s/\s")
_ADDRESS = re.compile(r"https?://\S+")
_SUBJECT = (
    r"(?:(?:this|the|all) (?:content|material|item|image|photo|picture|video|audio)s?"
    r" (?:is|are|may be used) )?"
)
_EDITORIAL = re.compile(
    _SUBJECT + r"(?:intended )?(?:for )?(?:editorial (?:use )?only|only (?:for )?editorial use)"
)
_COMMERCIAL = re.compile(
    _SUBJECT
    + r"(?:no (?:usage )?restrictions?(?: apply)?|without restrictions?|unrestricted(?: use)?"
    r"|royalty[- ]free|(?:in the )?public domain|free for (?:any|all) uses?"
    r"|cc0(?: 1\.0)?(?: universal)?(?:: no rights reserved)?"
    r"|(?:free )?for editorial and commercial use)"
)
_SAYS_NOTHING = re.compile(
    r"for other uses, additional clearances may be required|all rights reserved|world(?:wide)?"
    r" rights|none|n/?a|(?:copyright|©|\(c\))\W(?!.*\b(?:no|not|non|only|never|without|must|may"
    r"|except|prohibited|restrict\w*|editorial|permission)\b).*"
)
_LICENCE = re.compile(r"creativecommons\.org/(licenses|publicdomain)/([a-z0-9+-]+)", re.IGNORECASE)
_LETTERS = re.compile(r"[^a-z]+")
_LINKED = {
    "editorial": EDITORIAL,
    "editorialuse": EDITORIAL,
    "editorialonly": EDITORIAL,
    "editorialuseonly": EDITORIAL,
    "unrestricted": COMMERCIAL,
    "norestrictions": COMMERCIAL,
    "publicdomain": COMMERCIAL,
    "commercial": COMMERCIAL,
    "commercialuse": COMMERCIAL,
}
# ODRL 2 in JSON-LD uses the singular; older JSON and ninjs' own example the plural.
_FORBIDS, _ALLOWS = ("prohibition", "prohibitions"), ("permission", "permissions")
_DEMANDS = ("obligation", "obligations", "duty", "duties")
_LIMITS = ("constraint", "constraints", "refinement", "duty", "duties")


def rights_of(
    usageterms: str,
    rightsinfo: Mapping[str, Any] | None = None,
    signals: Sequence[str] = (),
    named: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return the words for an item's rights, each once: those that the agency `named`, else the
    ratings of its terms, its ninjs `rightsinfo` and AP's `signals`.
    """
    if own := _own_words(named):
        return own
    found = {*_of_terms(usageterms), *_of_info(rightsinfo or {})}
    found |= {_SIGNALS[signal.casefold()] for signal in signals if signal.casefold() in _SIGNALS}
    if found & {EDITORIAL, RESTRICTED}:
        found.discard(COMMERCIAL)
    return tuple(word for word in _ORDER if word in found)


def words_in(value: object) -> tuple[str, ...] | None:
    """Return the texts of a member that is a text or a list of texts; None for another value."""
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return tuple(value)
    return None


def _own_words(named: Sequence[str]) -> tuple[str, ...]:
    words = (" ".join(word.split())[:MAX_WORD] for word in named)
    return tuple(dict.fromkeys(word for word in words if word))[:MAX_WORDS]


def _of_terms(terms: str) -> Iterator[str]:
    """Yield the rating of each sentence of the usage terms."""
    for address in _ADDRESS.findall(terms):
        yield _of_address(address)
    for sentence in _SENTENCE_END.split(_ADDRESS.sub("\n", terms).casefold()):
        said = " ".join(sentence.strip(" *-–—:,\"'[]").split())
        if not said or _SAYS_NOTHING.fullmatch(said):
            continue
        if _EDITORIAL.fullmatch(said):
            yield EDITORIAL
        elif _COMMERCIAL.fullmatch(said):
            yield COMMERCIAL
        else:
            if "editorial" in said:
                yield EDITORIAL
            yield RESTRICTED


def _of_address(address: str) -> str:
    """Return the rating of a link to rights or to a licence."""
    if licence := _LICENCE.search(address):
        public = licence[1].casefold() == "publicdomain"
        parts = licence[2].casefold().split("-")
        if public or not {"nc", "nd"} & set(parts):
            return COMMERCIAL
        return EDITORIAL if parts == ["by", "nc"] else RESTRICTED
    last = address.casefold().split("?")[0].split("#")[0].rstrip("/.,)").rpartition("/")[2]
    return _LINKED.get(_LETTERS.sub("", last), RESTRICTED)


def _of_info(info: Mapping[str, Any]) -> Iterator[str]:
    members = {name.casefold(): value for name, value in info.items()}
    linked, encoded = members.get("linkedrights"), members.get("encodedrights")
    for one in linked if isinstance(linked, list) else [linked]:
        if isinstance(one, str) and one.strip():
            yield _of_address(one.strip())
    if isinstance(encoded, str) and encoded.strip():
        yield from _of_policy(encoded)


def _of_policy(encoded: str) -> Iterator[str]:
    """Yield the ratings of an ODRL policy in JSON; in another language it is `restricted`."""
    try:
        policy = orjson.loads(encoded)
    except orjson.JSONDecodeError:
        policy = None
    if not isinstance(policy, dict):
        yield RESTRICTED
        return
    if not policy.keys() & {*_FORBIDS, *_ALLOWS, *_DEMANDS}:
        yield RESTRICTED
    for rule in _rules(policy, _FORBIDS):
        yield EDITORIAL if _action(rule) == "commercialize" else RESTRICTED
    for rule in _rules(policy, _ALLOWS):
        if any(rule.get(name) for name in _LIMITS):
            yield RESTRICTED
        elif _action(rule) in ("commercialize", "use"):
            yield COMMERCIAL
        else:
            yield RESTRICTED
    for rule in _rules(policy, _DEMANDS):
        if _action(rule) != "attribute":
            yield RESTRICTED


def _rules(policy: Mapping[str, Any], names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    for name in names:
        rules = policy.get(name)
        for rule in rules if isinstance(rules, list) else [rules]:
            if rule:
                yield rule if isinstance(rule, dict) else {"action": rule}


def _action(rule: Mapping[str, Any]) -> str:
    """Return the last part of a rule's action, which is a word or an address."""
    action = rule.get("action")
    text = action if isinstance(action, str) else ""
    return re.split(r"[/#:]", text.casefold())[-1]
