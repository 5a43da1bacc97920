"""Which assets are found: in folders, in manifests, in stores, and in each share of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from core.work import FoundAsset
from indexing.sources import Rejected
from indexing.work.request import Request, Shard, request_of, shard_of
from indexing.work.sources.listing import speaks_of_media
from indexing.work.sources.stores import FileStores
from indexing.work.stages.reading import find


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def found(*paths: Path | str, manifests: tuple[str, ...] = (), **options: object) -> list[object]:
    request = Request(tuple(map(str, paths)), manifests, **options)  # type: ignore[arg-type]
    return list(find(request, FileStores()))


def names(entries: list[object]) -> list[str]:
    return [Path(entry.location).name for entry in entries if isinstance(entry, FoundAsset)]


def test_folders_are_gone_through_in_order_and_hidden_files_are_left(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.mp4", "sub/c.png", ".hidden.jpg", ".cache/d.jpg", "notes.txt"):
        write(tmp_path / name)
    assert names(found(tmp_path)) == ["a.mp4", "b.JPG", "c.png"]
    with pytest.raises(InputError):
        found(tmp_path / "nowhere")


def test_what_lies_beside_a_file_speaks_of_it(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg")
    write(tmp_path / "a.json", json.dumps({"headline": "By stem"}))
    write(tmp_path / "b.jpg")
    write(tmp_path / "b.jpg.json", json.dumps({"headline": "By name"}))
    write(tmp_path / "story.json", json.dumps({"uri": "urn:1"}))
    entries = found(tmp_path, products=("wire",))
    assert [entry.sidecar for entry in entries] == [  # type: ignore[attr-defined]
        {"headline": "By stem"},
        {"headline": "By name"},
    ]
    assert {entry.products for entry in entries} == {("wire",)}  # type: ignore[attr-defined]
    for name in ("a.vtt", "b.jpg.xmp", "c.vtt"):
        write(tmp_path / name)
    speaking = [path.name for path in sorted(tmp_path.iterdir()) if speaks_of_media(path)]
    assert speaking == ["a.json", "a.vtt", "b.jpg.json", "b.jpg.xmp"]


def test_a_sidecar_that_can_t_be_read_keeps_its_file_out(tmp_path: Path) -> None:
    """It may be the one that says who must not see the picture."""
    write(tmp_path / "a.jpg")
    write(tmp_path / "a.json", '{"external_processing": fal')
    (entry,) = found(tmp_path)
    assert isinstance(entry, Rejected)
    assert "a.json" in entry.reason


CSV = """location,headline,caption,products,rights,urgency
a.jpg,Ferry,The ferry leaves,wire sports,Editorial use only,3
missing.jpg,Gone,,,,
sub/b.jpg,"Quay, at night",,,,
,No place,,,,
c.jpg,Too,many,values,here,1,2
"""


def test_a_manifest_in_csv(tmp_path: Path) -> None:
    for name in ("a.jpg", "sub/b.jpg", "c.jpg"):
        write(tmp_path / name)
    manifest = write(tmp_path / "list.csv", CSV)
    entries = found(manifests=(str(manifest),), products=("all",))
    good = [entry for entry in entries if isinstance(entry, FoundAsset)]
    assert [Path(entry.location).name for entry in good] == ["a.jpg", "b.jpg"]
    assert good[0].sidecar == {
        "headline": "Ferry",
        "description_caption": "The ferry leaves",
        "usageterms": "Editorial use only",
        "urgency": "3",
    }
    assert good[0].products == ("wire", "sports", "all")
    assert good[1].sidecar == {"headline": "Quay, at night"}
    bad = [(entry.line, entry.reason) for entry in entries if isinstance(entry, Rejected)]
    assert [line for line, _ in bad] == [3, 5, 6]
    assert "more values than columns" in bad[2][1]


def test_a_manifest_in_json_lines(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg")
    lines = [
        json.dumps({"location": str(tmp_path / "a.jpg"), "uri": "urn:a", "products": ["wire"]}),
        "",
        "[1]",
        '{"location": ',
        json.dumps({"location": "s3://bucket/b.jpg", "caption": "By the sea"}),
    ]
    manifest = write(tmp_path / "list.jsonl", "\n".join(lines))
    entries = found(manifests=(str(manifest),))
    good = [entry for entry in entries if isinstance(entry, FoundAsset)]
    assert [entry.sidecar for entry in good] == [
        {"uri": "urn:a"},
        {"description_caption": "By the sea"},
    ]
    assert [entry.line for entry in entries if isinstance(entry, Rejected)] == [3, 4]


def test_a_manifest_without_locations_is_refused(tmp_path: Path) -> None:
    manifest = write(tmp_path / "list.csv", "file,headline\na.jpg,Ferry\n")
    with pytest.raises(InputError, match="location"):
        found(manifests=(str(manifest),))


@given(st.lists(st.text(min_size=1), unique=True, max_size=50), st.integers(1, 9))
def test_shards_are_a_partition(locations: list[str], count: int) -> None:
    shards = [Shard(number, count) for number in range(1, count + 1)]
    for location in locations:
        assert sum(shard.has(location) for shard in shards) == 1


def test_shards_of_a_folder_and_a_manifest_are_a_partition(tmp_path: Path) -> None:
    for number in range(60):
        write(tmp_path / f"{number}.jpg")
    whole = names(found(tmp_path))
    parts = [names(found(tmp_path, shard=Shard(n, 4))) for n in (1, 2, 3, 4)]
    assert sorted(name for part in parts for name in part) == sorted(whole)
    assert min(map(len, parts)) > 5


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/3/5", "-1/3", "1/0", ""])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        shard_of(text)


def test_a_request_survives_json() -> None:
    request = Request(("a", "s3://b/c"), ("m.csv",), ("wire",), Shard(2, 5))
    assert request_of(json.loads(json.dumps(request.as_dict()))) == request


def test_a_file_that_can_t_be_looked_at_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg")
    write(tmp_path / "z.jpg")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg"))).write_bytes(b"x")
    entries = found(tmp_path)
    assert names(entries) == ["a.jpg", "z.jpg"]
    (odd,) = [entry for entry in entries if isinstance(entry, Rejected)]
    assert "UTF-8" in odd.reason
    odd.file.encode()


def test_a_line_with_an_odd_location_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg")
    lines = [{"location": "a\0.jpg"}, {"location": "a.jpg"}]
    path = write(tmp_path / "list.jsonl", "\n".join(json.dumps(line) for line in lines))
    entries = found(manifests=(str(path),))
    assert [type(entry).__name__ for entry in entries] == ["Rejected", "FoundAsset"]
