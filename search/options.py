"""Declares the options of a search, each once, at its field of `search.answers.SearchRequest`.

The parameters of `GET /content/search`, the options of `dateline search` and the table in
docs/api.md are made from these declarations, so that none of them can lack an option.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints


@dataclass(frozen=True, slots=True)
class Option:
    """An option that callers may set, and its help texts.

    `name` is the HTTP parameter, by default the field's name. `brief` is the help of the shell's
    option, and `flag` its name, by default made of `name`; an option that is not `in_shell` has no
    flag. A list may have `values`, each called a `noun`; a `written` list has free texts, which the
    shell does not split at commas. Numbers go from `least` to `most`, texts have at most `most`
    characters. `check` raises QueryError. `page` is the page of docs/ that says more.
    """

    help: str
    name: str = ""
    brief: str = ""
    flag: str = ""
    in_shell: bool = True
    shell_default: Any = None
    values: tuple[str, ...] = ()
    noun: str = ""
    written: bool = False
    least: int | None = None
    most: int | None = None
    check: Callable[[str], object] | None = None
    page: str = ""


@dataclass(frozen=True, slots=True)
class Declared:
    """An option of a search: its `member` of the request, its `kind` (str, bool, int, tuple for a
    list of texts, or a StrEnum), and its default.
    """

    option: Option
    member: str
    kind: type[Any]
    default: Any

    @property
    def name(self) -> str:
        """The name of the HTTP parameter."""
        return self.option.name or self.member

    @property
    def flag(self) -> str:
        """The name of the shell's option."""
        return self.option.flag or "--" + self.name.replace("_", "-")


def option(default: Any, told: str, **more: Any) -> Any:
    """Return a field of a request that callers may set; `Option` says what `more` takes."""
    return field(default=default, metadata={"option": Option(told, **more)})


def declared_by(request: type[Any]) -> Iterator[Declared]:
    """Yield every option among the fields of `request`, in order."""
    hints = get_type_hints(request)
    for one in fields(request):
        if found := one.metadata.get("option"):
            kind = hints[one.name]
            plain = kind if isinstance(kind, type) else tuple
            yield Declared(found, one.name, plain, one.default)
