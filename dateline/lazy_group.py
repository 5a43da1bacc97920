"""A group of commands that lists them without importing them, so that `dateline --help` loads no
library that only a command needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class Entry:
    """What a group knows of a command before it is imported."""

    place: str  # MODULE:NAME of the command's function, or of the Typer of a group
    line: str  # the first paragraph of its help
    panel: str | None = None  # the heading in the group's help
    bare_is_help: bool = False  # without arguments it shows its help


def lazy_group(text: str, entries: Mapping[str, Entry], **attributes: Any) -> typer.Typer:
    """Return a group of the commands `entries`, by name; `text` is its help."""

    class Group(LazyGroup):
        """The group of these entries."""

        contents = entries

    group = typer.Typer(
        cls=Group, help=text, no_args_is_help=True, pretty_exceptions_enable=False, **attributes
    )
    group.callback()(_nothing)
    return group


def _nothing() -> None:
    """Tell Typer that this is a group: it has no command yet."""


class LazyGroup(TyperGroup):
    """Lists its commands by their entries, and imports the one that is run."""

    contents: ClassVar[Mapping[str, Entry]]

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in self.contents.items():
            self.add_command(TyperCommand(name, help=entry.line, rich_help_panel=entry.panel))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """Return the command's name, the command, and the arguments for it."""
        name, listed, rest = super().resolve_command(ctx, args)
        if name is None:  # the shell asks what it could become
            return name, listed, rest
        return name, _imported(name, self.contents[name]), rest


def _imported(name: str, entry: Entry) -> Any:
    """Import the command and return it."""
    found = resolve_name(entry.place)
    if isinstance(found, typer.Typer):
        return typer.main.get_group(found)
    alone = typer.Typer(add_completion=False)
    alone.command(name, no_args_is_help=entry.bare_is_help)(found)
    return typer.main.get_command(alone)
