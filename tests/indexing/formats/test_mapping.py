"""What a mapping makes of the rows of tables and of documents of other schemas."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DocumentError, InputError
from core.writes import Outcome
from indexing import ninjs, records
from indexing.formats import bulk, mapping
from indexing.formats.entries import Row
from indexing.ingest import Ingest, IngestOptions
from indexing.sources import Accepted, Reading, Rejected, Sources
from tests.indexing.formats.golden import (
    SAMPLES,
    bulk_entries,
    csv_entries,
    expected,
    sample,
    shown,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PLAIN = '[columns]\nid = "uri"\ntitle = "headline"\n'


def put(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(*paths: Path, told: str) -> list[Reading]:
    return list(Sources(paths, lambda: NOW, mapping=mapping.parse(told)))


def tree_of(told: str, values: dict[str, Any], *, is_table: bool = True) -> dict[str, Any]:
    entry = mapping.document(Row(1, values, is_table=is_table), mapping.parse(told))
    if entry.error is not None:
        raise entry.error
    assert entry.tree is not None
    return entry.tree


@pytest.mark.parametrize("name", ["table", "bulk"])
def test_a_sample_becomes_the_expected_documents(name: str) -> None:
    assert shown(sample(name)) == expected(name)


MISTAKES = [
    ("", "columns"),
    ("[columns]\n", "columns"),
    ('[columns]\ntitle = "headline"\n', "columns"),
    ('[columns]\nid = "uri"\ntitle = "haedline"\n', "title"),
    ('[columns]\nid = "uri"\ntitle = "keywords"\n', "title"),
    ('[columns]\nid = "uri"\na = "headline"\nb = "headline"\n', "b"),
    ('[columns]\nid = "uri"\na = "headline.part"\n', "a"),
    ('[columns]\nid = {member = "uri", formt = "x"}\n', "id.formt"),
    ('[columns]\nid = {member = "uri", zone = "Europe/Atlantis"}\n', "id"),
    ('[columns]\nid = {member = "uri", zone = "../../etc/passwd"}\n', "id"),
    ("[columns]\nid = 5\n", "id"),
    ('[constants]\nheadlin = "x"\n[columns]\nid = "uri"\n', "constants"),
    ('[csv]\ndelimiter = ";;"\n[columns]\nid = "uri"\n', "csv.delimiter"),
]


@pytest.mark.parametrize(("told", "where"), MISTAKES)
def test_a_mistake_in_a_mapping_is_named_with_its_place(told: str, where: str) -> None:
    with pytest.raises(InputError) as caught:
        mapping.parse(told)
    assert caught.value.where == where
    assert caught.value.mend


def test_a_mapping_that_is_no_toml_or_not_there(tmp_path: Path) -> None:
    for path in (put(tmp_path / "m.toml", b"\xff"), put(tmp_path / "n.toml", "x"), tmp_path / "o"):
        with pytest.raises(InputError) as caught:
            mapping.read(path)
        assert str(path) in caught.value.where


VALUES = [
    ({"member": "urgency"}, "3", 3),
    ({"member": "urgency"}, Decimal("4.0"), 4),
    ({"member": "headline"}, 12, "12"),
    ({"member": "versioncreated", "date": "unix"}, 0, "1970-01-01T00:00:00+00:00"),
    ({"member": "versioncreated", "date": "%d/%m/%y"}, "01/02/26", "2026-02-01T00:00:00"),
    ({"member": "versioncreated"}, "2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z"),
    ({"member": "versioncreated"}, datetime(2026, 2, 1, tzinfo=UTC), "2026-02-01T00:00:00+00:00"),
    (
        {"member": "versioncreated", "zone": "America/New_York"},
        datetime(2026, 7, 1),
        "2026-07-01T00:00:00-04:00",
    ),
    ({"member": "usageterms"}, ["a", "b"], ["a", "b"]),
    ({"member": "subject.code"}, ["medtop:1"], [{"code": "medtop:1"}]),
    ({"member": "subject"}, {"name": "n", "code": "c"}, [{"name": "n", "code": "c"}]),
    ({"member": "body_text", "join": "|", "separator": ";"}, "a; b;", "a|b"),
    ({"member": "pubstatus", "values": {"1": "usable"}}, 1, "usable"),
]


@pytest.mark.parametrize(("column", "value", "becomes"), VALUES)
def test_values(column: dict[str, Any], value: object, becomes: object) -> None:
    told = mapping.RowMapping(
        (mapping._rule("x", mapping.Column(**column)),), {"uri": "u"}, frozenset(), mapping.Csv()
    )
    entry = mapping.document(Row(1, {"x": value}), told)
    assert entry.tree is not None
    assert entry.tree[column["member"].partition(".")[0]] == becomes


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ('{member = "urgency"}', "high"),
        ('{member = "headline"}', True),
        ('{member = "headline"}', b"x"),
        ('{member = "versioncreated", date = "unix"}', "1e300"),
        ('{member = "versioncreated", date = "%Y"}', "26"),
        ('{member = "pubstatus", values = {a = "usable"}}', "b"),
    ],
)
def test_a_bad_value_names_its_column(column: str, value: object) -> None:
    told = f'[columns]\nid = "uri"\nx = {column}\n'
    with pytest.raises(DocumentError) as caught:
        tree_of(told, {"id": "u", "x": value})
    assert caught.value.field == "x"


def test_paths_and_lists_on_the_way() -> None:
    told = '[columns]\nid = "uri"\n"a.b" = "headline"\n"tags.n" = "subject"\n"x.y" = "slugline"\n'
    values = {"id": "u", "a": {"b": "B"}, "tags": [{"n": "1"}, {"n": "2"}, {}], "x.y": "dotted"}
    assert tree_of(told, values, is_table=False) == {
        "uri": "u",
        "headline": "B",
        "subject": [{"name": "1"}, {"name": "2"}],
        "slugline": "dotted",
    }


@pytest.mark.parametrize("name", ["embargo", "EmbargoDate", "embargoed_until", "meta.embargo"])
def test_an_embargo_that_no_rule_reads_refuses_its_row_only(name: str) -> None:
    values: dict[str, Any] = {"id": "u", name: "2026-12-01"}
    with pytest.raises(DocumentError):
        tree_of(PLAIN, values)
    assert tree_of(PLAIN, {**values, name: ""}) == {"uri": "u"}
    assert tree_of(f'ignore = ["{name}"]\n{PLAIN}', values) == {"uri": "u"}


def test_an_empty_embargo_is_no_value_in_a_table_and_refused_in_a_document() -> None:
    told = f'{PLAIN}until = "embargoed"\n'
    assert tree_of(told, {"id": "u", "until": " "}) == {"uri": "u"}
    tree = tree_of(told, {"id": "u", "until": ""}, is_table=False)
    with pytest.raises(DocumentError):
        ninjs.read_tree(tree, lambda: NOW)


def test_a_table_without_a_mapped_column_is_refused_whole(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "id;title\n1;x\n")
    found = read(path, told=PLAIN)
    assert [(entry.line, entry.field) for entry in found if isinstance(entry, Rejected)] == [
        (1, "id")
    ]
    optional = '[columns]\nid = "uri"\ntitle = { member = "headline", optional = true }\n'
    found = read(put(tmp_path / "b.csv", "id\n1\n"), told=optional)
    assert [type(entry) for entry in found] == [Accepted]
    found = read(put(tmp_path / "c.csv", "id,title,id\n1,x,2\n"), told=PLAIN)
    assert [entry.field for entry in found if isinstance(entry, Rejected)] == ["id"]


def test_bytes_of_another_encoding_cost_their_row(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", b"id,title\n1,ok\n2,\xff\n3,ok\n")
    assert [(type(entry), entry.line) for entry in read(path, told=PLAIN)] == [
        (Accepted, 2),
        (Rejected, 3),
        (Accepted, 4),
    ]


def test_a_header_of_another_encoding_is_refused_and_long_names_are_cut(tmp_path: Path) -> None:
    [found] = read(put(tmp_path / "a.csv", b"id,title,\xff\n1,ok,x\n"), told=PLAIN)
    assert isinstance(found, Rejected)
    assert json.dumps([found.field, found.reason]).isascii()
    [found] = read(put(tmp_path / "b.csv", f"id,title,{'x' * 9000}\n1,ok,x\n"), told=PLAIN)
    assert isinstance(found, Accepted)
    assert [len(warning) for warning in found.warnings] == [200]


def test_a_row_that_never_ends_costs_its_first_line(tmp_path: Path) -> None:
    rows = "".join(f"{number},x\n" for number in range(2_000))
    path = put(tmp_path / "a.csv", f'id,title\nbad,"open\n{rows}')
    told = mapping.parse(PLAIN)
    found = list(Sources([path], lambda: NOW, max_document_bytes=5_000, mapping=told))
    assert [entry.line for entry in found if isinstance(entry, Rejected)] == [2]
    assert sum(isinstance(entry, Accepted) for entry in found) == 2_000


def test_tabs_and_long_lines(tmp_path: Path) -> None:
    path = put(tmp_path / "a.tsv", "id\ttitle\n1\ta,b\n2\t" + "x" * 9_000 + "\n3\tc\n")
    told = mapping.parse(PLAIN)
    found = list(Sources([path], lambda: NOW, max_document_bytes=5_000, mapping=told))
    assert [type(entry) for entry in found] == [Accepted, Rejected, Accepted]


def test_rows_take_the_same_way_as_documents(tmp_path: Path, ingest: Ingest) -> None:
    told = '[columns]\nid = "uri"\ntitle = "headline"\nv = "version"\n'
    options = IngestOptions(mapping=mapping.parse(told))
    first = put(tmp_path / "a.csv", "id,title,v\na,one,1\nb,two,1\n")
    assert ingest.run([first], options).outcomes == {Outcome.CREATED: 2}
    second = put(tmp_path / "b.csv", "id,title,v\na,one,1\nb,two,2\n")
    assert ingest.run([second], options).outcomes == {Outcome.UNCHANGED: 1, Outcome.SUPERSEDED: 1}


def test_bulk_lines_of_ninjs_need_no_mapping(tmp_path: Path) -> None:
    lines: list[Any] = [
        {"index": {"_id": "a"}},
        {"headline": "x"},
        {"index": {"_id": "ignored"}},
        {"uri": "b"},
        {"uri": "c"},
        {"_id": "d", "_source": {"headline": "y"}},
        {"delete": {"_id": "e"}},
    ]
    path = put(tmp_path / "a.ndjson", "\n".join(map(json.dumps, lines)))
    found = list(Sources([path], lambda: NOW))
    assert [(entry.item.uri, entry.line) for entry in found if isinstance(entry, Accepted)] == [
        ("a", 2),
        ("b", 4),
        ("c", 5),
        ("d", 6),
    ]
    assert [entry.line for entry in found if isinstance(entry, Rejected)] == [7]


def test_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    rows = [
        {"id": 1, "at": datetime(2026, 3, 15, 10), "tags": ["a", "b"], "who": {"name": "Ann"}},
        {"id": 2, "at": None, "tags": None, "who": None},
    ]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    told = (
        '[columns]\nid = { member = "uri", prefix = "urn:x:" }\ntags = "subject"\n'
        'at = { member = "versioncreated", zone = "Europe/Berlin" }\nwho.name = "byline"\n'
    )
    found = read(path, told=told)
    items = [entry.item for entry in found if isinstance(entry, Accepted)]
    assert [item.uri for item in items] == ["urn:x:1", "urn:x:2"]
    assert items[0].versioncreated == datetime(2026, 3, 15, 9, tzinfo=UTC)
    assert items[0].byline == "Ann"
    assert [concept.name for concept in items[0].subject] == ["a", "b"]
    progress = Sources([path], lambda: NOW, mapping=mapping.parse(told))
    seen = [progress.done_bytes for _ in progress]
    assert 0 < seen[0] <= progress.total_bytes // 2 < seen[1] <= progress.done_bytes
    whole = path.read_bytes()
    for size in (0, 4, len(whole) // 2, len(whole) - 9):
        broken = read(put(tmp_path / "b.parquet", whole[:size]), told=told)
        assert [type(entry) for entry in broken] == [Rejected]


def test_parquet_without_its_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(InputError) as caught:
        read(put(tmp_path / "a.parquet", b"x"), told=PLAIN)
    assert "dateline-search[parquet]" in caught.value.mend


TABLE = (SAMPLES / "table.csv").read_bytes()
BULK = (SAMPLES / "bulk.ndjson").read_bytes()
cuts = st.tuples(st.integers(0, 2000), st.integers(0, 40), st.binary(max_size=12))


def changed(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for at, length, new in changes:
        at %= len(data) or 1
        data = data[:at] + new + data[at + length :]
    return data


@given(st.lists(cuts, min_size=1, max_size=5), st.sampled_from(["cp1252", "utf-8-sig"]))
def test_mutated_tables_give_documents_or_reasons(
    changes: list[tuple[int, int, bytes]], encoding: str
) -> None:
    told = mapping.parse((SAMPLES / "table.toml").read_text().replace("cp1252", encoding))
    for entry in csv_entries(changed(TABLE, changes), told):
        assert (entry.tree is None) != (entry.error is None)


@given(st.lists(cuts, min_size=1, max_size=5), st.booleans())
def test_mutated_bulk_lines_give_documents_or_reasons(
    changes: list[tuple[int, int, bytes]], with_mapping: bool
) -> None:
    told = mapping.read(SAMPLES / "bulk.toml") if with_mapping else None
    for entry in bulk_entries(changed(BULK, changes), told):
        assert (entry.tree is None) != (entry.error is None)


cells = st.text(st.sampled_from('ab",;\n\r\t '), max_size=8)


@given(st.lists(st.tuples(cells, cells), max_size=6))
def test_what_a_csv_writer_writes_is_read_as_it_was(rows: list[tuple[str, str]]) -> None:
    import csv

    text = io.StringIO()
    csv.writer(text).writerows([("id", "title"), *rows])
    entries = csv_entries(text.getvalue().encode(), mapping.parse(PLAIN))
    found = [entry.tree for entry in entries]
    told = [{"id": a.strip(), "title": b.strip()} for a, b in rows]
    names = (("id", "uri"), ("title", "headline"))
    assert found == [{new: row[old] for old, new in names if row[old]} for row in told]


def test_records_are_paired_by_lines() -> None:
    data = b'{"index":{"_id":"1"}}\n\n{"a":1}\n{"index":{}}\n{"b":2}\n'
    found = [
        row for row in bulk.rows(records.lines(io.BytesIO(data), 1000)) if isinstance(row, Row)
    ]
    assert [(row.line, dict(row.values)) for row in found] == [
        (3, {"a": 1, "_id": "1"}),
        (5, {"b": 2}),
    ]
