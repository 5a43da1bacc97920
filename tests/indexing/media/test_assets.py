"""One media file and what is said of it, beside it and in it, become one item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from PIL import Image

from core.errors import DocumentError
from core.items import Item, ItemType, PubStatus, Shot
from core.media import Caption, MediaFacts, MediaKind
from core.media_words import Look, SeenText, Utterance
from core.writes import Outcome, PutItem, SetStatus
from indexing.media.assets import Asset, Enrichment, build_item
from indexing.media.inside.tags import picture_tags
from indexing.media.metadata.sidecars import XMP_PACKET, overlaid, sidecar_names, sidecar_of
from tests.indexing.media.metadata.described_media import alt, jpeg, packet
from tests.search.room import Room

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DIGEST = "ab" * 32
BY = "model 1, prompt 4f"
PICTURE = MediaFacts(MediaKind.PICTURE, "image/jpeg", "jpeg", 800, 600)
VIDEO = MediaFacts(MediaKind.VIDEO, "video/mp4", "h264", 1280, 720, duration_s=12.0, frame_rate=25)
SHOTS = (
    Shot(0.0, 4.0, 0, 99, "start", keyframe_s=2.0, thumbnail="k1.jpg"),
    Shot(4.0, 8.0, 100, 199, "cut", keyframe_s=6.0, thumbnail="k2.jpg"),
    Shot(8.0, 12.0, 200, 299, "gradual", keyframe_s=10.0, thumbnail="k3.jpg"),
)


def clock() -> datetime:
    return NOW


def built(
    sidecar: Mapping[str, Any] | None = None,
    made: Enrichment | None = None,
    recorded: Item | None = None,
    *,
    location: str = "/media/a.jpg",
    there: bool = True,
) -> Item:
    asset = Asset(location, DIGEST, 1000, sidecar, ("photos",))
    enrichment = made or Enrichment(PICTURE, thumbnail="t.jpg", preview="p.jpg", similarity="0f")
    return build_item(asset, enrichment, clock, recorded, lambda _: there).item


def caption(text: str, **members: Any) -> Caption:
    return Caption(text, BY, **members)


# Sidecars


def beside(files: Mapping[str, bytes], name: str = "clip.mp4") -> dict[str, Any] | None:
    tree, notes = sidecar_of(name, files.get)
    assert notes == ()
    return tree


def test_a_file_without_sidecars_has_none() -> None:
    assert beside({}) is None
    assert beside({"other.json": b"{}", "clip.mp4": b"..."}) is None


def test_the_nearer_name_goes_before_and_a_document_before_xmp() -> None:
    files = {
        "clip.mp4.json": b'{"headline": "One"}',
        "clip.json": b'{"headline": "Two", "byline": "Two"}',
        "clip.xmp": packet(
            "<photoshop:Headline>Three</photoshop:Headline>" + alt("dc:description", "Three")
        ).encode(),
    }
    tree = beside(files)
    assert tree is not None
    assert XMP_PACKET in tree
    assert [tree[name] for name in ("headline", "byline", "description_caption")] == [
        "One",
        "Two",
        "Three",
    ]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("clip.shots.csv", b"start,end,description\n4,8,Ferry"),
        ("clip.shots.json", b'[{"start": 4, "end": 8, "description": "Ferry"}]'),
        ("clip.mp4.shots.txt", b"0:04 - 0:08 Ferry"),
    ],
)
def test_a_supplied_shot_list_of_each_kind_describes_its_shot(name: str, data: bytes) -> None:
    item = built(beside({name: data}), Enrichment(VIDEO, SHOTS))
    assert [shot.description for shot in item.shots] == ["", "Ferry", ""]
    assert item.shots[1].described_by == ""
    assert item.shotlist == "\nFerry\n"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("clip.srt", b"1\n00:00:04,000 --> 00:00:08,000\nThank <i>you</i>.\n"),
        ("clip.mp4.vtt", b"WEBVTT\n\n00:04.000 --> 00:08.000\nThank you.\n"),
        ("clip.json", b'{"transcript": [{"start": 4, "end": 8, "text": "Thank you."}]}'),
    ],
)
def test_the_agencys_own_transcript_goes_before_a_machines(name: str, data: bytes) -> None:
    heard = Enrichment(VIDEO, SHOTS, speech=(Utterance(0.0, 2.0, "tank queue"),), speech_by=BY)
    item = built(beside({name: data}), heard)
    assert (item.speech, item.speech_by) == ((Utterance(4.0, 8.0, "Thank you."),), "")
    assert item.shotlist == ""
    assert "transcript" not in item.source


def test_words_of_machines_come_with_their_makers() -> None:
    said, seen = Utterance(0.0, 2.0, "thank you", language="en"), SeenText("EXIT", (0, 0, 1, 1))
    made = Enrichment(VIDEO, SHOTS, speech=(said,), speech_by="a", seen=(seen,), seen_by="b")
    item = built(None, replace(made, looks=(Look("ferry", 0.9),), looks_by="c"))
    assert (item.speech, item.speech_by, item.seen, item.seen_by) == ((said,), "a", (seen,), "b")
    assert (item.looks, item.looks_by) == ((Look("ferry", 0.9),), "c")


def test_a_name_that_only_a_machine_hears_is_no_part_of_the_item() -> None:
    said = Utterance(0.0, 2.0, "Thank you, Angela Merkel.", ((0.0, 0.4, "Thank"),), "en")
    made = Enrichment(VIDEO, SHOTS, speech=(said,), speech_by="a")
    (kept,) = built(None, made).speech
    assert (kept.text, kept.words) == ("Thank you, ….", said.words)
    assert built({"headline": "Angela Merkel in Bonn"}, made).speech == (said,)


def test_a_sidecar_that_cant_be_read_is_told_and_the_others_are_read() -> None:
    files = {"a.json": b"{", "a.xmp": b"<x", "a.shots.csv": b"", "a.jpg.json": b'{"headline": "A"}'}
    tree, notes = sidecar_of("a.jpg", files.get)
    assert tree == {"headline": "A"}
    assert [note.split(":")[0] for note in notes] == ["a.json", "a.xmp", "a.shots.csv"]


def test_no_name_leads_out_of_the_folder() -> None:
    for name in ("../../etc/passwd.jpg", "/etc/a.jpg", "a/b.jpg"):
        folder = name.rpartition("/")[0]
        assert all(one.rpartition("/")[0] in (folder, "") for one in sidecar_names(name))


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ({"descriptions": [{"value": "A"}]}, {"description_caption": "B"}, ["descriptions"]),
        ({"people": [{"name": "A"}]}, {"person": [{"name": "B"}]}, ["people"]),
        ({"title": "A"}, {"headline": "B", "byline": "C"}, ["byline", "title"]),
        ({"headline": "", "by": None}, {"headline": "B", "byline": "C"}, ["byline", "headline"]),
    ],
)
def test_a_member_replaces_what_says_the_same_under_another_name(
    first: dict[str, Any], second: dict[str, Any], kept: list[str]
) -> None:
    assert sorted(overlaid(first, second)) == kept


# Items


def test_a_photo_with_embedded_words_only() -> None:
    tags = {"iptc": {"Caption-Abstract": "A ferry leaves.", "City": "Porto", "Keywords": ["sea"]}}
    item = built(made=Enrichment(replace(PICTURE, tags=tags), thumbnail="t.jpg"))
    assert (item.uri, item.type) == (f"urn:sha256:{DIGEST}", ItemType.PICTURE)
    assert (item.description, item.located, item.products) == (
        "A ferry leaves.",
        "Porto",
        ("photos",),
    )
    assert [concept.name for concept in item.subject] == ["sea"]
    assert item.media is not None
    assert (item.media.location, item.media.size, item.media.thumbnail) == (
        "/media/a.jpg",
        1000,
        "t.jpg",
    )


def test_a_sidecar_overrides_what_is_embedded_and_leaves_the_rest() -> None:
    tags = {"iptc": {"Caption-Abstract": "Old words", "Headline": "Old", "By-line": "B. Foto"}}
    sidecar = {"uri": "urn:x:1", "descriptions": [{"role": "caption", "value": "New words"}]}
    item = built(sidecar, Enrichment(replace(PICTURE, tags=tags)))
    assert (item.uri, item.description, item.headline, item.byline) == (
        "urn:x:1",
        "New words",
        "Old",
        "B. Foto",
    )


ALT_TEXT = alt("core:AltTextAccessibility", "A white ferry at a quay")
LONG_TEXT = alt("core:ExtDescrAccessibility", "Seen from above, with two people on deck")


def built_of(data: bytes, sidecar: dict[str, Any] | None = None) -> Item:
    """The item of a picture that is read as the cage reads it."""
    with Image.open(BytesIO(data)) as image:
        tags = picture_tags(image, [])
    return built(sidecar, Enrichment(replace(PICTURE, tags=tags)))


@pytest.mark.parametrize(
    "captions",
    [
        {"iptc": {120: "Caption"}},
        {"exif": {0x10E: "Caption"}},
        {"xmp": alt("dc:description", "Caption")},
        {"xmp": alt("dc:description", "Caption"), "iptc": {120: "Of IIM"}, "exif": {0x10E: "E"}},
        {"iptc": {120: "Caption"}, "exif": {0x10E: "Of EXIF"}},
    ],
)
def test_a_caption_of_any_standard_goes_before_alt_texts_which_are_indexed_besides(
    captions: dict[str, Any],
) -> None:
    own = captions.get("xmp", "")
    item = built_of(jpeg(**{**captions, "xmp": packet(own + ALT_TEXT + LONG_TEXT)}))
    assert item.description == "Caption"
    assert item.body == "Seen from above, with two people on deck\nA white ferry at a quay"


def test_a_picture_without_a_caption_is_described_by_its_alt_text() -> None:
    item = built_of(jpeg(xmp=packet(ALT_TEXT)))
    assert (item.description, item.body) == ("A white ferry at a quay", "")
    item = built_of(jpeg(xmp=packet(ALT_TEXT + LONG_TEXT)))
    assert item.description == "Seen from above, with two people on deck"
    assert item.body == "A white ferry at a quay"


def test_an_alt_text_of_a_sidecar_hides_no_caption() -> None:
    aside = beside({"a.jpg.xmp": packet(ALT_TEXT).encode()}, "a.jpg")
    item = built_of(jpeg(iptc={120: "Caption"}), aside)
    assert (item.description, item.body) == ("Caption", "A white ferry at a quay")


def test_an_alt_text_that_repeats_the_caption_is_not_said_twice() -> None:
    repeated = alt("core:AltTextAccessibility", "Caption")
    item = built_of(jpeg(xmp=packet(repeated), iptc={120: "Caption"}))
    assert (item.description, item.body) == ("Caption", "")


@pytest.mark.parametrize("given", ["text", 5, {"a": 1}, [1, None]])
def test_a_document_that_has_a_member_of_that_name_says_nothing_by_it(given: object) -> None:
    assert built({"alt_texts": given, "description_caption": "Caption"}).body == ""


def test_rights_stay_as_they_are_written() -> None:
    inner = '<plus:DataMining rdf:resource="http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED"/>'
    tags = {"xmp": packet(inner + alt("rights:UsageTerms", "Editorial use only."))}
    item = built({"external_processing": False}, Enrichment(replace(PICTURE, tags=tags)))
    assert item.source["external_processing"] is False
    assert item.source["embedded_rights"]["DataMining"][0].endswith("DMI-PROHIBITED")
    assert item.usageterms == "Editorial use only."


def test_what_the_checks_of_every_document_refuse_is_refused_here() -> None:
    for sidecar in ({"headline": 7}, {"uri": " "}, {"version": -1}, {"type": "poem"}):
        with pytest.raises(DocumentError):
            built(sidecar)


def test_a_documents_own_type_counts_where_it_is_one_of_a_file() -> None:
    assert built({"type": "graphic"}).type is ItemType.GRAPHIC
    assert built({"type": "text"}).type is ItemType.PICTURE


# Machines


def test_a_machines_words_stand_beside_the_agencys() -> None:
    told = caption("A boat with Rui", persons=("Ana", "Eva"), keywords=("boat", "sea"))
    made = Enrichment(PICTURE, captions=(told,))
    item = built({"description_text": "Ana on the ferry Lusa."}, made)
    assert item.description == "Ana on the ferry Lusa."
    assert (item.caption, item.caption_by) == ("A boat with …\nAna, …, sea", BY)
    assert item.person == ()
    item = built({"description_text": "The ferry Lusa."}, made)
    assert item.caption == "A boat with …\nsea"


def test_a_machine_never_speaks_over_a_shot_that_people_described() -> None:
    lines = [{"start": 4.0, "end": 8.0, "description": "Ferry"}]
    made = Enrichment(VIDEO, SHOTS, (caption("A pier"), caption("A boat"), None))
    item = built({"shotlist": lines}, made)
    assert [(shot.description, shot.described_by) for shot in item.shots] == [
        ("A pier", BY),
        ("Ferry", ""),
        ("", ""),
    ]
    assert (item.agency_shotlist, item.machine_text) == ("Ferry", "A pier")
    assert "shotlist" not in item.source


def test_a_shots_line_is_one_line_whatever_a_machine_writes() -> None:
    made = Enrichment(VIDEO, SHOTS, (caption("A\n\npier\u2028 \x00here"), None, None))
    item = built(None, made)
    assert item.shotlist.count("\n") == 2
    assert item.shots[0].description == "A pier here"


def test_lines_beyond_the_video_are_its_text() -> None:
    lines = [
        {"start": 1.0, "end": 3.0, "description": "Pier"},
        {"start": 90.0, "description": "Late"},
    ]
    item = built({"shotlist": lines, "body_text": "Script."}, Enrichment(VIDEO, SHOTS))
    assert item.body == "Script.\n00:01:30.000 Late"


@pytest.mark.parametrize("lines", ["x", [1], [{"start": 1}], [{"description": ["x"] * 3}] * 30_000])
def test_a_shot_list_that_is_none_is_a_document_error(lines: object) -> None:
    with pytest.raises(DocumentError):
        built({"shotlist": lines}, Enrichment(VIDEO, SHOTS))


def test_undescribed_is_what_nobody_describes() -> None:
    assert not built().is_described
    assert not built({"byline": "B. Foto"}).is_described
    assert built({"headline": "Ferry"}).is_described
    assert built(made=Enrichment(PICTURE, captions=(caption("A boat"),))).is_described
    assert built(
        {"shotlist": [{"start": 1.0, "description": "Pier"}]}, Enrichment(VIDEO, SHOTS)
    ).is_described


# Versions


def test_a_second_build_is_the_same_version_and_a_change_is_the_next() -> None:
    first = built({"headline": "Ferry"})
    assert built({"headline": "Ferry"}, recorded=first) == first
    second = built({"headline": "Ferry leaves"}, recorded=first)
    assert second.version == first.version + 1
    assert built({"headline": "Ferry"}, recorded=second).version == second.version + 1


def test_a_documents_own_version_is_left_alone() -> None:
    first = built({"headline": "Ferry", "version": 3})
    assert built({"headline": "Other", "version": 3}, recorded=first).version == 3


def test_a_new_caption_is_a_new_version_and_another_place_is_one_only_where_the_old_is_gone() -> (
    None
):
    first = built()
    with_words = built(made=Enrichment(PICTURE, captions=(caption("A boat"),)), recorded=first)
    assert with_words.version == first.version + 1
    assert built(recorded=first, location="/copy.jpg") == replace(
        first, media=first.media and replace(first.media, location="/copy.jpg")
    )
    moved = built(recorded=first, location="/new/a.jpg", there=False)
    assert moved.version == first.version + 1


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    opened = Room(tmp_path)
    yield opened
    opened.engine.close()


def put(room: Room, item: Item) -> Outcome:
    (written,) = room.engine.put([PutItem(item)])
    return written.outcome


def newest(room: Room, uri: str) -> Item | None:
    (found,) = room.engine.newest([uri])
    return found


def test_the_record_takes_each_rule(room: Room) -> None:
    first = built({"headline": "Ferry"})
    assert put(room, first) is Outcome.CREATED
    again = built({"headline": "Ferry"}, recorded=newest(room, first.uri))
    assert put(room, again) is Outcome.UNCHANGED
    changed = built({"headline": "Ferry leaves"}, recorded=newest(room, first.uri))
    assert put(room, changed) is Outcome.SUPERSEDED


def test_a_new_caption_does_not_bring_back_what_was_killed(room: Room) -> None:
    first = built({"headline": "Ferry"})
    put(room, first)
    room.engine.set_status([SetStatus(first.uri, PubStatus.CANCELED)])
    made = Enrichment(PICTURE, captions=(caption("A boat"),))
    second = built({"headline": "Ferry"}, made, newest(room, first.uri))
    assert put(room, second) is Outcome.SUPERSEDED
    found = newest(room, first.uri)
    assert found is not None
    assert (found.caption, found.pubstatus) == ("A boat", PubStatus.CANCELED)
    # The desk says so itself: that is a new statement.
    third = built({"headline": "Ferry", "pubstatus": "usable"}, made, found)
    assert third.pubstatus is PubStatus.USABLE


def test_every_item_is_json() -> None:
    tags = {"xmp": packet(alt("dc:description", "Ferry")), "exif": {"Artist": "Ana"}}
    item = built(None, Enrichment(replace(VIDEO, tags=tags), SHOTS))
    assert orjson.loads(orjson.dumps(item.source)) == item.source
