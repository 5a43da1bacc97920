"""Which of the named paths are documents, and which go with media?"""

from __future__ import annotations

from pathlib import Path

from dateline import media_ingest
from indexing.ingest import IngestOptions
from indexing.work.request import Shard


def test_a_shot_list_beside_media_is_no_document(tmp_path: Path) -> None:
    names = ("clip.mp4", "clip.shots.txt", "clip.json", "notes.txt", "wire.xml")
    for name in names:
        (tmp_path / name).write_text("x")
    parts = media_ingest.split([str(tmp_path / name) for name in names], [], (), Shard())
    assert [path.name for path in parts.documents] == ["clip.json", "notes.txt", "wire.xml"]
    passed_over = media_ingest.left_to_media(Shard())
    assert [name for name in names if passed_over(tmp_path / name)] == [
        "clip.mp4",
        "clip.shots.txt",
        "clip.json",
    ]


def test_texts_of_a_watched_folder_are_documents_if_asked_for(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("clip.mp4", "clip.shots.txt", "notes.txt", "wire.xml")]
    for path in paths:
        path.write_text("x")
    kept = {
        texts: [path.name for path in media_ingest.documents_of(paths, IngestOptions(texts=texts))]
        for texts in (False, True)
    }
    assert kept == {False: ["wire.xml"], True: ["notes.txt", "wire.xml"]}
