"""What plain texts and PDFs become, and what hostile PDFs get."""

from __future__ import annotations

import gzip
import io
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pypdf
import pytest

from core.items import Item
from indexing.formats import plain
from indexing.sources import Accepted, Rejected, Sources
from tests.indexing.formats.pdfs import bomb, pdf

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def put(path: Path, data: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def item(path: Path) -> Item:
    [found] = Sources([path], lambda: NOW)
    assert isinstance(found, Accepted), found
    return found.item


def reason(path: Path) -> str:
    [found] = Sources([path], lambda: NOW)
    assert isinstance(found, Rejected), found
    return found.reason


TEXTS: list[tuple[bytes, str, str]] = [
    (b"Ferry aground\n\nA ferry ran aground.\n", "Ferry aground", "A ferry ran aground."),
    (b"\xef\xbb\xbf\n  F\xc3\xa4hre  \nx", "Fähre", "x"),
    ("Fähre\r\nx".encode("utf-16"), "Fähre", "x"),
    (b"One line", "One line", ""),
    (b"word " * 99 + b"word\nx", "word " * 50 + "…", "word " * 99 + "word\nx"),
    (b"w" * 300, "w" * 250 + " …", "w" * 300),
]


@pytest.mark.parametrize(("data", "headline", "body"), TEXTS)
def test_a_text_is_a_body(tmp_path: Path, data: bytes, headline: str, body: str) -> None:
    found = item(put(tmp_path / "a.txt", data))
    assert (found.headline, found.body.replace("\r", "")) == (headline, body)


def test_the_same_text_is_the_same_item_wherever_it_lies(tmp_path: Path) -> None:
    paths = [put(tmp_path / name, "A ferry") for name in ("a.txt", "b/c.txt")]
    other = put(tmp_path / "d.txt", "A ferry!")
    uris = [item(path).uri for path in (*paths, other)]
    assert uris[0] == uris[1] != uris[2]
    assert uris[0].startswith("urn:sha256:")


@pytest.mark.parametrize(
    "data", [b"", b" \n ", b"F\xe4hre", b"a\0b", b"x" * (plain.texts.MAX_BODY_BYTES + 1)]
)
def test_what_is_no_text_is_refused(tmp_path: Path, data: bytes) -> None:
    assert "text" in reason(put(tmp_path / "a.txt", data))


def test_folders_give_texts_only_if_asked(tmp_path: Path) -> None:
    put(tmp_path / "README.txt", "Read me")
    put(tmp_path / "a.json", '{"uri": "a"}')
    found = Sources([tmp_path], lambda: NOW)
    assert [type(entry) for entry in found] == [Accepted]
    assert found.ignored == {".txt": 1}
    asked = Sources([tmp_path], lambda: NOW, texts=True)
    assert len(list(asked)) == 2
    assert asked.ignored == {}
    named = Sources([tmp_path / "README.txt"], lambda: NOW)
    assert [type(entry) for entry in named] == [Accepted]


def test_compressed_texts_are_not_taken_for_texts(tmp_path: Path) -> None:
    put(tmp_path / "a.txt.gz", gzip.compress(b"x"))
    assert list(Sources([tmp_path], lambda: NOW, texts=True)) == []


def test_a_pdf_is_a_body(tmp_path: Path) -> None:
    info = "/Title(The ferry)/ModDate(D:20260315101500+01'00')"
    found = item(put(tmp_path / "a.PDF", pdf("Aground\nA ferry ran.", "Page two", info=info)))
    assert found.headline == "The ferry"
    assert found.body.split() == ["Aground", "A", "ferry", "ran.", "Page", "two"]
    assert found.versioncreated == datetime(2026, 3, 15, 9, 15, tzinfo=UTC)
    untitled = item(put(tmp_path / "b.pdf", pdf("Aground\nA ferry ran.")))
    assert (untitled.headline, untitled.body) == ("Aground", "A ferry ran.")


def encrypted() -> bytes:
    writer = pypdf.PdfWriter(io.BytesIO(pdf("A secret")))
    writer.encrypt("password", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def circular() -> bytes:
    """Its pages name each other."""
    return pdf("x").replace(b"/Kids[4 0 R]", b"/Kids[2 0 R]")


def test_hostile_pdfs_cost_only_themselves(tmp_path: Path) -> None:
    good = pdf("A ferry")
    cases = {
        "bomb": bomb(300_000_000),
        "circular": circular(),
        "encrypted": encrypted(),
        "junk": b"%PDF-1.4 junk",
        "nothing": b"",
        "scan": pdf("x", stream=b""),
        "text": b"no PDF at all",
        "truncated": good[: len(good) // 3],
    }
    for name, data in cases.items():
        put(tmp_path / f"{name}.pdf", data)
    put(tmp_path / "zz.pdf", good)
    found = list(Sources([tmp_path], lambda: NOW, texts=True))
    assert [type(entry) for entry in found] == [Rejected] * len(cases) + [Accepted]
    reasons = [entry.reason for entry in found if isinstance(entry, Rejected)]
    assert all(each.startswith("PDF not read: ") for each in reasons)
    assert "password" in reasons[2]


@pytest.mark.parametrize(("name", "most"), [("pages", 1), ("characters", 5), ("bytes", 100)])
def test_limits_of_a_pdf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    path = put(tmp_path / "a.pdf", pdf("Aground", "Page two"))
    item(path)
    monkeypatch.setitem(plain.LIMITS, name, most)
    assert f"over {most}" in reason(path)


def test_a_pdf_that_computes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = b"BT /F1 12 Tf " + b"1 0 0 1 9 9 Tm (a) Tj " * 400_000 + b"ET"
    path = put(tmp_path / "a.pdf", pdf("x", stream=shown))
    monkeypatch.setitem(plain.LIMITS, "seconds", 2)
    assert "too long" in reason(path)


def test_a_pdf_that_takes_too_much_memory_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path / "a.pdf", bomb(60_000_000))
    monkeypatch.setitem(plain.LIMITS, "memory", 128 * 1024 * 1024)
    assert reason(path).startswith("PDF not read: ")


@pytest.mark.parametrize(
    "told",
    [b"", b"[]", b"{", b"x" * 9_000_000, b"null", b'{"refused": 5}', b'{"refused": "x"}'],
)
def test_an_answer_of_the_child_is_not_trusted(told: bytes) -> None:
    with pytest.raises(plain.DocumentError):
        plain._understood(told, 0)


def test_surrogates_of_an_answer_become_characters() -> None:
    told: Any = plain._understood(b'{"text": "\\ud83d\\ude00 \\ud800", "title": 5}', 0)
    assert told == {"text": "\U0001f600 \ufffd", "title": "", "changed": ""}


def test_mutated_pdfs_give_documents_or_reasons(tmp_path: Path) -> None:
    whole = pdf("A ferry ran aground", "Page two", info="/Title(The ferry)")
    chance = random.Random(7)
    for number in range(8):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 12)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        put(tmp_path / f"{number}.pdf", bytes(data))
    assert len(list(Sources([tmp_path], lambda: NOW, texts=True))) == 8
