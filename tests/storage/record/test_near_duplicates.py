"""Signatures: what goes into one, what it estimates, and how the record keeps it."""

from __future__ import annotations

import hashlib
import random
import re
import sqlite3
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.items import ItemType
from core.query_tree import EVERYTHING
from storage.record.near_duplicates import COLUMNS, SCHEME, as_rows, shingles_of, signature_of
from tests.storage.world import SetClock, change, lexical, make_item, opened, write

LONG = " ".join(f"word{number}" for number in range(60))


@pytest.mark.parametrize(
    ("text", "shingles"),
    [
        ("", []),
        ("  … !", []),
        ("Fire", ["fire"]),
        ("FIRE, on a quay!", ["fire on a quay"]),
        ("one two three four five", ["one two three four five"]),
        ("one two three four five six", ["one two three four five", "two three four five six"]),
        ("Ｆｉｒｅ am Kai", ["fire am kai"]),
        ("Straße", ["strasse"]),
    ],
)
def test_shingles(text: str, shingles: list[str]) -> None:
    assert list(shingles_of(text)) == shingles


PIECES = st.sampled_from(
    [
        "\ufdfa",
        " ",
        ". ",
        "=",
        "a",
        "e\u0301",
        "\u0338",
        "\u0345",
        "\u1100\u1161",
        "ﬁ",
        "Σ",
        "ß",
        "½",
    ]
)


@given(st.lists(PIECES, min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_a_long_text_in_parts_has_the_words_of_the_whole(pieces: list[str]) -> None:
    text = "".join(pieces) * (20_000 // len("".join(pieces)))
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
    shingles = [" ".join(words[n : n + 5]) for n in range(max(1, len(words) - 4))]
    assert list(shingles_of(text)) == list(filter(None, shingles))


def test_what_tells_an_item() -> None:
    """Text items are told by headline and body, by the description where there is no body."""
    assert signature_of(make_item("a", body="x y", type=ItemType.PICTURE)) == b""
    assert signature_of(make_item("a", headline="", body="")) == b""
    story = make_item("a", headline="H", body="x y")
    assert len(signature_of(story)) == 2 * COLUMNS
    same = make_item("b", headline="h", body="X, y", description="other", byline="someone")
    assert signature_of(same) == signature_of(story)
    assert signature_of(make_item("b", headline="H", body="x z")) != signature_of(story)
    assert signature_of(make_item("b", headline="H", description="x y")) == signature_of(story)


def test_a_scheme_s_signatures_stay_the_same() -> None:
    """Recorded signatures are compared with fresh ones: where this fails, raise its number."""
    digest = hashlib.sha256(signature_of(make_item("a", headline="A", body=LONG))).hexdigest()
    assert (SCHEME, digest[:16]) == (1002, "33fb16859877d119")


@given(st.integers(0, 100), st.integers(0, 2**32))
def test_the_share_of_equal_columns_estimates_the_similarity(changed: int, seed: int) -> None:
    """Within 5 standard errors of the Jaccard similarity of the shingles."""
    rng = random.Random(seed)
    words = [f"w{rng.randrange(10**9)}" for _ in range(150)]
    others = [
        f"v{rng.randrange(10**9)}" if place < changed else word for place, word in enumerate(words)
    ]
    one, other = " ".join(words), " ".join(others)
    first, second = set(shingles_of(one)), set(shingles_of(other))
    similarity = len(first & second) / len(first | second)
    rows = as_rows(signature_of(make_item("a", headline="", body=text)) for text in (one, other))
    estimate = float(np.mean(rows[0] == rows[1]))
    error = (similarity * (1 - similarity) / COLUMNS) ** 0.5
    assert abs(estimate - similarity) <= 5 * error + 1 / COLUMNS


# --- the record


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def stored(folder: Path) -> dict[int, tuple[int, bytes]]:
    with sqlite3.connect(folder / "record.sqlite3") as connection:
        rows = connection.execute("SELECT seq, scheme, signature FROM signatures").fetchall()
    connection.close()
    return {seq: (scheme, signature) for seq, scheme, signature in rows}


def run(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / "record.sqlite3", isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


ITEMS = [
    make_item("a", body=LONG),
    make_item("b", body=LONG.replace("word30", "other")),
    make_item("c", body="something else"),
    make_item("d", type=ItemType.PICTURE, body=LONG),
    make_item("e", body=""),
]


def test_a_version_is_recorded_with_its_signature(folder: Path, clock: SetClock) -> None:
    with opened(folder, clock) as engine:
        for item in ITEMS:
            write(engine, item)
        ids = np.sort(engine.retrieve(lexical(EVERYTHING)).ids)
        found = engine.signatures(ids)
        assert found.rows.shape == (5, COLUMNS)
        assert found.comparable.tolist() == [True, True, True, False, bool(ITEMS[4].headline)]
        assert 0.8 < np.mean(found.rows[0] == found.rows[1]) < 1
        assert np.mean(found.rows[0] == found.rows[2]) < 0.1
        backwards = engine.signatures(ids[::-1])
        assert np.array_equal(backwards.rows, found.rows[::-1])
        assert engine.signatures(ids[:0]).rows.shape == (0, COLUMNS)
    assert {scheme for scheme, _ in stored(folder).values()} == {SCHEME}
    assert [signature for _, signature in stored(folder).values()] == [*map(signature_of, ITEMS)]


def test_a_version_that_is_written_again_has_one_signature(folder: Path, clock: SetClock) -> None:
    with opened(folder, clock) as engine:
        write(engine, make_item("a", 1, body=LONG))
        write(engine, make_item("a", 1, body=LONG, products=("wire", "photos")))
        write(engine, make_item("a", 2, body="other text"))
        change(engine, "a", lift_embargo=True)
    assert len(stored(folder)) == 2


@pytest.mark.parametrize(
    "damage",
    ["DROP TABLE signatures", "DELETE FROM signatures", "UPDATE signatures SET scheme = 0"],
)
def test_an_archive_without_signatures_is_answered_and_mended(
    folder: Path, clock: SetClock, damage: str
) -> None:
    with opened(folder, clock) as engine:
        for item in ITEMS:
            write(engine, item)
        ids = np.sort(engine.retrieve(lexical(EVERYTHING)).ids)
        before, rows = stored(folder), engine.signatures(ids).rows
    run(folder, damage)
    with opened(folder, clock) as engine:
        assert np.array_equal(engine.signatures(ids).rows, rows)
        assert np.array_equal(engine.signatures(ids[:2]).rows, rows[:2])
        assert stored(folder) != before
        assert engine.add_signatures() == len(ITEMS)
        assert engine.add_signatures() == 0
        assert np.array_equal(engine.signatures(ids).rows, rows)
    assert stored(folder) == before
