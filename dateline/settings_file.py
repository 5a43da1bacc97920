"""Changes single settings in dateline.toml and leaves every other line unchanged.

tomlkit edits; only top-level settings with plain values are written. Each edit is checked: the new
text is parsed, and must have the old values with these changes.
"""

from __future__ import annotations

import difflib
import json
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from core.errors import SettingsError
from dateline.settings import FILE, Settings, first_fault, read_toml

Plain = str | int | float | bool


def write_settings(path: Path, values: Mapping[str, Plain]) -> str:
    """Set `values` in the file at `path` (or in the folder's dateline.toml), which need not exist
    yet, and return the change as a unified diff, "" without a change.

    The file is replaced in one step and keeps its permissions. Raises SettingsError for an unknown
    name, a value that does not fit, or a file that can't be read, written or safely edited.
    """
    path = (path / FILE if path.is_dir() else path).resolve()
    before, tree = read_toml(path)
    _check(values, path)
    changed = {
        name: value
        for name, value in values.items()
        if tree.get(name) != value or type(tree.get(name)) is not type(value)
    }
    after = _edited(before, changed) if changed else before
    _prove(after, {**tree, **values}, values, path)
    if after != before:
        _replace(path, after)
    return _diff(before, after, path.name)


def _check(values: Mapping[str, Plain], path: Path) -> None:
    try:
        Settings.model_validate(dict(values))
    except ValidationError as error:
        name, says, _ = first_fault(error)
        raise SettingsError(f"{name}: {says}", where=str(path)) from error


def _edited(text: str, values: Mapping[str, Plain]) -> str:
    """Return the text with changed settings. New lines come first, before any table begins."""
    import tomlkit

    document, new = tomlkit.parse(text), tomlkit.document()
    for name, value in values.items():
        (document if name in document else new)[name] = value
    lines = str(tomlkit.dumps(new))
    if "\r\n" in text:
        lines = lines.replace("\n", "\r\n")
    return lines + str(tomlkit.dumps(document))


def _prove(text: str, wanted: object, values: Mapping[str, Plain], path: Path) -> None:
    try:
        if tomllib.loads(text) == wanted:
            return
    except tomllib.TOMLDecodeError:
        pass
    by_hand = ", ".join(f"{name} = {json.dumps(value)}" for name, value in values.items())
    raise SettingsError(
        "can't be edited safely, because of how it is written",
        where=str(path),
        mend=f"set by hand: {by_hand}",
    )


def _replace(path: Path, text: str) -> None:
    """Write a file beside it and rename that; it has the old file's permissions from the start,
    because it may hold keys.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch(mode=0o600)
        if path.exists():
            shutil.copymode(path, part)
        else:
            part.chmod(0o644)
        part.write_bytes(text.encode("utf-8"))
        part.replace(path)
    except OSError as error:
        raise SettingsError(f"can't be written: {error}", where=str(path)) from error


def _diff(before: str, after: str, name: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"{name} before", f"{name} after", lineterm="", n=1
    )
    return "\n".join(lines)
