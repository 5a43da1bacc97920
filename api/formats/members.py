"""Which members of an item an answer shows: `include` and `exclude`, by names and dotted paths.

`subject.name` is the name of each subject, `renditions.nitf` one rendition, `*` every member.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from api.formats.ap_contract import CONTENT_ITEM
from api.formats.carried import of_the_same_item
from api.formats.fitting import GONE, Schema
from core.media_words import MEDIA_WORDS
from indexing.boundary import Document

EVERYTHING = "*"
# Members that the contract does not name: ours, and the texts of ninjs 1.x.
_MEDIA = ("shots", "machine_caption", *MEDIA_WORDS)
_OURS = ("chain", "rights", *_MEDIA, "body_text", "meta", "arrived")
_SUFFIXED = ("body_", "description_", "headline_")
_KNOWN = frozenset({*CONTENT_ITEM["properties"], *_OURS, *Document.model_fields})
# Members of concepts and renditions in ninjs, beside those that the contract names.
_INSIDE = frozenset(
    "rel uri literal name role value contactinfo contenttype duration digest by schemes".split()  # noqa: SIM905
)
Path = Sequence[str]


def known_members(names: list[str]) -> list[str]:
    """Return `names` of members, each once. Raises ValueError for one that no item of ours can
    have, with the nearest name.
    """
    for name in names:
        if name != EVERYTHING:
            _check(name)
    return list(dict.fromkeys(names))


def _check(name: str) -> None:
    head, *rest = name.split(".")
    plain = head.lower().removeprefix("$")
    if plain not in _KNOWN and not plain.startswith(_SUFFIXED):
        raise ValueError(_unknown(head, "member of an item", _KNOWN))
    schema: Schema = CONTENT_ITEM["properties"].get(plain, {})
    for part in rest:
        if schema.get("type") in ("string", "integer", "number", "boolean") or not part:
            raise ValueError(f"'{name[:80]}' leads into a value that has no members")
        schema = _inner(schema, part)


def _inner(schema: Schema, part: str) -> Schema:
    """Return the schema of a member below; an empty one allows everything."""
    while schema.get("type") == "array":
        schema = schema["items"]
    known: Mapping[str, Schema] = schema.get("properties", {})
    if known and part not in known and part not in _INSIDE:
        raise ValueError(_unknown(part, "member there", known))
    others = schema.get("additionalProperties", {})
    return known.get(part) or (others if isinstance(others, Mapping) else {})


def _unknown(name: str, what: str, known: Collection[str]) -> str:
    near = get_close_matches(name.lower(), sorted(known), n=1, cutoff=0)
    return f"'{name[:80]}' is no {what}; the nearest is '{near[0]}'"


def heads_of(names: Iterable[str]) -> frozenset[str]:
    """Return the members that names and paths begin with."""
    return frozenset(name.partition(".")[0] for name in names)


def picked(
    members: Mapping[str, Any], include: Collection[str], exclude: Collection[str]
) -> dict[str, Any]:
    """Return the members without what paths of several parts leave out. Whole members are chosen
    before they are made.
    """
    kept = dict(members)
    for head in heads_of(name for name in include if "." in name):
        if head in kept and head not in include:
            _put(kept, head, _only(kept[head], _below(include, head)))
    for head in heads_of(name for name in exclude if "." in name):
        if head in kept:
            _put(kept, head, _without(kept[head], _below(exclude, head)))
    return kept


def _put(members: dict[str, Any], name: str, value: Any) -> None:
    if value is GONE:
        del members[name]
    else:
        members[name] = value


def _below(names: Iterable[str], head: str) -> list[Path]:
    """Return the paths below a member, in parts."""
    paths = (name.split(".") for name in names)
    return [path[1:] for path in paths if path[0] == head and len(path) > 1]


def _only(value: Any, paths: Sequence[Path]) -> Any:
    """Return the members that the paths name; GONE if there are none."""
    if any(not path for path in paths):
        return value
    if isinstance(value, list):
        entries = [entry for one in value if (entry := _only(one, paths)) is not GONE]
        return entries or GONE
    if not isinstance(value, Mapping):
        return GONE
    below: dict[str, list[Path]] = {}
    for path in paths:
        below.setdefault(path[0], []).append(path[1:])
    chosen = {name: _only(value[name], below[name]) for name in value if name in below}
    kept = {name: member for name, member in chosen.items() if member is not GONE}
    return of_the_same_item(value, kept) if kept else GONE


def _without(value: Any, paths: Sequence[Path]) -> Any:
    """Return a value without what the paths lead to; GONE if they lead to it."""
    if any(not path for path in paths):
        return GONE
    if isinstance(value, list):
        return [_without(entry, paths) for entry in value]
    if not isinstance(value, Mapping):
        return value
    kept = of_the_same_item(value, dict(value))
    for name in {path[0] for path in paths} & kept.keys():
        _put(kept, name, _without(kept[name], [path[1:] for path in paths if path[0] == name]))
    return kept
