"""The tree as a whole: lock files, documents, the demo corpus and what must not lie around."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

import dateline

ROOT = Path(dateline.__file__).parent.parent
DEMO = ROOT / "datasets" / "demo"
LOCKS = [
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-torch.lock",
    "requirements-tensorflow.lock",
    "requirements-build.lock",
    "requirements-gpu.lock",
    "requirements-speech.lock",
]
TORCH = ("torch", "transformers", "sentence-transformers", "triton", "onnxscript")
OURS = re.compile(r"\.(py|js|css|html|md|toml|sh|yml|yaml)$|Makefile$")


def tracked() -> list[Path]:
    """Every file that git has or would take; without git, those of the rooms."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.skip("this is no git checkout")
    names = [name for name in result.stdout.split("\0") if name]
    return [path for name in names if (path := ROOT / name).is_file()]


# --- the folder `datasets`


def test_no_folder_of_ours_can_be_taken_for_the_package_datasets(tmp_path: Path) -> None:
    """Libraries look whether Hugging Face's `datasets` is installed; ours must not seem to be."""
    code = (
        "import importlib.util as u; s = u.find_spec('datasets');"
        "print(list(s.submodule_search_locations or []) if s else [])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-P", "-c", code]
    result = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert str(ROOT / "datasets") not in result.stdout


def test_datasets_hold_no_code() -> None:
    assert list((ROOT / "datasets").rglob("*.py")) == []


# --- lock files


def requirements(name: str) -> dict[str, str]:
    """Each requirement of a lock file by its name, with its lines joined."""
    text = (ROOT / name).read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {re.split(r"[=\[ ;]", line.strip(), maxsplit=1)[0].casefold(): line for line in lines}


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_and_hashed(name: str) -> None:
    found = requirements(name)
    assert len(found) > 3
    for line in found.values():
        assert re.match(r"\s*[\w.-]+(\[[\w, -]+\])?==\S+", line), line
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_file_names_a_host(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|--trusted-host", text)


def test_the_base_install_has_no_torch() -> None:
    base = requirements("requirements.lock")
    assert not set(TORCH) & set(base)
    assert not [package for package in base if package.startswith("nvidia-")]


def test_the_lock_files_agree() -> None:
    """What the base pins, the development install pins at the same version."""
    base, dev = requirements("requirements.lock"), requirements("requirements-dev.lock")
    for package, line in base.items():
        pinned = line.split("--hash")[0].strip()
        assert dev[package].split("--hash")[0].strip() == pinned


def test_the_base_lock_has_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = {re.split(r"[<>=\[ ]", line, maxsplit=1)[0] for line in project["dependencies"]}
    assert names <= set(requirements("requirements.lock"))


# --- documents and leftovers

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)[^)]*\)|!\[[^\]]*\]\(([^)\s]+)[^)]*\)")


def test_relative_links_lead_somewhere() -> None:
    dead = []
    for path in tracked():
        if path.suffix != ".md":
            continue
        text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
        for match in _LINK.finditer(text):
            target = (match[1] or match[2]).partition("#")[0]
            outside = not target or "://" in target or target.startswith("mailto:")
            if not outside and not (path.parent / target).exists():
                dead.append(f"{path.relative_to(ROOT)}: {target}")
    assert dead == []


def test_nothing_is_left_to_do() -> None:
    words = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
    left = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        if OURS.search(path.name)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if words.search(line)
    ]
    assert [place for place in left if not place.startswith("tests/house/")] == []


def test_no_path_of_a_machine_is_in_the_tree() -> None:
    pattern = re.compile(r"(?<![\w.])/(?:home|root|Users)/\w")
    named = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if OURS.search(path.name) and pattern.search(path.read_text("utf-8"))
    ]
    assert [name for name in named if not name.startswith("tests/house/")] == []


def test_test_folders_mirror_the_rooms() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    rooms = set(project["tool"]["importlinter"]["root_packages"])
    assert "customers" in rooms
    assert rooms <= folders
    assert list((ROOT / "tests").rglob("__init__.py")) == []


# --- the demo corpus


def lines(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (DEMO / name).read_text("utf-8").splitlines() if line]


def judgements() -> list[list[str]]:
    rows = (DEMO / "qrels" / "test.tsv").read_text("utf-8").splitlines()
    assert rows[0].split("\t") == ["query-id", "corpus-id", "score"]
    return [row.split("\t") for row in rows[1:]]


def test_every_demo_story_is_a_version_of_its_own() -> None:
    stories = lines("stories.jsonl")
    keys = Counter((story["uri"], str(story["version"])) for story in stories)
    assert [key for key, count in keys.items() if count > 1] == []
    assert len({story["uri"] for story in stories}) >= 100
    assert all(story.get("products") for story in stories)


def test_the_demo_shows_every_state() -> None:
    stories = lines("stories.jsonl")
    states = {story.get("pubStatus", story.get("pubstatus")) for story in stories}
    assert {"usable", "withheld", "canceled"} <= states
    assert any("embargoedUntil" in story or "embargoed" in story for story in stories)
    assert {"text", "picture", "video"} <= {story["type"] for story in stories}


def test_demo_queries_and_judgements_fit_together() -> None:
    queries = [str(query["_id"]) for query in lines("queries.jsonl")]
    assert len(queries) == len(set(queries)) >= 30
    assert all(str(query["text"]).strip() for query in lines("queries.jsonl"))
    uris = {str(story["uri"]) for story in lines("stories.jsonl")}
    rows = judgements()
    assert {query for query, _, _ in rows} == set(queries)
    assert {uri for _, uri, _ in rows} <= uris
    assert len({(query, uri) for query, uri, _ in rows}) == len(rows)
    assert {score for _, _, score in rows} <= {"0", "1", "2"}


def test_demo_examples_are_complete() -> None:
    examples = json.loads((DEMO / "examples.json").read_text("utf-8"))
    assert len(examples) >= 5
    assert all(example["label"] and example["why"] for example in examples)
    assert all(bool(example.get("q")) != bool(example.get("text")) for example in examples)


def test_each_file_that_is_listed_as_long_is_there() -> None:
    lines = (ROOT / "tests" / "long_files.tsv").read_text("utf-8").splitlines()
    named = [line.partition("\t")[0] for line in lines]
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []
