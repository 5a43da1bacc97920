"""The wheels of a release: `make wheels` builds them and measures them."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from scripts.wheels import (
    DIST,
    LIMIT,
    ROOT,
    code_settings,
    main,
    model_packages,
    models_in,
    rooms,
    settings,
)
from tests.dateline.conftest import DOCUMENTS, write_lines

NOWHERE = "http://127.0.0.1:9"  # nothing listens there
PROXIES = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), NOWHERE)


def test_every_room_is_in_the_wheel_of_the_code() -> None:
    assert sorted(rooms()) == sorted(settings(ROOT)["tool"]["importlinter"]["root_packages"])


def test_what_is_no_code_is_in_the_wheel_of_the_code_too() -> None:
    """A file that moves with its package is easily left out."""
    setuptools = settings(ROOT)["tool"]["setuptools"]
    listed = {
        path
        for package, patterns in setuptools["package-data"].items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    there = {path for room in rooms() for path in (ROOT / room).rglob("*") if path.is_file()}
    others = {path for path in there if path.suffix not in (".py", ".pyc", ".md")}
    assert others == {path for path in listed if path.is_file() and path.suffix != ".py"}


def test_each_model_is_in_one_package() -> None:
    listed = [name for package in model_packages() for name in models_in(package)]
    assert sorted(listed) == sorted(models_in(ROOT))


@pytest.mark.parametrize("package", model_packages(), ids=lambda package: package.name)
def test_no_package_of_models_is_over_the_limit(package: Path) -> None:
    folders = [ROOT / "models" / name for name in models_in(package)]
    files = [file for folder in folders for file in folder.iterdir()]
    assert 0 < sum(file.stat().st_size for file in files) < LIMIT  # a wheel is no larger


def test_the_code_requires_the_models_in_its_own_version_and_has_none() -> None:
    code, whole = tomllib.loads(code_settings()), settings(ROOT)
    version = whole["project"]["version"]
    names = [settings(package)["project"]["name"] for package in model_packages()]
    added = [f"{name}=={version}" for name in names]
    assert code["project"].pop("dependencies") == whole["project"].pop("dependencies") + added
    assert code["project"] == whole["project"]
    assert list(code["tool"]["setuptools"]["data-files"]) == ["share/dateline/demo"]


@pytest.mark.deep
@pytest.mark.service
def test_what_pip_installs_answers_its_first_search_without_a_network(tmp_path: Path) -> None:
    """Pip fetches the dependencies, as for any package; Dateline fetches nothing."""
    main()
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "dateline-search", "--find-links", DIST], check=True)
    wire = write_lines(tmp_path / "wire.jsonl", *DOCUMENTS)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DATELINE_")}
    variables = {**kept, **PROXIES, "HOME": str(tmp_path), "HF_ENDPOINT": NOWHERE}

    def dateline(*arguments: str | Path) -> str:
        command = [python.parent / "dateline", *arguments, "--data", tmp_path / "archive"]
        done = subprocess.run(
            command, check=True, env=variables, cwd=tmp_path, capture_output=True, text=True
        )
        return done.stdout + done.stderr

    dateline("ingest", wire, "--products", "demo")
    answer = dateline("search", "ship ran aground", "--profile", "hybrid-rerank")
    assert "Ferry aground" in answer
    assert "not loaded" not in answer
