from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dateline.cli import app
from tests.conftest import new_folder

DOCUMENTS: list[dict[str, Any]] = [
    {
        "uri": "urn:ferry",
        "version": "1",
        "type": "text",
        "versioncreated": "2024-03-05T07:30:00Z",
        "headline": "Ferry aground",
        "body_text": "The ferry is aground off Kalymira. Nobody was hurt.",
        "place": [{"name": "Kalymira"}],
    },
    {
        "uri": "urn:photo",
        "version": "1",
        "type": "picture",
        "versioncreated": "2024-02-05T07:30:00Z",
        "headline": "Ferry at the quay",
        "description_text": "A [bold]ferry[/] at the quay.",
    },
    {
        "uri": "urn:bank",
        "version": "1",
        "type": "text",
        "versioncreated": "2023-12-31T23:30:00Z",
        "headline": "Bank raises rates",
        "body_text": "Borrowing becomes dearer.",
        "person": [{"name": "Angela Merkel"}],
    },
]


@dataclass(frozen=True)
class Cli:
    """The command line in this process, on one archive."""

    data: Path

    def __call__(self, *arguments: str | Path, code: int | None = 0) -> Result:
        named = [str(argument) for argument in arguments]
        result = CliRunner().invoke(app, [*named, "--data", str(self.data)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert code is None or result.exit_code == code, result.output
        return result

    def json(self, *arguments: str | Path, code: int | None = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code).stdout)

    def found(self, *arguments: str) -> list[str]:
        """The uris that a search finds, in order."""
        answer = self.json("search", *arguments)
        return [entry["item"]["uri"] for entry in answer["data"]["items"]]


def write_lines(path: Path, *documents: dict[str, Any] | str) -> Path:
    lines = [d if isinstance(d, str) else json.dumps(d) for d in documents]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings from outside; without the tagger and the second encoder, which few of these
    tests need.
    """
    for variable in [name for name in os.environ if name.startswith("DATELINE_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("DATELINE_TAGGER", "")
    monkeypatch.setenv("DATELINE_SECOND_ENCODER", "")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cli(folder: Path) -> Cli:
    """The command line on an archive that is not there yet."""
    return Cli(folder / "archive")


@pytest.fixture(scope="module")
def filled() -> Iterator[Path]:
    """A folder with an archive of DOCUMENTS, to read from or to copy."""
    folder = new_folder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATELINE_TAGGER", "")
        patch.setenv("DATELINE_SECOND_ENCODER", "")
        wire = write_lines(folder / "wire.jsonl", *DOCUMENTS)
        Cli(folder / "archive")("ingest", wire, "--products", "demo")
    yield folder / "archive"
    shutil.rmtree(folder)


@pytest.fixture
def reading(filled: Path) -> Cli:
    """The command line on the filled archive: for tests that change nothing."""
    return Cli(filled)


@pytest.fixture
def writing(filled: Path, folder: Path) -> Cli:
    """The command line on a copy of the filled archive."""
    shutil.copytree(filled, folder / "copy")
    return Cli(folder / "copy")
