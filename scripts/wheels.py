"""Build the wheels of a release into dist/: the code, and the models in packages of their own.

A package index takes files of 100 MB at most; code and models together are more. The code's wheel
requires those of the models in the same version, so one command installs all of them:

    pip install dateline-search --find-links dist

`pip install .` in a clone still makes one wheel of everything: no index limits it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tomlkit

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
LIMIT = 100_000_000  # bytes of a wheel
MODELS = "share/dateline/models/"  # where data files of models are installed
FILE = "pyproject.toml"


def main() -> None:
    """Build all wheels, and fail if one is over the limit."""
    shutil.rmtree(DIST, ignore_errors=True)
    with TemporaryDirectory() as folder:
        for package in model_packages():
            _build(_model_tree(package, Path(folder, package.name)))
        _build(_code_tree(Path(folder, "code")))
    wheels = sorted(DIST.glob("*.whl"))
    for wheel in wheels:
        print(f"{wheel.stat().st_size / 1e6:6.1f} MB  {wheel.relative_to(ROOT)}")
    if any(wheel.stat().st_size > LIMIT for wheel in wheels):
        sys.exit(f"a wheel has over {LIMIT / 1e6:.0f} MB: move a model to another package")


def model_packages() -> list[Path]:
    """Return the folders of the packages of models."""
    return sorted(path.parent for path in (ROOT / "packaging").glob(f"*/{FILE}"))


def settings(folder: Path) -> dict[str, Any]:
    """Return what a folder's pyproject.toml says."""
    return tomllib.loads((folder / FILE).read_text("utf-8"))


def models_in(folder: Path) -> list[str]:
    """Return the names of the models that a project installs."""
    files = settings(folder)["tool"]["setuptools"]["data-files"]
    return [name.removeprefix(MODELS) for name in files if name.startswith(MODELS)]


def rooms() -> list[str]:
    """Return the names of the top-level packages."""
    patterns = settings(ROOT)["tool"]["setuptools"]["packages"]["find"]["include"]
    return [pattern.removesuffix("*") for pattern in patterns]


def code_settings() -> str:
    """Return the code's pyproject.toml without the models, which it requires as packages."""
    text: Any = tomlkit.parse((ROOT / FILE).read_text("utf-8"))
    project = text["project"]
    files = text["tool"]["setuptools"]["data-files"]
    for name in models_in(ROOT):
        del files[MODELS + name]
    for package in model_packages():
        name = settings(package)["project"]["name"]
        project["dependencies"].append(f"{name}=={project['version']}")
    return str(tomlkit.dumps(text))


def _code_tree(to: Path) -> Path:
    """Return a copy of the code's project with these settings."""
    to.mkdir()
    (to / FILE).write_text(code_settings(), "utf-8")
    for file in ("README.md", "LICENSE"):
        shutil.copy(ROOT / file, to)
    for name in rooms():
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "datasets" / "demo", to / "datasets" / "demo")
    return to


def _model_tree(package: Path, to: Path) -> Path:
    """Return a copy of a package of models, with its models and the version of the code."""
    shutil.copytree(package, to)
    (to / "VERSION").write_text(settings(ROOT)["project"]["version"], "utf-8")
    shutil.copy(ROOT / "LICENSE", to)
    for name in models_in(package):
        shutil.copytree(ROOT / "models" / name, to / "models" / name)
    return to


def _build(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel"]
    how = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(DIST)]
    subprocess.run([*pip, *how, str(folder)], check=True)  # noqa: S603 - our own command


if __name__ == "__main__":
    main()
