"""Equal scores keep their order: on every page, in every process, whatever the segments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.profiles import standard_profiles
from tests.search.room import Room, story

pytestmark = pytest.mark.service

TIED = 12
QUERY = "ferry aground"
ROOT = Path(__file__).parents[3]
PROFILES = [name for name in standard_profiles(("text",)) if "rerank" not in name]
CHILD = """
import json, sys
from pathlib import Path
from tests.search.room import Room
room = Room(Path(sys.argv[1]))
profiles = sys.argv[3:]
print(json.dumps({one: room.walk(sys.argv[2], 5, profile=one) for one in profiles}))
room.engine.close()
"""


@pytest.fixture
def tied(room: Room) -> Room:
    """Copies of one story, each in a commit of its own, with others between and behind them."""
    for number in range(TIED):
        room.put(
            story(f"tied-{number:02}", "Ferry aground", body="The ferry ran aground off the cape"),
            story(
                f"other-{number:02}", "Harbour news", body="ferry " * (number % 3) + "and pilots"
            ),
        )
    return room


@pytest.mark.parametrize("profile", PROFILES)
def test_pages_of_any_size_make_one_list(tied: Room, profile: str) -> None:
    whole = tied.walk(QUERY, 100, profile=profile)
    assert [uri for uri in whole if uri.startswith("tied")] == [
        f"tied-{number:02}" for number in range(TIED)
    ]
    for size in (1, 5, 7):
        assert tied.walk(QUERY, size, profile=profile) == whole


def test_a_merge_of_segments_changes_no_order(tied: Room) -> None:
    before = {name: tied.walk(QUERY, 5, profile=name) for name in PROFILES}
    tied.reopen()
    tied.engine.compact()
    assert {name: tied.walk(QUERY, 5, profile=name) for name in PROFILES} == before


def test_other_processes_give_the_same_order(tied: Room) -> None:
    here = {name: tied.walk(QUERY, 5, profile=name) for name in PROFILES}
    tied.engine.close()
    for seed in ("1", "2"):
        assert _elsewhere(tied.folder, seed) == here
    tied.reopen()


def _elsewhere(folder: Path, seed: str) -> dict[str, list[str]]:
    """The walks of a process that hashes strings by `seed`."""
    command = [sys.executable, "-P", "-c", CHILD, str(folder), QUERY, *PROFILES]
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=480, check=True
    )
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found
