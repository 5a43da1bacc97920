"""What each call of the command line loads anew, and a process of tests only once: the sessions of
the models that ship, and the tree of commands. Subprocesses load all of it, as users do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from functools import cache
from pathlib import Path

import pytest
import typer.testing

from dateline.build import runtimes as build_runtimes
from inference.models.store import ModelFolder
from inference.runtime import Runtime
from inference.runtimes.choice import RuntimeChoice, RuntimeKind, open_choice

SHIPPED = Path(__file__).parent.parent / "models"


@pytest.fixture(scope="session", autouse=True)
def loaded_once() -> Iterator[None]:
    """In the process of the tests."""
    with loading_once():
        yield


@contextmanager
def loading_once() -> Iterator[None]:
    """Models of other folders, which tests damage, are loaded each time."""
    opened: dict[tuple[RuntimeChoice, Path, int], Runtime] = {}

    def open_once(
        choice: RuntimeChoice,
        kinds: Mapping[str, RuntimeKind],
        folder: ModelFolder,
        *,
        threads: int,
    ) -> Runtime:
        if folder.path.parent != SHIPPED:
            return open_choice(choice, kinds, folder, threads=threads)
        key = (choice, folder.path, threads)
        if key not in opened:
            opened[key] = open_choice(choice, kinds, folder, threads=threads)
        return copy(opened[key])  # whoever closes it closes a copy

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_runtimes, "open_choice", open_once)
        patch.setattr(typer.testing, "_get_command", cache(typer.testing._get_command))
        yield
