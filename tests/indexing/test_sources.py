"""Which documents are found under a path, and what is said about those that can't be read."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InputError
from core.items import Concept
from indexing import records
from indexing.sources import Accepted, Rejected, Sources

NOW = datetime(2026, 3, 1, tzinfo=UTC)
Write = Callable[..., Path]


def sources(*paths: Path, limit: int = 8 * 1024 * 1024) -> Sources:
    return Sources(paths, lambda: NOW, ("demo",), limit)


def uris(found: Sources) -> list[str]:
    return [entry.item.uri if isinstance(entry, Accepted) else entry.reason for entry in found]


def put(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


JSON_FILES = [
    ('{"uri": "a"}', ["a"]),
    ('\n\n  {"uri": "a"}\n', ["a"]),
    ('[{"uri": "a"}, {"uri": "b"}]', ["a", "b"]),
    ('\ufeff [\n{"uri": "a"}\n]\n', ["a"]),
    ("[]", []),
    ("[ \n ]", []),
    ('[{"uri": "br[ack]et{s}, \\" and \\\\"}]', ['br[ack]et{s}, " and \\']),
    ('[{"uri": "a", "x": [[1], {"y": []}]}, {"uri": "b"}]', ["a", "b"]),
]


@pytest.mark.parametrize(("text", "expected"), JSON_FILES)
def test_a_json_file_holds_one_document_or_an_array(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    assert uris(sources(put(tmp_path / "a.json", text))) == expected


def test_bad_elements_of_an_array_are_reported_at_their_lines(tmp_path: Path) -> None:
    path = put(tmp_path / "a.json", '[\n{"uri": "a"},\n\n5,\n{"uri": 6},\n,{"uri": "b"}\n]')
    found = list(sources(path))
    assert [entry.line for entry in found] == [2, 4, 5, 6, 6]
    assert [entry.field for entry in found if isinstance(entry, Rejected)] == ["", "uri", ""]
    assert isinstance(found[-1], Accepted)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[{"uri": "a"}, {"uri": "b"}', "malformed JSON: the array has no end"),
        ('[{"uri": "a"}, {"uri": "b', "malformed JSON: the array has no end"),
        ('[{"uri": "a"}] tail', "text after the array"),
    ],
)
def test_a_broken_array_gives_what_is_whole(tmp_path: Path, text: str, reason: str) -> None:
    found = uris(sources(put(tmp_path / "a.json", text)))
    assert found[0] == "a"
    assert found[-1] == reason


@given(st.lists(st.recursive(st.text() | st.integers(), st.lists), max_size=6), st.integers(0, 3))
def test_an_array_is_cut_where_json_says(values: list[Any], indent: int) -> None:
    data = json.dumps(values, indent=indent or None).encode()
    cut = list(records.documents(io.BytesIO(data), 10_000))
    assert [json.loads(record.data) for record in cut] == values


@pytest.mark.parametrize("name", ["w.jsonl", "w.ndjson", "w.jsonl.gz", "w.ndjson.gz"])
def test_lines(write_lines: Write, name: str) -> None:
    path = write_lines({"uri": "a"}, b"", b"  ", b"{broken", {"uri": "b"}, name=name)
    found = list(sources(path))
    assert [(type(entry), entry.line) for entry in found] == [
        (Accepted, 1),
        (Rejected, 4),
        (Accepted, 5),
    ]
    assert found[1].file == str(path)


def test_a_last_line_without_a_line_break(tmp_path: Path) -> None:
    assert uris(sources(put(tmp_path / "a.jsonl", '{"uri": "a"}\n{"uri": "b"}'))) == ["a", "b"]


def test_a_folder_is_read_in_order_and_counts_what_it_passes_over(tmp_path: Path) -> None:
    put(tmp_path / "b" / "2.json", '{"uri": "b2"}')
    put(tmp_path / "b" / "1.json.gz", gzip.compress(b'{"uri": "b1"}'))
    put(tmp_path / "a" / "x.jsonl", '{"uri": "a1"}\n{"uri": "a2"}')
    put(tmp_path / "c.json", '{"uri": "c"}')
    put(tmp_path / "README.txt", "not json")
    put(tmp_path / "a" / "notes.TXT", "not json")
    put(tmp_path / "Makefile", "not json")
    put(tmp_path / ".hidden.json", '{"uri": "hidden"}')
    put(tmp_path / ".git" / "x.json", '{"uri": "hidden"}')
    found = sources(tmp_path)
    assert uris(found) == ["c", "a1", "a2", "b1", "b2"]
    assert found.ignored == {".txt": 2, "hidden": 1, "no ending": 1}


def test_done_bytes_reach_the_total(tmp_path: Path) -> None:
    for name in ("a.json", "b.json.gz"):
        data = b'{"uri": "u"}'
        put(tmp_path / name, gzip.compress(data) if name.endswith(".gz") else data)
    found = sources(tmp_path)
    seen = [found.done_bytes for _ in found]
    assert seen == sorted(seen)
    assert found.done_bytes == found.total_bytes > 0


@pytest.mark.parametrize("name", ["nowhere.json", "notes.doc"])
def test_a_path_that_can_t_be_meant_is_an_error_at_once(tmp_path: Path, name: str) -> None:
    put(tmp_path / "notes.doc", "x")
    with pytest.raises(InputError) as caught:
        sources(tmp_path / name)
    assert caught.value.where.endswith(name)


def test_a_damaged_gzip_file_gives_what_is_whole_and_a_reason(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(b'{"uri": "u%d"}\n' % n for n in range(5000)))
    put(tmp_path / "a.jsonl.gz", whole[: len(whole) // 2])
    put(tmp_path / "b.jsonl.gz", b"no gzip at all")
    put(tmp_path / "c.json", '{"uri": "c"}')
    found = list(sources(tmp_path))
    broken = [entry for entry in found if isinstance(entry, Rejected)]
    assert [Path(entry.file).name for entry in broken] == ["a.jsonl.gz", "b.jsonl.gz"]
    assert all(entry.reason.startswith("file not readable") for entry in broken)
    assert len(found) > 1000
    assert isinstance(found[-1], Accepted)


@pytest.mark.parametrize("shape", ["line", "document", "element"])
def test_memory_is_flat_on_what_is_too_long(tmp_path: Path, shape: str) -> None:
    """A hundred megabytes in one line, one document or one element of an array."""
    path = tmp_path / ("a.jsonl.gz" if shape == "line" else "a.json.gz")
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(b"[" if shape == "element" else b"")
        stream.write(b'{"uri": "long", "body_text": "')
        for _ in range(100):
            stream.write(b"x" * 1_000_000)
        stream.write(b'"}')
        stream.write(
            {"line": b'\n{"uri": "next"}', "element": b',{"uri": "next"}]'}.get(shape, b"")
        )
    tracemalloc.start()
    try:
        found = uris(sources(path, limit=1_000_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (
        found
        == ["document too large: over 1000000 bytes", "next"][: 1 if shape == "document" else 2]
    )
    assert peak < 8_000_000


BEIR = {
    "_id": "12",
    "title": "COCOA REVIEW",
    "text": "Showers continued.",
    "metadata": {
        "date": "26-FEB-1987 15:02:20.05",
        "dateline": "SALVADOR, Feb 26 -",
        "topics": ["cocoa"],
        "places": ["brazil", "usa"],
        "people": ["lyng"],
        "orgs": ["gatt"],
        "exchanges": ["cme"],
    },
}


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz"])
def test_a_beir_folder_is_its_corpus(write_lines: Write, tmp_path: Path, name: str) -> None:
    write_lines(BEIR, name=f"reuters/{name}")
    write_lines({"_id": "q", "text": "a query"}, name="reuters/queries.jsonl")
    put(tmp_path / "reuters" / "qrels" / "x.json", "{}")
    found = sources(tmp_path / "reuters")
    (entry,) = list(found)
    assert isinstance(entry, Accepted)
    item = entry.item
    assert item.uri == item.chain == "urn:beir:reuters:12"
    assert (item.version, item.headline, item.body) == (0, "COCOA REVIEW", "Showers continued.")
    assert item.versioncreated == datetime(1987, 2, 26, 15, 2, 20, 50_000, tzinfo=UTC)
    assert item.located == "SALVADOR"
    assert item.subject == (Concept("cocoa"),)
    assert item.place == (Concept("brazil"), Concept("usa"))
    assert item.person == (Concept("lyng"),)
    assert item.organisation == (Concept("gatt"), Concept("cme"))
    assert item.products == ("demo",)
    assert item.source == BEIR


@pytest.mark.parametrize(
    ("metadata", "expected", "warnings"),
    [
        ({}, datetime(1970, 1, 1), ()),
        ({"date": "5-MAR-1987 09:00:00.10C G T"}, datetime(1987, 3, 5, 9, 0, 0, 100_000), ()),
        ({"date": "5-MAR-1987"}, datetime(1987, 3, 5), ()),
        ({"date": "2004-11-05T10:00:00Z"}, datetime(2004, 11, 5, 10), ()),
        (
            {"date": "31-MAR-1987 605:12:19.12"},
            datetime(1987, 3, 31),
            ("time of day not understood, taken as midnight",),
        ),
        (
            {"date": "31-FEB-1987 10:00:00"},
            datetime(1970, 1, 1),
            ("date not understood, taken as 1970-01-01",),
        ),
        ({"date": 5}, datetime(1970, 1, 1), ("date not understood, taken as 1970-01-01",)),
    ],
)
def test_beir_dates(
    write_lines: Write, metadata: dict[str, Any], expected: datetime, warnings: tuple[str, ...]
) -> None:
    path = write_lines({"_id": "1", "text": "t", "metadata": metadata}, name="set/corpus.jsonl")
    (entry,) = list(sources(path))
    assert isinstance(entry, Accepted)
    assert entry.item.versioncreated == expected.replace(tzinfo=UTC)
    assert entry.warnings == warnings


@pytest.mark.parametrize(
    ("dateline", "located"),
    [
        ("RICHMOND, Va., March 5 -", "RICHMOND, Va."),
        ("Mexico City, April 29 -", "Mexico City"),
        ("AMSTERDAM, 2 March -", "AMSTERDAM"),
        ("ROME, March 13, Reuter -", "ROME"),
        ("MAYFIELD, Ky., May 3 -", "MAYFIELD, Ky."),
        ("APRIL 7 -", ""),
        ("LONDON -", "LONDON"),
        ("NEW YORK", "NEW YORK"),
    ],
)
def test_beir_datelines(write_lines: Write, dateline: str, located: str) -> None:
    path = write_lines({"_id": "1", "metadata": {"dateline": dateline}}, name="set/corpus.jsonl")
    (entry,) = list(sources(path))
    assert isinstance(entry, Accepted)
    assert entry.item.located == located


@pytest.mark.parametrize(
    ("document", "field", "reason"),
    [
        ({"text": "t"}, "_id", "_id is missing"),
        ({"_id": ""}, "_id", "wrong type"),
        ({"_id": 5}, "_id", "wrong type"),
        ({"_id": "1", "text": 5}, "text", "wrong type"),
        ({"_id": "1", "metadata": []}, "metadata", "wrong type"),
    ],
)
def test_bad_beir_documents(
    write_lines: Write, document: dict[str, Any], field: str, reason: str
) -> None:
    (entry,) = list(sources(write_lines(document, name="set/corpus.jsonl")))
    assert isinstance(entry, Rejected)
    assert entry.field == field
    assert entry.reason.startswith(reason)


@pytest.mark.deep
def test_all_of_reuters_is_read(shared: Path) -> None:
    assert read_of_reuters(shared, None) == {
        "Accepted": 19_043,
        "dated": 19_043,
        "located": 19_026,  # 17 datelines name no place
        "time of day not understood, taken as midnight": 1,
    }


def test_the_first_of_reuters_are_read(shared: Path) -> None:
    assert read_of_reuters(shared, 1000) == {"Accepted": 1000, "dated": 1000, "located": 1000}


def read_of_reuters(shared: Path, most: int | None) -> Counter[str]:
    counts: Counter[str] = Counter()
    for entry in islice(sources(shared / "datasets" / "reuters21578"), most):
        counts[type(entry).__name__] += 1
        if isinstance(entry, Accepted):
            counts["dated"] += entry.item.versioncreated.year == 1987
            counts["located"] += bool(entry.item.located)
            counts.update(entry.warnings)
    return counts
