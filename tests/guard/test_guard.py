"""No surface of a service shows what a simple model hides: random histories over two processes.

GUARD_SEQUENCES is the number of histories. To play a failed one again alone, set GUARD_FIRST to its
seed and GUARD_SEQUENCES to 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import typer
from fastapi import APIRouter
from fastapi.routing import APIRoute

from api.app import _EVERYTHING as ROUTERS
from core.writes import Outcome
from dateline.cli import app as command_line
from tests.conftest import new_folder
from tests.guard.history import History
from tests.guard.model import marks_in
from tests.guard.process import Starter
from tests.guard.surfaces import (
    APART,
    COMMANDS,
    ELSEWHERE,
    HEADERS,
    OUTSIDE,
    ROUTES,
    WRITES,
    Shows,
    missing,
)
from tests.guard.world import SUBSCRIBER, World, opened
from tests.opensearch_node import new_name
from tests.storage.opensearch_world import remove_index
from tests.storage.postgres_world import address_of

pytestmark = pytest.mark.service

HISTORIES = int(os.environ.get("GUARD_SEQUENCES", "40"))
FIRST = int(os.environ.get("GUARD_FIRST", "0"))  # seed
MOST = 100  # histories of one archive
# On a busy machine a node answers late in a test; its answers stay complete.
PATIENT = {"replicas": "0", "patience_s": "60", "timeout_s": "120", "search_timeout_s": "60"}


@dataclass(frozen=True)
class Kind:
    """An engine, a record, and the seeds of their histories."""

    engine: str
    record: str
    seeds: range


# Of how many histories one is played over the kind.
SHARES = {
    ("embedded", "sqlite"): 1,
    ("embedded", "postgres"): 14,
    ("opensearch", "sqlite"): 14,
    ("opensearch", "postgres"): 14,
}


def kinds() -> Iterator[Any]:
    """Each kind as a parameter, once for each archive. A kind that needs a node of OpenSearch is a
    test of a cluster.
    """
    for (engine, record), share in SHARES.items():
        end = FIRST + -(-HISTORIES // share)
        for start in range(FIRST, end, MOST):
            seeds = range(start, min(start + MOST, end))
            marks = [pytest.mark.cluster] if engine == "opensearch" else []
            name = f"{engine} over {record}, {seeds[0]} to {seeds[-1]}"
            yield pytest.param(Kind(engine, record, seeds), id=name, marks=marks)


@pytest.fixture(scope="module", params=kinds())
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture(scope="module")
def starter() -> Iterator[Starter]:
    with Starter() as made:
        yield made


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, kind: Kind, starter: Starter) -> Iterator[World]:
    """An archive of the kind, with its two processes."""
    folder, settings, index = new_folder(), {"engine": kind.engine}, new_name()
    if kind.record == "postgres":
        settings["record"] = address_of(request.getfixturevalue("postgres"), folder)
    if kind.engine == "opensearch":
        url = request.getfixturevalue("opensearch")
        named = {"url": url, "index": index, **PATIENT}
        settings |= {f"opensearch_{name}": value for name, value in named.items()}
    with opened(World(folder, settings, starter)) as made:
        yield made
    if kind.engine == "opensearch":
        remove_index(settings["opensearch_url"], index)


def test_every_route_is_listed_and_every_parameter_filled_in(world: World) -> None:
    """Both those in the OpenAPI document and those outside of it."""
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
    for name in command.commands:
        if names or name not in APART:
            inner = command.resolve_command(typer.Context(command), [name])[1]
            yield from _commands(inner, (*names, name))


@pytest.mark.timeout(600 + 60 * min(HISTORIES, MOST))  # a busy machine plays two a minute
def test_no_surface_shows_what_the_dict_hides(world: World, kind: Kind) -> None:
    for seed in kind.seeds:
        history = History(world, seed)
        try:
            history.play()
        except BaseException as error:
            error.add_note("\n".join([f"GUARD_FIRST={seed}", *history.steps]))
            raise
    assert marks_in(world.logged()) <= world.addresses
    assert SUBSCRIBER not in world.logged()
    if len(kind.seeds) >= 40:
        assert_looked_at(world)
        assert {*Outcome, None} - world.outcomes == set()


def assert_looked_at(world: World) -> None:
    """Fails where a route or command was never asked, or one that shows items never showed any. Of
    searches and single items that holds for each parameter, and of every route for each header.
    """
    asked = {
        f"{method} {path.partition('{')[0]}": shows for (method, path), shows in ROUTES.items()
    } | {f"dateline {name}": shows for name, (shows, _) in COMMANDS.items()}
    for surface, shows in asked.items():
        looks = world.told if shows.any else world.visits
        assert any(name.startswith(surface) for name in looks), surface
    for (method, path), headers in HEADERS.items():
        route = f"{method} {path.partition('{')[0]}"
        looks = world.told if ROUTES.get((method, path), Shows.NOTHING).any else world.visits
        for header in headers:
            named = [name for name in looks if name.startswith(route)]
            assert any(name.endswith(f" {header}") for name in named), (route, header)
    for path in ("/content/search", "/content/{item_id}"):
        named = f"GET {path.partition('{')[0]} "
        names = world.contract.in_query(path)
        assert {name for name in names if not world.told[named + name]} == set()
