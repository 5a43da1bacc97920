"""Where concrete classes may be named. Who may import whom is proved by `lint-imports`."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path

import dateline

ROOT = Path(dateline.__file__).parent.parent
ROOMS = (
    "core",
    "inference",
    "storage",
    "rerank",
    "search",
    "indexing",
    "customers",
    "capacity",
    "eval",
    "api",
    "training",
    "dateline",
)
CONCRETE = {
    "EmbeddedEngine": "storage",
    "OpenSearchEngine": "storage",
    "IndexCheck": "storage",
    "LexicalIndex": "storage",
    "Record": "storage",
    "PostgresRecord": "storage",
    "VectorField": "storage",
    "Projector": "storage",
    "HnswGraph": "storage",
    "Columns": "storage",
    "Analysis": "storage",
    "SentenceEncoder": "inference",
    "NameTagger": "inference",
    "OnnxRuntime": "inference",
    "OpenVinoRuntime": "inference",
    "TorchRuntime": "inference",
    "MaxSimScorer": "inference",
    "RemoteEncoder": "inference",
    "RemoteScorer": "inference",
    "RemoteTagger": "inference",
    "TokenMeter": "inference",
    "CrossEncoder": "inference",
    "PassageEmbedder": "indexing",
    "CagedReader": "indexing",
    "ProviderCaptioner": "indexing",
    "BatchCaptioner": "indexing",
    "PictureCaptioner": "inference",
    "TransitionDetector": "inference",
    "StoredSpend": "storage",
}
COMPOSITION = tuple(sorted((ROOT / "dateline" / "build").rglob("*.py")))


def sources(*rooms: str) -> list[Path]:
    return [path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]


@cache
def nodes(path: Path) -> list[ast.AST]:
    return [*ast.walk(ast.parse(path.read_text("utf-8")))]


def imported(path: Path) -> list[tuple[str, str]]:
    """(module, name) of every import in a file, those inside of functions too."""
    found: list[tuple[str, str]] = []
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.module or "", alias.name) for alias in node.names]
    return found


def test_concrete_classes_are_named_in_build_only() -> None:
    strangers = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources(*(room for room in ROOMS if room != "training"))
        if path not in COMPOSITION
        for _, name in imported(path)
        if CONCRETE.get(name, path.relative_to(ROOT).parts[0]) != path.relative_to(ROOT).parts[0]
    ]
    assert strangers == []


def test_build_names_them() -> None:
    """The list above is of classes that there are."""
    named = {name for path in COMPOSITION for _, name in imported(path)}
    assert {"EmbeddedEngine", "SentenceEncoder", "NameTagger", "MaxSimScorer"} <= named
    defined = {
        node.name
        for path in sources(*ROOMS)
        for node in nodes(path)
        if isinstance(node, ast.ClassDef)
    }
    assert set(CONCRETE) <= defined


def test_serving_and_evaluation_get_the_same_pipeline() -> None:
    """One place makes a SearchPipeline, and neither `api` nor `eval` makes parts of one."""
    makers = []
    for path in sources(*ROOMS):
        for node in nodes(path):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Name) and called.id in ("SearchPipeline", "Parts"):
                makers.append((path.relative_to(ROOT).as_posix(), called.id))
    assert sorted(makers) == [
        ("dateline/build/service.py", "Parts"),
        ("dateline/build/service.py", "SearchPipeline"),
    ]
    evaluating = {name for _, name in imported(ROOT / "dateline" / "measuring" / "evaluate.py")}
    serving = {name for _, name in imported(ROOT / "dateline" / "serving" / "front.py")}
    assert "build_service" in evaluating & serving


def test_the_contract_of_commands_names_every_command() -> None:
    """What several commands share is in `options`, in the flags of a group, or below."""
    shared = {"__init__", "flags", "options"}
    files = (ROOT / "dateline" / "commands").rglob("*.py")
    commands = [path.relative_to(ROOT) for path in files if path.stem not in shared]
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (contract,) = (one for one in tool["contracts"] if one["type"] == "independence")
    assert contract["modules"] == sorted(".".join(path.with_suffix("").parts) for path in commands)


def test_all_pools_carry_the_context() -> None:
    """A trace would break at a pool of another class than `core.threads.Threads`."""
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    makers = [path for path in files if "ThreadPoolExecutor" in path.read_text("utf-8")]
    assert makers == [ROOT / "core/threads.py"]
