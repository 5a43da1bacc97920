"""A mapping file: which column of a table, or which path of a document, is which member of ninjs?

    ignore = ["internal_note"]                    # columns that are known and left out

    [csv]
    delimiter = ";"
    encoding = "cp1252"

    [constants]                        # members of rows whose columns have no value for them
    type = "text"
    products = ["wire"]

    [columns]
    id = { member = "uri", prefix = "urn:example:" }
    title = "headline"
    published = { member = "versioncreated", date = "%d.%m.%Y %H:%M", zone = "Europe/Berlin" }
    tags = { member = "subject", separator = "," }
    "meta.author" = "byline"

A column that is not mapped is left out with a warning. If its name could mean an embargo and it has
a value, the row is rejected. docs/formats.md has every option.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import DocumentError, InputError
from indexing import boundary, ninjs
from indexing.formats.entries import Entry, Row, Tree, entry

_MAX_BYTES = 1024 * 1024
_THINGS = frozenset(
    {"subject", "subjects", "person", "people", "organisation", "organisations", "place", "places"}
    | {"genre", "genres", "infosource", "infosources"}
)
_LISTS = frozenset({"products", "rights", "signals"})
_NUMBERS = frozenset({"urgency", "charcount", "wordcount"})
_EMBARGOES = frozenset({"embargoed", "embargoeduntil"})
_ADDRESSES = frozenset({"_id", "_index", "_routing"})  # the place of a document in its old index
_SPOKEN = ("name", "code")
_UNIX = {"unix": 1, "unix_ms": 1000}


class _File(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Column(_File):
    """What becomes of a column's values."""

    member: str
    prefix: str = ""
    separator: str = ""
    join: str | None = None
    date: str | list[str] | None = None
    zone: str = ""
    values: dict[str, str] = {}
    optional: bool = False


class Csv(_File):
    """How a table is written as text."""

    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    encoding: str = "utf-8-sig"
    quote: bool = True


class _MappingFile(_File):
    ignore: list[str] = []
    csv: Csv = Csv()
    constants: dict[str, Any] = {}
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """One column or path, the member that it becomes, the part of that member, and how."""

    path: str
    member: str
    part: str
    column: Column
    zone: tzinfo | None

    @property
    def plain(self) -> str:
        """The member's name as the check of ninjs knows it."""
        return self.member.lower().removeprefix("$")


@dataclass(frozen=True, slots=True)
class RowMapping:
    """A mapping file that was read and checked."""

    rules: tuple[Rule, ...]
    constants: Mapping[str, Any]
    ignored: frozenset[str]
    csv: Csv

    def needed(self) -> tuple[str, ...]:
        """Return the columns that a table must have."""
        return tuple(rule.path for rule in self.rules if not rule.column.optional)


def read(path: Path) -> RowMapping:
    """Return the mapping in a TOML file. Raises InputError."""
    try:
        data = path.read_bytes()
        if len(data) > _MAX_BYTES:
            raise InputError(f"a mapping has at most {_MAX_BYTES:,} bytes", where=str(path))
        return parse(data.decode())
    except OSError as error:
        raise InputError(
            f"can't be read: {error.strerror}", where=str(path), mend="name the file of the mapping"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"no TOML: {error}", where=str(path), mend="docs/formats.md has an example"
        ) from error
    except InputError as error:
        raise InputError(
            error.what, where=f"{path} {error.where}".strip(), mend=error.mend
        ) from error


def parse(text: str) -> RowMapping:
    """Return the mapping in a TOML text. Raises InputError, and ValueError for what is not TOML."""
    try:
        told = _MappingFile.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise _mistake(error, "") from error
    rules = tuple(_rules(told.columns, ""))
    _check_members(rules, told.constants)
    return RowMapping(rules, told.constants, frozenset(told.ignore), told.csv)


def document(row: Row, mapping: RowMapping | None) -> Entry:
    """Return the ninjs that a row becomes. Without a mapping it is ninjs, and its `_id` is the uri
    that it lacks.
    """
    if row.error is not None:
        return Entry(row.line, error=row.error)
    if mapping is None:
        rest = {name: value for name, value in row.values.items() if name not in _ADDRESSES}
        named = {"uri": str(row.values.get("_id", "")) or None, **rest}
        return entry(row.line, lambda _: named, row.size)
    return entry(row.line, partial(_mapped, row, mapping), row.size)


def _rules(columns: Mapping[str, Any], above: str) -> Iterator[Rule]:
    """Yield a rule for each column; a table without `member` holds the columns below a path."""
    for name, told in columns.items():
        path = f"{above}{name}"
        if isinstance(told, dict) and not isinstance(told.get("member"), str):
            yield from _rules(told, f"{path}.")
            continue
        try:
            column = Column.model_validate({"member": told} if isinstance(told, str) else told)
        except ValidationError as error:
            raise _mistake(error, path) from error
        yield _rule(path, column)


def _rule(path: str, column: Column) -> Rule:
    member, _, part = column.member.partition(".")
    zone: tzinfo | None = None
    if column.zone:
        try:
            zone = ZoneInfo(column.zone)
        except (ValueError, OSError, KeyError) as error:
            what = f"no such time zone: {column.zone}"
            raise InputError(what, where=path, mend='such as "Europe/Berlin"') from error
    rule = Rule(path, member, part, column, zone)
    is_thing = rule.plain in _THINGS and part in _SPOKEN
    if part and not (is_thing or rule.plain == "altids"):
        raise InputError(
            f"{column.member} is no member that a column can fill",
            where=path,
            mend="only subject.code and its like, and altids.ROLE, have parts",
        )
    return rule


def _check_members(rules: Sequence[Rule], constants: Mapping[str, Any]) -> None:
    """Raise InputError for a member that ninjs does not know, or that two columns fill."""
    filled: set[str] = set()
    for rule in rules:
        _check_member(rule.member, rule.path)
        name = f"{rule.plain}.{rule.part}" if rule.part else rule.plain
        if name in filled and rule.plain not in _THINGS | _LISTS:
            raise InputError(f"two columns become {name}", where=rule.path, mend="map one of them")
        filled.add(name)
    for name in constants:
        _check_member(name, "constants")
    if "uri" not in filled and "uri" not in constants:
        raise InputError("no column becomes uri", where="columns", mend='id = "uri"')


def _check_member(member: str, where: str) -> None:
    known, _, _ = boundary.names({member: "x"})
    if not known:
        near = get_close_matches(member.lower(), boundary.Document.model_fields, n=1, cutoff=0.6)
        mend = f"did you mean {near[0]}?" if near else "docs/formats.md lists the members"
        raise InputError(f"ninjs has no member {member}", where=where, mend=mend)


_MISTAKES = {"missing": "this is missing", "extra_forbidden": "a mapping has no such name"}


def _mistake(error: ValidationError, where: str) -> InputError:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    unknown = (one for one in found if one["type"] == "extra_forbidden")
    first = next(unknown, found[0])  # a misspelt name is why another one is missing
    place = ".".join(filter(None, (where, *map(str, first["loc"]))))
    return InputError(
        _MISTAKES.get(first["type"], first["msg"]),
        where=place,
        mend="docs/formats.md has every option",
    )


def _mapped(row: Row, mapping: RowMapping, notes: list[str]) -> Tree:
    tree: Tree = {}
    for rule in mapping.rules:
        value = at(row.values, rule.path)
        if _says_nothing(value, rule, is_table=row.is_table):
            continue
        try:
            _fill(tree, rule, value)
        except DocumentError as error:
            raise DocumentError(error.what, field=rule.path, mend=error.mend) from error
    notes += _left_out(row, mapping)
    spoken = boundary.names(tree)[1]
    rest = {
        name: value
        for name, value in mapping.constants.items()
        if not set(boundary.names({name: value})[1]) & set(spoken)
    }
    return {**rest, **tree}


