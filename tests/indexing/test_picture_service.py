"""A service with pictures and texts in one space, asked over a socket."""

from __future__ import annotations

import json
import threading
from base64 import b64decode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from core.errors import ModelError, SettingsError, UnavailableError
from indexing.picture_service import AT_ONCE, PictureService

KEY = "secret"


class Embeddings:
    """Gives a picture or a text the counts of its bytes' low bits, in a shuffled order."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.status = 200
        self.answer: bytes | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append({**body, "key": self.headers.get("authorization")})
                content = outer.answer if outer.answer is not None else outer.rows(body)
                self.send_response(outer.status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def rows(self, body: dict[str, Any]) -> bytes:
        rows = [
            {"index": n, "embedding": self.vector(one, body["dimensions"])}
            for n, one in enumerate(body["input"])
        ]
        return json.dumps({"data": rows[::-1]}).encode()

    @staticmethod
    def vector(one: dict[str, str], size: int) -> list[float]:
        data = b64decode(one["image"]) if "image" in one else one["text"].encode()
        return [1.0 + sum(byte % size == n for byte in data) for n in range(size)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1/"


@pytest.fixture
def server() -> Iterator[Embeddings]:
    found = Embeddings()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def service(server: Embeddings) -> Iterator[PictureService]:
    opened = PictureService.open(server.url, "clip", 8, key=KEY, seconds=20)
    yield opened
    opened.close()


def test_pictures_and_texts_lie_in_one_space(server: Embeddings, service: PictureService) -> None:
    seen = service.look([b"a red boat", b"xyz"])
    texts = service.texts.encode_queries(["a red boat"])
    assert seen[0] is not None
    assert (seen[0].vector @ texts.T).item() == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(texts) == pytest.approx(1, abs=1e-5)
    assert seen[0].looks == ()
    assert server.asked[0]["key"] == f"Bearer {KEY}"
    assert server.asked[0]["model"] == "clip"
    assert service.leaves


def test_many_are_asked_a_few_at_a_time(server: Embeddings, service: PictureService) -> None:
    assert service.encode_passages([str(n) for n in range(2 * AT_ONCE + 1)]).shape[0] == 33
    assert [len(one["input"]) for one in server.asked] == [AT_ONCE, AT_ONCE, 1]
    assert service.look([]) == ()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b'{"data": []}',
        b'{"data": [{"index": 0, "embedding": [1, 2]}]}',
        b'{"data": [{"index": 0, "embedding": [0, 0, 0, 0, 0, 0, 0, 0]}]}',
        b'{"data": [{"index": 0, "embedding": "text"}]}',
    ],
)
def test_an_answer_that_is_no_vector_is_refused(
    server: Embeddings, service: PictureService, answer: bytes
) -> None:
    server.answer = answer
    with pytest.raises(ModelError):
        service.encode_queries(["x"])


def test_a_failure_says_whether_it_may_pass_and_never_the_key(
    server: Embeddings, service: PictureService
) -> None:
    for status, kind in ((503, UnavailableError), (401, ModelError), (302, ModelError)):
        server.status = status
        with pytest.raises(ModelError) as caught:
            service.look([b"x"])
        assert type(caught.value) is kind
        assert KEY not in str(caught.value)


def test_another_model_or_width_is_another_space(server: Embeddings) -> None:
    digests = {
        PictureService.open(server.url, model, size).digest
        for model, size in (("a", 8), ("b", 8), ("a", 16))
    }
    assert len(digests) == 3
    for url, model in (("ftp://x/v1", "a"), ("", "a"), (server.url, "")):
        with pytest.raises(SettingsError):
            PictureService.open(url, model, 8)
