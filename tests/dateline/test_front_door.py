"""`dateline --help` lists every command and loads none."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dateline.cli import COMMANDS, EVAL_COMMANDS, MODELS_COMMANDS, TUNE_COMMANDS, app
from dateline.commands.lazy_group import Entry

pytestmark = pytest.mark.service

ROOT = Path(__file__).parents[2]
HEAVY = {
    *("dbos", "faiss", "fastapi", "httpx", "numpy", "onnxruntime", "opensearchpy", "pydantic"),
    *("sqlalchemy", "tantivy", "tokenizers", "uvicorn"),
}
OF_EXTRAS = {"PIL", "av", "dbos", "fsspec", "huggingface_hub", "openai", "sqlalchemy"}
IN_GROUPS = [
    (COMMANDS, ()),
    (EVAL_COMMANDS, ("eval",)),
    (MODELS_COMMANDS, ("models",)),
    (TUNE_COMMANDS, ("tune",)),
]


def loaded_after(code: str, *arguments: str) -> set[str]:
    """The packages that a process has loaded that ran the code."""
    last = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
    command = [sys.executable, "-P", "-c", last + code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return {name.partition(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_load_no_library_that_is_slow_to_load(argument: str) -> None:
    loaded = loaded_after("from dateline.cli import main; main()", argument)
    assert "typer" in loaded
    assert loaded & HEAVY == set()


def test_no_command_loads_what_belongs_to_an_extra_before_it_runs() -> None:
    loaded = loaded_after(
        "from dateline import cli; from pkgutil import resolve_name; "
        "groups = cli.COMMANDS, cli.EVAL_COMMANDS, cli.MODELS_COMMANDS, cli.TUNE_COMMANDS; "
        "[resolve_name(entry.place) for named in groups for entry in named.values()]"
    )
    assert "dateline" in loaded
    assert loaded & OF_EXTRAS == set()


def test_what_searches_from_the_shell_loads_nothing_that_serves_or_asks_others() -> None:
    loaded = loaded_after("import dateline.commands.search")
    assert {"numpy", "tantivy"} <= loaded
    assert loaded & {"fastapi", "httpx", "onnxruntime", "uvicorn"} == set()


def every_entry() -> Iterator[tuple[tuple[str, ...], Entry]]:
    for entries, group in IN_GROUPS:
        yield from (((*group, name), entry) for name, entry in entries.items())


@pytest.mark.parametrize(("names", "entry"), [*every_entry()])
def test_what_a_group_says_of_a_command_is_what_the_command_says(
    names: tuple[str, ...], entry: Entry
) -> None:
    command = typer.main.get_command(app)
    for name in names:
        command = command.resolve_command(typer.Context(command), [name])[1]
    first = inspect.cleandoc(command.help).split("\n\n")[0]
    assert entry.line == " ".join(first.split())


@pytest.mark.parametrize("names", [names for names, _ in every_entry()])
def test_each_command_explains_itself(names: tuple[str, ...]) -> None:
    top = CliRunner().invoke(app, [*names[:-1], "--help"]).output
    assert names[-1] in top
    result = CliRunner().invoke(app, [*names, "-h"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_the_version_is_that_of_the_package() -> None:
    assert version("dateline-search") in CliRunner().invoke(app, ["--version"]).output


def test_a_command_that_there_is_not_is_a_mistake_of_input() -> None:
    result = CliRunner().invoke(app, ["serch"])
    assert result.exit_code == 2
    assert "search" in result.output