def at(values: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path; of a list on the way, the values of its entries."""
    if path in values:
        return values[path]
    head, _, rest = path.partition(".")
    while rest:
        if head in values:
            return _below(values[head], rest)
        name, _, rest = rest.partition(".")
        head = f"{head}.{name}"
    return None


def _below(value: Any, path: str) -> Any:
    if isinstance(value, Mapping):
        return at(value, path)
    if isinstance(value, list):
        found = (_below(entry, path) for entry in value)
        return [entry for entry in found if entry is not None] or None
    return None


def _says_nothing(value: Any, rule: Rule, *, is_table: bool) -> bool:
    """Return whether there is no value. An empty embargo of a document counts as a value: it is
    refused.
    """
    if isinstance(value, str) and not value.strip():
        return is_table or rule.plain not in _EMBARGOES
    return value is None or value == []


def _fill(tree: Tree, rule: Rule, value: Any) -> None:
    """Put a value into the document."""
    if rule.plain in _THINGS:
        tree.setdefault(rule.member, []).extend(_things(rule, value))
    elif rule.plain in _LISTS:
        tree.setdefault(rule.member, []).extend(_text(rule, one) for one in _several(rule, value))
    elif rule.plain == "altids" and rule.part:
        tree.setdefault(rule.member, {})[rule.part] = _text(rule, value)
    elif rule.plain in _NUMBERS:
        tree[rule.member] = _number(value)
    elif isinstance(value, (list, dict)) and rule.column.join is None:
        tree[rule.member] = value
    elif rule.column.join is not None:
        tree[rule.member] = rule.column.join.join(_text(rule, one) for one in _several(rule, value))
    else:
        tree[rule.member] = _text(rule, value)


def _things(rule: Rule, value: Any) -> Iterator[Tree]:
    for one in _several(rule, value):
        if isinstance(one, dict):
            yield one
        else:
            yield {rule.part or "name": _text(rule, one)}


def _several(rule: Rule, value: Any) -> list[Any]:
    """Return the values of a list, or of a text with separators."""
    if isinstance(value, list):
        return value
    if isinstance(value, str) and rule.column.separator:
        return [part.strip() for part in value.split(rule.column.separator) if part.strip()]
    return [value]


def _number(value: Any) -> float:
    try:
        number = float(value)
        return int(number) if number.is_integer() else number
    except (TypeError, ValueError, OverflowError) as error:
        raise DocumentError(f"no number: {_shown(value)}") from error


def _text(rule: Rule, value: Any) -> str:
    """Return a single value as text."""
    column = rule.column
    if column.date is not None or rule.zone is not None or isinstance(value, (date, datetime)):
        return _moment(rule, value)
    if value is None or isinstance(value, (bool, bytes, list, dict)):
        raise DocumentError(f"no text: {_shown(value)}")
    text = str(value).strip()
    if column.values:
        try:
            return column.values[text]
        except KeyError as error:
            raise DocumentError(
                f"a value that the mapping does not list: {_shown(text)}", mend="add it to values"
            ) from error
    return f"{column.prefix}{text}"


def _moment(rule: Rule, value: Any) -> str:
    """Return a date as RFC 3339. One without a zone is in the rule's zone."""
    formats = rule.column.date
    moment: date | None = value if isinstance(value, date) else None
    for form in [formats] if isinstance(formats, str) else formats or []:
        moment = moment or _parsed(str(value).strip(), form)
    if moment is None and not formats:
        moment = _iso(str(value).strip())
    if moment is None:
        raise DocumentError(f"no date in the mapping's format: {_shown(value)}")
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    if moment.tzinfo is None and rule.zone is not None:
        moment = moment.replace(tzinfo=rule.zone)
    return moment.isoformat()


def _parsed(text: str, form: str) -> datetime | None:
    try:
        if form in _UNIX:
            return datetime.fromtimestamp(float(text) / _UNIX[form], UTC)
        return datetime.strptime(text, form)
    except (ValueError, OverflowError, OSError):
        return None


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _left_out(row: Row, mapping: RowMapping) -> Iterator[str]:
    """Yield a note for each value that no rule reads. Raises DocumentError for an embargo."""
    read_paths = {rule.path for rule in mapping.rules} | mapping.ignored | _ADDRESSES
    left = list(dict.fromkeys(_paths(row.values, "", read_paths)))
    ninjs.refuse_unread_embargo(path.rpartition(".")[2] for path in left)
    yield from (f"not mapped, left out: {path}" for path in left)


def _paths(values: Mapping[str, Any], above: str, read_paths: set[str]) -> Iterator[str]:
    """Yield the paths of values that are in no path that is read."""
    for name, value in values.items():
        path = f"{above}{name}"
        if path in read_paths or value in (None, "", [], {}):
            continue
        if isinstance(value, dict):
            yield from _paths(value, f"{path}.", read_paths)
        elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
            for one in value:
                yield from _paths(one if isinstance(one, dict) else {}, f"{path}.", read_paths)
        else:
            yield path


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
