"""Every error of the cluster engine says how to mend it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import core.errors
import storage.opensearch
from storage.opensearch.nodes.connection import error_of

FOLDER = Path(storage.opensearch.__file__).parent
NAMES = {name for name in vars(core.errors) if name.endswith("Error")} | {
    "AwayError",
    "BlockedError",
    "MissingError",
    "MovedError",
    "SlowError",
    "StaleError",
}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_no_error_is_without_a_mend(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if _is_error(node)]
    bare = [
        f"{path.name}:{call.lineno}"
        for call in calls
        if isinstance(call, ast.Call) and "mend" not in {each.arg for each in call.keywords}
    ]
    assert bare == []


def _is_error(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 429, 500, 503])
def test_what_a_cluster_answers_has_a_mend(status: int) -> None:
    assert error_of(status, {"error": {"type": "some_exception", "reason": "why"}}, "here").mend
