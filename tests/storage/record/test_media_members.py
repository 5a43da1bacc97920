"""What pictures and videos have beside a text: recorded whole, and no change to what has none."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import orjson

from core.items import (
    Concept,
    Item,
    ItemType,
    MediaFile,
    Passage,
    PubStatus,
    Shot,
    second_of,
    shot_at,
    text_of,
)
from core.media_words import Look, SeenText, Utterance
from core.query_tree import Word
from core.writes import Outcome
from storage.embedded.record.archive import FILE
from storage.record.item_rows import content_digest, encode_document
from tests.storage.world import NOW, WIRE, SetClock, change, lexical, make_item, opened, write

THEN = datetime(2024, 3, 5, tzinfo=UTC)
TEXT = Item(
    "urn:x:1",
    3,
    ItemType.TEXT,
    THEN,
    THEN,
    "urn:x:1",
    headline="Ferry leaves",
    body="At dawn.",
    products=("wire",),
    source={"uri": "urn:x:1"},
)
PICTURE = Item(
    "urn:x:2",
    1,
    ItemType.PICTURE,
    THEN,
    THEN,
    "urn:x:1",
    description="A ferry.",
    person=(Concept("Ana", "p:1"),),
    urgency=4,
    embargoed=datetime(2026, 1, 1, tzinfo=UTC),
)
MEDIA = MediaFile("/media/a.jpg", "ab" * 32, "image/jpeg", 1000, 800, 600, thumbnail="t.jpg")
SHOTS = (Shot(0, 4, 0, 99, "start", "A ferry", "", 2, "k.jpg", "0f"), Shot(4, 8, 100, 199))
SPEECH = (Utterance(1.0, 2.0, "Thank you", ((1.0, 1.4, "Thank"), (1.4, 2.0, "you")), "en"),)
SEEN = (SeenText("Line 1\nLine 2", (0, 0, 1, 1), 3.0, 0.5), SeenText("EXIT", (0, 0, 1, 1), 6.0))


def test_an_item_without_media_has_the_digest_it_always_had() -> None:
    """As versions of this program without media computed it: archives of theirs are not written
    anew, and no second put of the same version is a conflict.
    """
    assert (content_digest(TEXT).hex(), content_digest(PICTURE).hex()) == (
        "8026ce572a6f61d98c7b9d088949b709cccfad6fa5237f4ca1a5b5618c44ecb8",
        "05502ddd3f73b14bad9f10866b853d313e7bac2a503bba54a7f21c05ee10d6cd",
    )


def test_every_member_of_media_makes_another_digest_but_the_place() -> None:
    plain = content_digest(PICTURE)
    with_media = replace(PICTURE, media=MEDIA)
    others = {
        content_digest(item)
        for item in (
            with_media,
            replace(PICTURE, caption="A boat", caption_by="m"),
            replace(PICTURE, caption="A boat", caption_by="n"),
            replace(PICTURE, shots=SHOTS),
            replace(PICTURE, shots=SHOTS[:1]),
            replace(PICTURE, speech=SPEECH, speech_by="m"),
            replace(PICTURE, speech=SPEECH),
            replace(PICTURE, seen=SEEN, seen_by="m"),
            replace(PICTURE, looks=(Look("tabby", 0.5),), looks_by="m"),
        )
    }
    assert len(others | {plain}) == 10
    moved = replace(with_media, media=replace(MEDIA, location="s3://bucket/a.jpg"))
    assert content_digest(moved) == content_digest(with_media)


def test_a_record_of_before_is_read(folder: Path) -> None:
    """Its documents have no member that this program added."""
    with opened(folder, SetClock()) as engine:
        write(engine, make_item("a", headline="Ferry"))
    document = orjson.loads(encode_document(TEXT))
    assert set(document) == {
        *("format", "headline", "description", "body", "byline", "slugline", "located", "ednote"),
        *("copyrightnotice", "usageterms", "source"),
    }
    with sqlite3.connect(folder / FILE) as connection:
        connection.execute("UPDATE items SET document = ?", (orjson.dumps(document),))
    connection.close()
    with opened(folder, SetClock()) as engine:
        item = engine.item("a", WIRE)
        assert item is not None
        assert (item.headline, item.media, item.caption, item.shots) == (
            "Ferry leaves",
            None,
            "",
            (),
        )


def test_only_a_document_with_words_of_its_media_has_the_new_format() -> None:
    items = (TEXT, replace(PICTURE, media=MEDIA, shots=SHOTS), replace(PICTURE, seen=SEEN))
    assert [orjson.loads(encode_document(item))["format"] for item in items] == [1, 1, 2]


def test_a_passage_says_its_second_and_its_shot() -> None:
    item = replace(PICTURE, shots=SHOTS, speech=SPEECH, seen=SEEN)
    lines = [
        Passage(name, start, len(text))
        for name in ("shotlist", "speech", "seen")
        for text in (text_of(item, name),)
        for start in (0, text.rindex("\n") + 1 if "\n" in text else 0)
    ]
    assert [second_of(item, line) for line in lines] == [0, 4, 1, 1, 3, 6]
    assert [shot_at(item, second) for second in (0, 3.9, 4, 8, 8.1)] == [1, 1, 2, 2, 0]
    assert second_of(item, Passage("description", 0, 4)) is None
    assert second_of(replace(item, seen=()), Passage("seen", 0, 4)) is None


def test_a_name_that_a_machine_made_up_is_read_nowhere(folder: Path) -> None:
    """Whoever recorded it: archives of before kept what a model said."""
    said = "A woman beside Angela Merkel"
    shots = (Shot(0, 4, 0, 99, description=said, described_by="m"),)
    members = {"caption": said, "caption_by": "m", "shots": shots}
    with opened(folder, SetClock()) as engine:
        write(engine, make_item("a", **members))
        write(engine, make_item("b", headline="Angela Merkel", **members))
        for uri, told in (("a", "A woman beside …"), ("b", said)):
            items = (engine.item(uri, WIRE), *engine.newest([uri]), *engine.chain(uri, WIRE))
            for item in (*items, *(one for one in engine.all_items() if one.uri == uri)):
                assert item is not None
                assert (item.caption, item.caption_by) == (told, "m")
                assert [shot.description for shot in item.shots] == [told]
        engine.catch_up()
        found = engine.retrieve(lexical(Word("merkel")))
        assert [item and item.uri for item in engine.items(found.ids, WIRE)] == ["b"]


def test_the_newest_version_whatever_its_state(folder: Path) -> None:
    with opened(folder, SetClock()) as engine:
        write(engine, make_item("a", 1))
        write(engine, make_item("a", 4, headline="newest"))
        write(engine, make_item("b"))
        change(engine, "a", pubstatus=PubStatus.CANCELED)
        a, unknown, b = engine.newest(["a", "unknown", "b"])
        assert engine.newest([]) == ()
    assert a is not None
    assert b is not None
    assert (a.version, a.headline, a.pubstatus) == (4, "newest", PubStatus.CANCELED)
    assert (unknown, b.uri) == (None, "b")


def test_undescribed_are_visible_media_that_nobody_describes(folder: Path) -> None:
    bare = {"type": ItemType.PICTURE, "headline": "", "media": MEDIA}
    with opened(folder, SetClock()) as engine:
        for uri, members in {
            "bare": {},
            "byline": {"byline": "B. Foto", "person": (Concept("Ana"),)},
            "blank": {"description": " \n"},
            "video": {"type": ItemType.VIDEO, "shots": SHOTS[1:]},
            "headline": {"headline": "Ferry"},
            "described": {"description": "Ferry"},
            "captioned": {"caption": "A boat", "caption_by": "m"},
            "shots": {"type": ItemType.VIDEO, "shots": SHOTS},
            "heard": {"type": ItemType.AUDIO, "speech": SPEECH, "speech_by": "m"},
            "read": {"seen": SEEN, "seen_by": "m"},
            "looked at": {"looks": (Look("tabby", 0.5),), "looks_by": "m"},
            "story": {"type": ItemType.TEXT, "media": None},
            "embargoed": {"embargoed": NOW.replace(year=2030)},
            "killed": {},
        }.items():
            assert write(engine, make_item(uri, **{**bare, **members})) is Outcome.CREATED
        change(engine, "killed", pubstatus=PubStatus.CANCELED)
        every = engine.undescribed(100)
        some = engine.undescribed(2)
        # A description that comes later takes it off the list.
        write(engine, make_item("bare", 2, **{**bare, "caption": "A boat", "caption_by": "m"}))
        later = engine.undescribed(100)
    assert [item.uri for item in every.items] == ["bare", "byline", "blank", "video"]
    assert (every.media, every.count) == (11, 4)
    assert ([item.uri for item in some.items], some.count) == (["bare", "byline"], 4)
    assert [item.uri for item in later.items] == ["byline", "blank", "video"]


def test_an_empty_archive_has_none(folder: Path) -> None:
    with opened(folder, SetClock()) as engine:
        assert engine.undescribed(10).count == 0
