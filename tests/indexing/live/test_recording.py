"""The recording of a live source, and the state from which another process goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import InputError
from indexing.live.recording import LiveFolder, LiveState, Recorder

PACKET = b"G" + b"x" * 187


def test_a_recording_goes_on_behind_its_last_whole_packet(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.ts"
    first = Recorder(10_000, lambda _: None)
    first.then(path)
    first(3 * PACKET + b"Gcut off", is_cut=False)
    first.close()
    again = Recorder(10_000, lambda _: None)
    again.then(path)
    again(PACKET, is_cut=False)
    again.close()
    assert path.read_bytes() == 4 * PACKET


def test_the_next_file_begins_at_a_cut_or_with_a_connection(tmp_path: Path) -> None:
    recorder = Recorder(10_000, lambda _: None)
    paths = [tmp_path / f"{n}.ts" for n in range(3)]
    recorder.then(paths[0])
    recorder(PACKET, is_cut=False)
    recorder.then(paths[1])
    assert recorder.waits
    recorder(2 * PACKET, is_cut=False)
    recorder(PACKET, is_cut=True)
    assert not recorder.waits
    recorder.then(paths[2])
    recorder.connected()
    recorder(PACKET, is_cut=False)
    recorder.close()
    assert [len(path.read_bytes()) // 188 for path in paths] == [3, 1, 1]


def test_a_recording_that_is_too_large_or_can_not_be_written_ends_with_a_note(
    tmp_path: Path,
) -> None:
    troubles: list[str] = []
    small = Recorder(188, troubles.append)
    small.then(tmp_path / "a.ts")
    for _ in range(3):
        small(PACKET, is_cut=False)
    (tmp_path / "file").write_bytes(b"")
    nowhere = Recorder(188, troubles.append)
    nowhere.then(tmp_path / "file" / "a.ts")
    nowhere(PACKET, is_cut=False)
    assert len(troubles) == 2
    assert (tmp_path / "a.ts").stat().st_size == 188


def test_a_state_is_found_by_its_source_or_its_uri_until_it_is_forgotten(tmp_path: Path) -> None:
    folder = LiveFolder(tmp_path / "live")
    state = LiveState("urn:a", "rtsp://camera/1", {"headline": "A"}, 5.0, 2, 60.0, ("a note",))
    assert folder.running("rtsp://camera/1", "") is None
    folder.keep(state)
    assert folder.running("rtsp://camera/1", "") == state
    assert folder.running("rtsp://camera/2", "urn:a") == state
    assert folder.running("rtsp://camera/1", "urn:b") is None
    assert state.part_uri == "urn:a:part-2"
    folder.file_of(state).write_bytes(PACKET)
    assert folder.files(state) == [folder.file_of(state)]
    folder.forget(state)
    assert folder.running("rtsp://camera/1", "") is None
    (tmp_path / "live" / "b.live").write_text("{", "utf-8")
    with pytest.raises(InputError):
        folder.running("rtsp://camera/1", "")
