"""What NewsML-G2, NITF, RSS and Atom become, and what hostile XML gets."""

from __future__ import annotations

import gzip
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, tostring

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from core.errors import DocumentError, InputError
from core.items import Concept, Item, ItemType, PubStatus
from indexing import ninjs
from indexing.formats import newsml, xml_documents, xml_tree
from indexing.sources import Accepted, Reading, Rejected, Sources
from tests.indexing.formats.golden import SAMPLES, XML, expected, shown, xml_entries

NOW = datetime(2026, 3, 1, tzinfo=UTC)
Shape = tuple[str, dict[str, str], list[Any]]
G2 = 'xmlns="http://iptc.org/std/nar/2006-10-01/"'


def put(path: Path, data: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def readings(*paths: Path) -> tuple[list[Reading], Sources]:
    found = Sources(paths, lambda: NOW)
    return list(found), found


def items(found: Sequence[Reading]) -> dict[str, Item]:
    return {entry.item.uri: entry.item for entry in found if isinstance(entry, Accepted)}


@pytest.mark.parametrize("name", XML)
def test_a_sample_becomes_the_expected_documents(name: str) -> None:
    assert shown(xml_entries((SAMPLES / f"{name}.xml").read_bytes())) == expected(name)


@pytest.mark.parametrize("name", XML)
def test_what_is_made_is_valid_ninjs(name: str, shared: Path) -> None:
    schema = orjson.loads((shared / "contract/ninjs/ninjs-schema_3.1.json").read_bytes())
    validator = Draft202012Validator(schema)
    trees = [entry["tree"] for entry in expected(name) if "tree" in entry]
    assert trees
    assert [list(validator.iter_errors(tree)) for tree in trees] == [[] for _ in trees]


def test_items_of_newsml() -> None:
    found, _ = readings(SAMPLES / "newsml.xml")
    prefix = "urn:newsml:dateline.example:20260315:"
    by_uri = items(found)
    story, photo = by_uri[prefix + "ferry-1"], by_uri[prefix + "ferry-photo"]
    assert (story.version, story.type, story.language) == (2, ItemType.TEXT, "en-gb")
    assert story.embargoed == datetime(2026, 3, 15, 12, tzinfo=UTC)
    assert story.body.split("\n") == [
        "A ferry with 120 people ran aground & was freed.",
        "",
        "Nobody was hurt.",
        "The captain is John Roe.",
    ]
    assert story.subject[0] == Concept("transport accident", "medtop:20000002")
    assert (photo.type, photo.pubstatus) == (ItemType.PICTURE, PubStatus.WITHHELD)
    assert photo.description == "The ferry lies on a sandbank."
    assert by_uri[prefix + "ferry-package"].type is ItemType.COMPOSITE
    assert by_uri[prefix + "ferry-nitf"].body == "The tide freed the ferry."
    bad = [entry for entry in found if isinstance(entry, Rejected)]
    assert [(entry.line, "conceptItem" in entry.reason) for entry in bad] == [(94, True)]


def test_items_of_nitf_and_feeds() -> None:
    found, _ = readings(*(SAMPLES / f"{name}.xml" for name in ("nitf", "rss", "atom")))
    by_uri = items(found)
    story = by_uri["urn:nitf:dateline.example:20260315-ferry"]
    assert (story.version, story.urgency, story.located) == (3, 4, "Hamburg")
    assert story.embargoed == datetime(2026, 3, 15, 9, 30, tzinfo=UTC)
    assert story.body.startswith("A ferry with 120 people ran aground.\n\nNobody was hurt.")
    assert by_uri["urn:feed:https://dateline.example/:ferry-1"].version == 1773572400
    assert by_uri["urn:uuid:ferry-1"].headline == "Ferry runs aground"
    assert by_uri["urn:uuid:ferry-2"].pubstatus is PubStatus.WITHHELD


def test_parts_of_a_video_are_its_shots(tmp_path: Path) -> None:
    parts = (
        '<partMeta><timeDelim start="0" end="4000" timeunit="tunit:milliseconds"/>'
        "<description>A ferry at sea</description></partMeta>"
        '<partMeta><timeDelim start="4" end="9.25" timeunit="seconds"/>'
        "<headline>Tugs</headline><description>Two tugs pull</description></partMeta>"
        '<partMeta><timeDelim start="00:00:09:12" end="00:00:12:00" timeunit="tunit:timeCode"/>'
        "<description>The harbour</description></partMeta>"
        '<partMeta><timeDelim start="1" timeunit="tunit:editUnit"/>'
        "<description>Frames of what rate?</description></partMeta>"
    )
    meta = '<itemMeta><itemClass qcode="ninat:video"/></itemMeta>'
    item = f'<newsItem {G2} guid="urn:x:1" version="1">{meta}{parts}</newsItem>'
    [found], _ = readings(put(tmp_path / "a.xml", item))
    assert isinstance(found, Accepted)
    shots = [(shot.start_s, shot.end_s, shot.description) for shot in found.item.shots]
    assert shots[:2] == [(0, 4, "A ferry at sea"), (4, 9.25, "Tugs: Two tugs pull")]
    assert (round(shots[2][0], 2), shots[2][2]) == (9.48, "The harbour")
    assert len(shots) == 3
    assert len(found.warnings) == 1


HOSTILE = [
    ('<!DOCTYPE nitf [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><nitf>&b;</nitf>', "entities"),
    ('<!DOCTYPE nitf [<!ENTITY a SYSTEM "file:///etc/passwd">]><nitf>&a;</nitf>', "entities"),
    ('<!DOCTYPE nitf [<!ENTITY % a SYSTEM "http://127.0.0.1/x"> %a;]><nitf/>', "entities"),
    ("<nitf>" + "<p>" * 200 + "</p>" * 200 + "</nitf>", "nested too deeply"),
    ("<nitf>" + "<p/>" * (xml_tree.MAX_ELEMENTS + 1) + "</nitf>", "too many elements"),
    ("<nitf>", "malformed XML"),
    ("", "malformed XML"),
    ('<?xml version="1.0" encoding="made-up"?><nitf/>', "malformed XML"),
    ("<nitf>&undeclared;</nitf>", "malformed XML"),
]


@pytest.mark.parametrize(("text", "reason"), HOSTILE, ids=[reason for _, reason in HOSTILE])
def test_hostile_xml_is_refused(text: str, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        xml_tree.parse(text.encode())


def test_a_compressed_bomb_is_read_to_the_limit_only(tmp_path: Path) -> None:
    big = b"<nitf>" + b" " * (xml_tree.MAX_XML_BYTES + 1) + b"</nitf>"
    found, _ = readings(put(tmp_path / "bomb.xml.gz", gzip.compress(big)))
    assert [entry.reason.split(":")[0] for entry in found if isinstance(entry, Rejected)] == [
        "document too large"
    ]


@pytest.mark.parametrize(
    ("inside", "field"),
    [
        ("<itemMeta><embargoed/></itemMeta>", "embargoedUntil"),
        ("<itemMeta><embargo>2030-01-01T00:00:00Z</embargo></itemMeta>", "embargo"),
        ("<itemMeta><pubStatus/></itemMeta>", "pubStatus"),
        ('<itemMeta><pubStatus qcode="stat:secret"/></itemMeta>', "pubStatus"),
        ("<itemMeta><versionCreated>soon</versionCreated></itemMeta>", "versionCreated"),
    ],
)
def test_what_could_hide_an_item_is_never_passed_over(
    tmp_path: Path, inside: str, field: str
) -> None:
    item = f'<newsItem {G2} guid="urn:x:1" version="1">{inside}</newsItem>'
    found, _ = readings(put(tmp_path / "a.xml", item))
    assert [entry.field for entry in found if isinstance(entry, Rejected)] == [field]
    assert len(found) == 1


def test_a_bad_item_costs_only_itself(tmp_path: Path) -> None:
    good, bad = (f'<newsItem guid="{guid}" version="1"/>' for guid in ("urn:x:1", ""))
    text = f"<newsMessage {G2}>\n<itemSet>\n{good}\n{bad}\n{good}</itemSet></newsMessage>"
    found, _ = readings(put(tmp_path / "a.xml", text))
    assert [(type(entry), entry.line) for entry in found] == [
        (Accepted, 3),
        (Rejected, 4),
        (Accepted, 5),
    ]


def test_xml_of_another_root_is_counted_in_a_folder_and_refused_by_name(tmp_path: Path) -> None:
    path = put(tmp_path / "in" / "a.xml", "<svg/>")
    found, sources = readings(tmp_path / "in")
    assert (found, dict(sources.ignored)) == ([], {".xml of root svg": 1})
    named, _ = readings(path)
    assert [type(entry) for entry in named] == [Rejected]


def test_endings_in_capitals_are_the_same_endings(tmp_path: Path) -> None:
    put(tmp_path / "A.XML", '<newsItem guid="urn:x:1" version="1"/>')
    put(tmp_path / "B.JSON", '{"uri": "urn:x:2"}')
    found, sources = readings(tmp_path)
    assert (sorted(items(found)), sources.ignored) == (["urn:x:1", "urn:x:2"], {})


def test_a_file_of_no_known_kind_is_refused_with_a_way(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        readings(put(tmp_path / "a.docx", b"x"))
    assert ".docx" in caught.value.what
    assert caught.value.mend


def test_the_time_of_a_feed_grows_with_its_items() -> None:
    """What a feed says of all items is read once: it was read for each, some minutes for these."""
    items = "<item><link>a:b</link></item>" * 20_000
    started = time.process_time()
    found = xml_entries(f"<rss><channel>{items}</channel></rss>".encode())
    assert len(found) == 20_000
    assert time.process_time() - started < 30


samples = st.sampled_from([(SAMPLES / f"{name}.xml").read_bytes() for name in XML])
cuts = st.tuples(st.integers(0, 6000), st.integers(0, 60), st.binary(max_size=20))


@given(samples, st.lists(cuts, min_size=1, max_size=4))
def test_mutated_xml_gives_documents_or_reasons(
    data: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    """Nothing but DocumentError comes out of any bytes."""
    for at, length, new in changes:
        at %= len(data) or 1
        data = data[:at] + new + data[at + length :]
    try:
        found = xml_documents.documents(xml_tree.parse(data))
    except DocumentError:
        return
    for entry in found or ():
        assert (entry.tree is None) != (entry.error is None)
        if entry.tree is not None:
            try:
                ninjs.read_tree(entry.tree, lambda: NOW)
            except DocumentError:
                continue


NAMES = (
    "newsItem itemMeta contentMeta subject name embargoed pubStatus contentSet inlineXML html body"
    " nitf groupSet group itemRef remoteContent urgency description rightsInfo"
)
names = st.sampled_from(NAMES.split())
attributes = st.dictionaries(
    st.sampled_from(["guid", "version", "qcode", "type", "residref", "href", "size", "duration"]),
    st.text(st.characters(categories=["L", "N", "P"]), max_size=12),
    max_size=3,
)
elements = st.recursive(
    st.tuples(names, attributes, st.just([])),
    lambda inner: st.tuples(names, attributes, st.lists(inner, max_size=3)),
    max_leaves=25,
)


@given(st.lists(elements, max_size=4))
def test_any_shape_of_newsml_gives_documents_or_reasons(shapes: list[Shape]) -> None:
    def made(shape: Shape) -> Element:
        element = Element(shape[0], shape[1])
        element.text = "12"
        element.extend(made(each) for each in shape[2])
        return element

    root = Element("newsItem", {"guid": "urn:x:1"})
    root.extend(made(shape) for shape in shapes)
    tree = xml_tree.parse(tostring(root))
    for entry in newsml.documents(tree):
        assert (entry.tree is None) != (entry.error is None)
