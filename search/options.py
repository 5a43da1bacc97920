"""How an option of a search is declared: once, at its field of `search.answers.SearchRequest`.

The parameters of `GET /content/search`, the options of `dateline search` and the table in
docs/api.md are made from these declarations, so an option can't be missing from one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints


@dataclass(frozen=True, slots=True)
class Option:
    """What callers may set, and how it is told them.

    `name` is the parameter over HTTP, the field's own name if empty. `brief` is the help of the
    shell's option, whose `flag` is made of the name if empty; an option that is not `in_shell` has
    none. A list may have `values`, of which one is a `noun`; `written` ones can't be separated by
    commas in the shell, as they are anybody's words. Numbers are from `least` to `most`, texts have
    `most` characters. `check` raises QueryError. `page` of docs/ says more.
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
        """The parameter over HTTP."""
        return self.option.name or self.member

    @property
    def flag(self) -> str:
        """The option in the shell."""
        return self.option.flag or "--" + self.name.replace("_", "-")


def option(default: Any, told: str, **more: Any) -> Any:
    """A field of a request that callers may set; see `Option`."""
    return field(default=default, metadata={"option": Option(told, **more)})


def declared_by(request: type[Any]) -> Iterator[Declared]:
    """Every option among the fields of `request`, in their order."""
    hints = get_type_hints(request)
    for one in fields(request):
        if found := one.metadata.get("option"):
            kind = hints[one.name]
            plain = kind if isinstance(kind, type) else tuple
            yield Declared(found, one.name, plain, one.default)
