"""Named things of a media file's metadata: people, organisations, places, subjects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from indexing.media.metadata.names import EXT
from indexing.media.metadata.xmp import Properties, Value

MAX_THINGS = 200  # of a kind
_LOCATIONS = (f"{EXT}LocationShown", f"{EXT}LocationCreated")
_SEPARATED = ("keywords",)  # roles whose values some programs write as one text
Texts = Mapping[str, tuple[str, ...]]


def add_things(tree: dict[str, Any], sources: Sequence[Texts], properties: Properties) -> None:
    """Add `person`, `organisation`, `place`, `located`, `subject`, `keywords`, `urgency`,
    `language` and `digitalsourcetype` to `tree`, as far as the sources have them.
    """
    places = list(_places(sources, properties))
    keywords = _first(sources, "keywords")
    codes = [{"code": f"subj:{code.split(':')[-1]}"} for code in _first(sources, "subjectcodes")]
    found: dict[str, list[dict[str, str]]] = {
        "person": [*_detailed(properties, "Person"), *_named(_first(sources, "persons"))],
        "organisation": _named(_first(sources, "organisations")),
        "place": places,
        "subject": [*_terms(properties), *codes, *_named(keywords)],
    }
    for member, things in found.items():
        if kept := _distinct(things):
            tree[member] = kept[:MAX_THINGS]
    if keywords:
        tree["keywords"] = list(keywords)
    located = [text for role in ("city", "country") for text in _first(sources, role)[:1]]
    if located:
        tree["located"] = ", ".join(located)
    _add_single(tree, sources)


def _add_single(tree: dict[str, Any], sources: Sequence[Texts]) -> None:
    (urgency, *_) = _first(sources, "urgency") or ("",)
    if urgency.isascii() and urgency.isdecimal() and 1 <= int(urgency[:3]) <= 9:
        tree["urgency"] = int(urgency)
    (language, *_) = _first(sources, "language") or ("",)
    if language and language.replace("-", "").isalnum() and language.isascii():
        tree["language"] = language
    (kind, *_) = _first(sources, "sourcetype") or ("",)
    if kind:
        tree["digitalsourcetype"] = {"uri": kind, "name": kind.rstrip("/").rpartition("/")[2]}


def _first(sources: Sequence[Texts], role: str) -> tuple[str, ...]:
    """Return the texts of a role, from the first standard that has some."""
    texts = next((each[role] for each in sources if each.get(role)), ())
    if role in _SEPARATED and len(texts) == 1:
        texts = tuple(
            part.strip() for part in texts[0].replace(";", ",").split(",") if part.strip()
        )
    return tuple(" ".join(text.split()) for text in texts if text.strip())


def _named(names: Sequence[str]) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


def _detailed(properties: Properties, kind: str) -> Iterator[dict[str, str]]:
    """Yield the people of PersonInImageWDetails, with a code if one is given."""
    for value in properties.get(f"{EXT}{kind}InImageWDetails", ()):
        yield from _thing(value, f"{EXT}{kind}Name", f"{EXT}{kind}Id")


def _terms(properties: Properties) -> Iterator[dict[str, str]]:
    """Yield the concepts of AboutCvTerm: terms of a controlled vocabulary."""
    for value in properties.get(f"{EXT}AboutCvTerm", ()):
        yield from _thing(value, f"{EXT}CvTermName", f"{EXT}CvTermId")


def _places(sources: Sequence[Texts], properties: Properties) -> Iterator[dict[str, str]]:
    """Yield sublocation, city, state and country, and further places that the picture shows."""
    for role in ("sublocation", "city", "state"):
        yield from _named(_first(sources, role)[:1])
    codes = _first(sources, "countrycode")[:1]
    for name in _first(sources, "country")[:1]:
        yield {"name": name, **({"code": codes[0]} if codes else {})}
    for value in (one for key in _LOCATIONS for one in properties.get(key, ())):
        for name in ("LocationName", "Sublocation", "City", "ProvinceState", "CountryName"):
            code = {"CountryName": "CountryCode", "LocationName": "LocationId"}.get(name, "")
            yield from _thing(value, f"{EXT}{name}", f"{EXT}{code}")


def _thing(value: Value, name: str, code: str) -> Iterator[dict[str, str]]:
    if isinstance(value, str):
        return
    label, coded = _text(value, name), _text(value, code)
    if label or coded:
        yield {"name": label or coded, **({"code": coded} if coded else {})}


def _text(value: Mapping[str, tuple[Value, ...]], key: str) -> str:
    first = next(iter(value.get(key, ())), "")
    return " ".join(first.split()) if isinstance(first, str) else ""


def _distinct(things: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Return each name once; of two, the one with a code."""
    found: dict[str, dict[str, str]] = {}
    for thing in things:
        key = thing.get("name", thing.get("code", "")).casefold()
        if key not in found or ("code" in thing and "code" not in found[key]):
            found[key] = thing
    return list(found.values())
