"""No surface of a service shows what a dict hides: random histories over two processes.

GUARD_HISTORIES says how many; a history that failed plays again alone by GUARD_SEED.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from fastapi import APIRouter
from fastapi.routing import APIRoute

from api.app import _EVERYTHING as ROUTERS
from dateline.cli import app as command_line
from storage.embedded.record import Record
from tests.conftest import new_folder
from tests.guard.history import History
from tests.guard.model import marks_in
from tests.guard.surfaces import (
    APART,
    COMMANDS,
    ELSEWHERE,
    OUTSIDE,
    ROUTES,
    WRITES,
    missing,
)
from tests.guard.world import World, opened

HISTORIES = int(os.environ.get("GUARD_HISTORIES", "8"))
SEED = os.environ.get("GUARD_SEED", "")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    folder = new_folder()
    with opened(World(folder, {}, lambda data, clock: Record(data, {}, clock))) as made:
        yield made


def test_every_route_is_listed_and_every_parameter_filled_in(world: World) -> None:
    """What a service may be asked for, as its OpenAPI document has it, and what it leaves out."""
    assert missing(world.contract.operations, {*ROUTES, *WRITES}) == (set(), set())
    assert world.contract.without_filler() == set()
    outside = {operation for router in ROUTERS for operation in _operations(router, told=False)}
    heads = {("HEAD", path) for _, path in {*outside, *ROUTES}}
    assert missing(outside - heads, OUTSIDE - {("GET", "/openapi.json")}) == (set(), set())


def _operations(router: APIRouter, *, told: bool) -> Iterator[tuple[str, str]]:
    for route in router.routes:
        assert isinstance(route, APIRoute)
        if route.include_in_schema is told:
            yield from ((method, route.path.replace(":path", "")) for method in route.methods)


def test_every_command_is_listed() -> None:
    commands = set(_commands(typer.main.get_command(command_line), ()))
    assert missing(commands, {*COMMANDS, *ELSEWHERE}) == (set(), set())


def _commands(command: Any, names: tuple[str, ...]) -> Iterator[str]:
    if not hasattr(command, "commands"):
        yield " ".join(names)
        return
    for name, inner in command.commands.items():
        if names or name not in APART:
            yield from _commands(inner, (*names, name))


def test_no_surface_shows_what_the_dict_hides(world: World) -> None:
    for seed in [int(SEED)] if SEED else range(HISTORIES):
        history = History(world, seed)
        try:
            history.play()
        except BaseException as error:
            error.add_note("\n".join([f"GUARD_SEED={seed}", *history.steps]))
            raise
    assert marks_in(world.logged()) <= world.addresses
    if HISTORIES >= 40 and not SEED:
        assert {name for name, count in world.visits.items() if count < 3} == set()
        assert world.told
