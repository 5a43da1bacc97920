"""A live source as an item: found while it runs, one hit, killed while it runs, archived at its
end; sources that break, that are killed with their process, and that lack something.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.media.broadcast import Broadcast
from core.callers import OPERATOR, Caller
from core.items import Item, PubStatus
from core.writes import SetStatus, Written
from dateline.build.service import Service, build_service
from dateline.settings import Settings
from indexing.live.following import Following
from indexing.live.recording import LiveFolder, LiveState
from indexing.live.telling import Findable, Listener
from indexing.media.shots.live import Patience, chosen_source
from search.answers import Hit, SearchRequest
from tests.inference.picture_models import COLOURS, write_classifier
from tests.live_broadcast import Film
from tests.speech_provider import KEY, SpeechServer

pytest.importorskip("av", reason="needs the [media] extra")
live = pytest.importorskip("dateline.build.media.live")
pytestmark = pytest.mark.service

RED, GREEN, BLUE = COLOURS.values()
WORDS = {440: "the ferry leaves", 880: "smoke over the harbour", 1320: "everybody is safe"}
SHOTS = [(RED, 440, 3.0), (GREEN, 880, 3.0), (BLUE, 1320, 3.0)]
FILM = Film(SHOTS)
ENDLESS = Film([*SHOTS, ((90, 90, 90), 0, 90.0)])  # until it is over
URI = "urn:live:ferry"
READER = Caller("reader", frozenset({"demo"}), may_inspect=True)
PATIENCE = Patience(stall_s=20.0, away_s=20.0)
_GIVE_UP_S = 90.0


@dataclass
class Room:
    """A service over an archive, and what it takes to follow a source into it."""

    settings: Settings
    service: Service
    folder: LiveFolder
    found: list[Findable] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    ended: list[LiveState] = field(default_factory=list)

    @contextmanager
    def following(
        self, url: str, state: LiveState | None = None, *, part_s: float = 600.0, most: int = 10**9
    ) -> Iterator[Following]:
        """A run over a source, in a thread while the block runs."""
        state = state or LiveState(URI, url, {"headline": "Ferry fire", "products": ["demo"]})
        terms = live.LiveTerms(self.folder, most, part_s)
        listener = Listener(self.found.append, self.written.append, self.troubles.append)
        source, settings = chosen_source(url, PATIENCE)
        opened = live.opened_parts(
            self.settings, self.service, source, terms, listener, self.ended.append
        )
        with opened as (parts, _):
            following = Following(parts, state, settings)
            thread = threading.Thread(target=following.run)
            thread.start()
            try:
                yield following
            finally:
                thread.join(_GIVE_UP_S)
                assert not thread.is_alive()

    def hits(self, q: str) -> list[Hit]:
        return list(self.service.pipeline.search(SearchRequest(q, profile="lexical"), READER).hits)

    def hit(self, q: str) -> Hit:
        """The one hit, once there is one: words of a new version are indexed a moment later."""
        until(lambda: self.hits(q))
        (hit, *others) = self.hits(q) or [self.hit(q)]
        assert not others
        return hit

    def vectors(self, *versions: int) -> int:
        """How many vectors these versions have, in all fields."""
        record = self.service.engine.record
        seqs = [seq for one in versions if (seq := record.reads.seq_of(URI, one)) is not None]
        found = (record.reads.vectors_by_seq(*space, seqs) for space in record.spaces.items())
        return sum(len(matrix) for each in found for _, matrix in each)

    def item(self, uri: str = URI) -> Item:
        (found,) = self.service.engine.newest([uri])
        assert found is not None
        return found


def until(holds: Callable[[], object]) -> None:
    """Wait until it holds, at most two minutes."""
    end = time.monotonic() + _GIVE_UP_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.3)


@pytest.fixture(scope="module")
def speech() -> Iterator[SpeechServer]:
    with SpeechServer(WORDS) as server:
        yield server


@pytest.fixture
def room(tmp_path: Path, speech: SpeechServer) -> Iterator[Room]:
    write_classifier(tmp_path / "models")
    settings = Settings(
        data=tmp_path / "archive",
        pulled_models=tmp_path / "models",
        looks="colours",
        second_encoder="",
        tagger="",
        reranker="",
        transcriber="openai",
        transcribe_url=speech.base_url,
        transcribe_model="whisper-1",
        transcribe_key=KEY,
    )
    service = build_service(settings)
    yield Room(settings, service, LiveFolder(tmp_path / "recordings"))
    service.close()


def test_shots_and_words_are_found_while_the_source_runs_until_a_kill_which_holds(
    room: Room,
) -> None:
    with Broadcast(ENDLESS) as broadcast, room.following(broadcast.url):
        hit = room.hit("looks:red")
        assert (hit.item.uri, hit.shot) == (URI, 1)
        hit = room.hit("speech:harbour")
        assert hit.opening is not None
        assert 3.0 <= hit.opening.second <= 5.1
        assert hit.item.source["live"]["state"] == "running"
        until(lambda: len(room.item().shots) == 3)
        assert room.hit("ferry").item.uri == URI
        assert room.vectors(room.item().version)
        assert room.vectors(*range(1, room.item().version - 2)) == 0
        room.service.writer.set_status([SetStatus(URI, PubStatus.CANCELED)], OPERATOR)
        assert room.hits("ferry") == []
        broadcast.over.set()
    item = room.item()
    assert room.hits("ferry") == []
    assert item.pubstatus is PubStatus.CANCELED
    assert room.written[-1].held == "canceled"
    assert item.source["live"]["state"] == "ended"
    assert [round(shot.end_s) for shot in item.shots[:3]] == [3, 6, 9]
    assert [one.text for one in item.speech] == list(WORDS.values())
    assert all(shot.thumbnail for shot in item.shots[:3])
    assert {found.number for found in room.found if found.number} >= {1, 2, 3}
    assert all(found.lag_s is not None for found in room.found)


@pytest.mark.deep
def test_a_part_of_a_killed_source_is_killed(room: Room) -> None:
    with Broadcast(ENDLESS) as broadcast, room.following(broadcast.url, part_s=4.0):
        until(lambda: room.written)
        room.service.writer.set_status([SetStatus(URI, PubStatus.CANCELED)], OPERATOR)
        until(lambda: room.ended)  # the second part has begun
        broadcast.over.set()
    assert room.hits("harbour") == []
    assert room.item(f"{URI}:part-2").pubstatus is PubStatus.CANCELED


@pytest.mark.deep
def test_a_source_that_breaks_is_connected_again_and_the_item_says_so(room: Room) -> None:
    with Broadcast(ENDLESS) as broadcast, room.following(broadcast.url):
        until(lambda: room.written and broadcast.lag_s(2.0) > 0)
        broadcast.broken.set()
        until(lambda: room.item().source["live"]["state"] == "broken off")
        broadcast.broken.clear()
        until(lambda: room.item().source["live"]["state"] == "running")
        until(lambda: broadcast.lag_s(10.0) > 0)
        broadcast.over.set()
    item = room.item()
    assert broadcast.viewers >= 2
    starts, ends = [s.start_s for s in item.shots], [s.end_s for s in item.shots]
    assert all(end <= start for end, start in zip(ends[:-1], starts[1:], strict=True))
    assert any("source is back" in note for note in item.source["live"]["notes"])


@pytest.mark.deep
def test_another_run_goes_on_with_the_item_and_doubles_no_shot(room: Room) -> None:
    with Broadcast(ENDLESS) as broadcast:
        with room.following(broadcast.url) as first:
            until(lambda: any(found.number for found in room.found))
            first.stop(ended=False)
        assert first.goes_on
        state = room.folder.running(broadcast.url, "")
        assert state is not None
        assert state.uri == URI
        told = room.item()
        with room.following(broadcast.url, state):
            until(lambda: room.item().source["live"]["state"] == "running")
            broadcast.over.set()
    item = room.item()
    assert item.shots[: len(told.shots)] == told.shots
    frames = [shot.start_frame for shot in item.shots]
    assert frames == sorted(set(frames))
    starts, ends = [s.start_s for s in item.shots], [s.end_s for s in item.shots]
    assert all(end <= start for end, start in zip(ends[:-1], starts[1:], strict=True))
    assert item.version > told.version
    assert [path.stat().st_size > 0 for path in room.folder.files(state)] == [True]


@pytest.mark.deep
def test_a_source_of_sound_alone_and_one_without_sound_are_items(room: Room) -> None:
    with Broadcast(Film(FILM.shots, picture=False)) as broadcast, room.following(broadcast.url):
        pass
    item = room.item()
    assert (item.type, item.shots) == ("audio", ())
    assert [one.text for one in item.speech] == list(WORDS.values())
    with Broadcast(Film(FILM.shots[:2], sound=False)) as broadcast:
        state = LiveState("urn:live:mute", broadcast.url, {"products": ["demo"]})
        with room.following(broadcast.url, state):
            pass
    item = room.item("urn:live:mute")
    assert (len(item.shots), item.speech) == (2, ())


@pytest.mark.deep
def test_sound_that_comes_late_is_put_to_its_seconds(room: Room) -> None:
    film = Film(FILM.shots, sound_late_s=2.0)
    with Broadcast(film) as broadcast, room.following(broadcast.url):
        pass
    item = room.item()
    assert [round(one.start_s) for one in item.speech] == [0, 3, 6]


@pytest.mark.deep
def test_a_long_source_has_parts_and_a_full_recording_does_not_end_it(room: Room) -> None:
    with Broadcast(FILM) as broadcast, room.following(broadcast.url, part_s=4.0, most=60_000):
        pass
    second = room.item(f"{URI}:part-2")
    assert second.source["live"]["whole"] == URI
    assert [round(shot.start_s) for shot in second.shots] == [0]
    assert [one.text for one in second.speech] == [WORDS[1320]]
    assert [round(shot.end_s) for shot in room.item().shots] == [3, 6]
    assert [state.uri for state in room.ended] == [URI]
    assert any("recorded up to 60,000 bytes" in trouble for trouble in room.troubles)
