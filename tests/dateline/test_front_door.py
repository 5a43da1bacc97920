"""`dateline --help` lists every command and loads none."""

from __future__ import annotations

import inspect
import os
import resource
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dateline.cli import (
    CAPACITY_COMMANDS,
    COMMANDS,
    EVAL_COMMANDS,
    MODELS_COMMANDS,
    TUNE_COMMANDS,
    app,
)
from dateline.lazy_group import Entry
from dateline.shadowed import ROOMS

pytestmark = pytest.mark.service

ROOT = Path(__file__).parents[2]
HEAVY = {
    *("faiss", "fastapi", "httpx", "numpy", "onnxruntime", "opensearchpy", "pydantic"),
    *("sqlalchemy", "tantivy", "tokenizers", "uvicorn"),
}
# What serves, what asks others, and what only some archives need.
OF_OTHERS = {
    *("anyio", "faiss", "fastapi", "httpx", "onnxruntime", "sqlalchemy", "starlette", "uvicorn"),
}
OF_EXTRAS = {"PIL", "av", "fsspec", "huggingface_hub", "openai"}
IN_GROUPS = [
    (COMMANDS, ()),
    (CAPACITY_COMMANDS, ("capacity",)),
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
        "groups = cli.COMMANDS, cli.EVAL_COMMANDS, cli.MODELS_COMMANDS, "
        "cli.TUNE_COMMANDS, cli.CAPACITY_COMMANDS; "
        "[resolve_name(entry.place) for named in groups for entry in named.values()]"
    )
    assert "dateline" in loaded
    assert loaded & OF_EXTRAS == set()


def test_what_searches_from_the_shell_loads_nothing_that_serves_or_asks_others() -> None:
    loaded = loaded_after("import dateline.commands.search")
    assert {"numpy", "tantivy"} <= loaded
    assert loaded & (OF_EXTRAS | OF_OTHERS) == set()


@pytest.mark.timed
def test_a_start_takes_little_of_the_processor() -> None:
    """A sixth of a second on a quiet machine: the best of five has room for a busy one."""
    command = [sys.executable, "-P", "-c", "from dateline.cli import main; main()", "--help"]

    def took() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, check=True, timeout=240)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(took() for _ in range(5)) < 1


@pytest.mark.parametrize("name", ["core.py", "api/__init__.py"])
def test_a_module_that_stands_before_one_of_ours_is_named(tmp_path: Path, name: str) -> None:
    theirs = tmp_path / name
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("raise AssertionError('it was imported')")
    done = subprocess.run(
        [sys.executable, "-P", "-c", "from dateline.cli import main; main()", "status"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))},
    )
    assert done.returncode == 3
    assert str(theirs) in done.stderr
    assert "Traceback" not in done.stderr


def test_every_room_is_looked_for() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    assert {*ROOMS, "dateline"} == {*tool["importlinter"]["root_packages"]}


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
