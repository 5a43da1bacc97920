"""An archive that an older version wrote, opened by this one: nothing is lost, and nothing that was
hidden shows. `tests/fixtures/write_archive.py` is how it was written.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import new_folder
from tests.dateline.conftest import Cli
from tests.unpacking import unpack

pytest.importorskip("av")
PACKED = Path(__file__).parent.parent / "fixtures" / "archive-2026-11.tar.xz"
PROFILES = {"lexical": "words", "vector": "meaning"}


@pytest.fixture(scope="module")
def unpacked() -> Iterator[Path]:
    """A folder with the archive, its answers of then and what it was made of."""
    folder = new_folder()
    unpack(PACKED, folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def answers(unpacked: Path) -> Any:
    """What the version that wrote it answered."""
    return json.loads((unpacked / "answers.json").read_text("utf-8"))


@pytest.fixture
def old(unpacked: Path) -> Cli:
    """The command line on the archive, which the first test's opening brings up to date."""
    return Cli(unpacked / "archive")


def headlines(unpacked: Path) -> dict[str, list[str]]:
    """The headlines of each uri of the wire."""
    found: dict[str, list[str]] = {}
    for line in (unpacked / "in" / "wire.jsonl").read_text("utf-8").splitlines():
        story = json.loads(line)
        found.setdefault(story["uri"], []).append(story["headlines"][0]["value"])
    return found


def test_everything_is_there_and_nothing_needs_mending(old: Cli, answers: Any) -> None:
    then, now = answers["status"], old.json("status")
    for name in ("items", "visible", "passages"):
        assert now[name] == then[name], name
    assert now["models"]["missing"] == []
    # The index of words has more fields by now, so it is made anew; nothing else is.
    assert all("lexical" in repair for repair in now["engine"]["repairs"])
    vectors = now["projections"]["vectors"]["text"]
    assert vectors["lacking"] == 0
    assert vectors["segments"] == then["projections"]["vectors"]["text"]["segments"]


@pytest.mark.parametrize("profile", PROFILES)
def test_searches_find_what_they_found(old: Cli, answers: Any, profile: str) -> None:
    for query, then in answers["found"][profile].items():
        found = old.found(query, "--profile", profile)
        assert set(then) <= set(found) if profile == "lexical" else then[:3] == found[:3], query


@pytest.mark.parametrize("profile", PROFILES)
def test_kills_and_embargoes_hold(old: Cli, answers: Any, unpacked: Path, profile: str) -> None:
    words = headlines(unpacked)
    for uri in [*answers["killed"], *answers["hidden"]]:
        for headline in words[uri]:
            assert uri not in old.found(headline, "--profile", profile), headline


def test_what_was_shown_again_is_shown(old: Cli, answers: Any, unpacked: Path) -> None:
    words = {**headlines(unpacked), **sidecars(unpacked)}
    for uri in answers["shown"]:
        assert uri in old.found(words[uri][0], "--profile", "lexical")


def test_media_are_known_to_the_ledger_and_cost_nothing_again(
    old: Cli, unpacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"CAPTIONER": "openai", "CAPTION_MODEL": "test-model"}.items():
        monkeypatch.setenv(f"DATELINE_{name}", value)
    monkeypatch.setenv("DATELINE_CAPTION_URL", "http://127.0.0.1:9/v1")  # nobody answers there
    monkeypatch.setenv("DATELINE_CAPTION_KEY", "unused")
    media = old.json("ingest", unpacked / "in" / "media", "--products", "demo")["media"]
    assert (media["found"], media["failed"]) == (2, 0)
    assert [media[stage] for stage in ("decoded", "shots", "captioned")] == [0, 0, 0]


def test_a_kill_outlives_the_same_documents_once_more(
    old: Cli, answers: Any, unpacked: Path
) -> None:
    old("ingest", unpacked / "in" / "wire.jsonl", "--products", "demo", code=None)
    test_kills_and_embargoes_hold(old, answers, unpacked, "lexical")


def test_what_was_set_by_hand_holds_later_versions_too(
    old: Cli, answers: Any, unpacked: Path
) -> None:
    """An embargo that an operator set; what its own document withheld may be sent anew."""
    embargoed, withheld = answers["hidden"]
    later = [
        {"uri": uri, "version": 9, "type": "text", "headline": f"zq later {place}"}
        for place, uri in enumerate((embargoed, withheld))
    ]
    path = unpacked / "later.jsonl"
    path.write_text("\n".join(map(json.dumps, later)), "utf-8")
    old("ingest", path, "--products", "demo")
    assert old.found("zq", "--profile", "lexical") == [withheld]


def test_it_takes_new_items(old: Cli, unpacked: Path) -> None:
    story = {"uri": "urn:new", "type": "text", "headline": "Quokka counted on Rottnest"}
    (unpacked / "new.json").write_text(json.dumps(story), "utf-8")
    old("ingest", unpacked / "new.json", "--products", "demo")
    assert old.found("quokka", "--profile", "lexical") == ["urn:new"]


def sidecars(unpacked: Path) -> dict[str, list[str]]:
    """The headlines of the photo and the video."""
    notes = (json.loads(path.read_text("utf-8")) for path in (unpacked / "in").rglob("*.json"))
    return {note["uri"]: [note["headline"]] for note in notes}
