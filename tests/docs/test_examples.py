"""The examples of README and docs/, run as they are written."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from dateline.cli import app
from search.understanding.language import parse
from tests.demo_service import ROOT

pytestmark = pytest.mark.service

PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs/runbooks").glob("*.md")),
]
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
_ROW = re.compile(r"^\| (`.+?`(?:, `.+?`)*) \|", re.MULTILINE)
_ADDRESS = "http://127.0.0.1:8000"


def commands(program: str) -> list[tuple[str, str]]:
    """(page, command) for each line of a console block that runs `program`."""
    found: list[tuple[str, str]] = []
    for page in PAGES:
        for block in _BLOCK.findall(page.read_text()):
            for line in block.splitlines():
                command = line.removeprefix("$ ")
                if line.startswith("$ ") and Path(command.split()[0]).name == program:
                    found.append((page.name, command))
    return found


@pytest.mark.parametrize(("page", "command"), commands("curl"))
def test_each_request_of_the_documentation_is_answered(
    service: str, page: str, command: str
) -> None:
    arguments = shlex.split(command.replace(_ADDRESS, service))
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=240)
    if re.search(r"/renditions/plain|rid=plain", command):
        assert done.stdout.startswith(("Electric ferry",)), (page, done.stdout)
        return
    if re.search(r"/renditions/|/content/rss|=nitf", command):
        assert done.stdout.startswith("<?xml"), (page, done.stdout)
        return
    answer = json.loads(done.stdout)
    assert "error" not in answer, (page, answer)
    if "/content/search" in command:
        assert answer["data"]["items"], (page, "finds nothing")


RUNNABLE = [
    (page, command)
    for page, command in commands("dateline")
    if not re.search(r"[A-Z]{4,}| models pull ", command)  # capitals: what the reader has; fetched
]


@pytest.mark.parametrize(("page", "command"), RUNNABLE)
def test_each_command_of_the_documentation_runs(
    filled_demo: Path, page: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, which has read the libraries already; `service` is made by processes."""
    monkeypatch.chdir(ROOT)
    _, *rest = shlex.split(command, comments=True)
    done = CliRunner().invoke(app, rest, env={"DATELINE_DATA": str(filled_demo)})
    assert done.exit_code == 0, (page, command, done.output)
    assert done.stdout.strip()


@pytest.fixture(scope="module")
def filled_demo(demo_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo corpus in an archive of its own."""
    return shutil.copytree(demo_archive, tmp_path_factory.mktemp("docs") / "data")


def documented_queries() -> list[str]:
    """The first column of the query language's table."""
    page = (ROOT / "docs" / "query-language.md").read_text()
    return [query for row in _ROW.findall(page) for query in re.findall(r"`([^`]+)`", row)]


@pytest.mark.parametrize("query", documented_queries())
def test_each_query_of_the_documentation_is_understood_and_answered(
    service: str, query: str
) -> None:
    assert not parse(query).notes
    answer = httpx.get(
        f"{service}/content/search",
        params={"q": query},
        headers={"x-api-key": "demo-reader"},
        timeout=120,
    ).json()
    assert "error" not in answer
    understood = answer["data"]["understood"]
    # a language that the demo's encoders do not read is noted, and nothing else
    assert len(understood["notes"]) == (understood["language"] not in ("", "en"))


def test_there_is_something_to_test() -> None:
    assert len(commands("curl")) >= 4
    assert len(RUNNABLE) >= 2
    assert len(documented_queries()) >= 15
