"""Bedrock's Converse on loopback. It checks each request's signature by AWS's written rules
(Signature Version 4), with none of the code that signs.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

from tests.live_servers import serving

KEY_ID, SECRET, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-west-1"
CAPTION = {
    "caption": "A red ferry at a quay.",
    "persons": [],
    "places": [],
    "keywords": ["ferry"],
}
TOKENS = {"inputTokens": 800, "outputTokens": 50, "totalTokens": 850}


def answer(text: str, stop: str = "end_turn") -> dict[str, Any]:
    message = {"role": "assistant", "content": [{"text": text}]}
    return {"output": {"message": message}, "stopReason": stop, "usage": TOKENS}


class BedrockServer(ThreadingHTTPServer):
    """`say` holds replies for the next requests: status, kind of error, JSON. Then all are good."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.say: deque[tuple[int, str, Any]] = deque()
        self.requests: list[tuple[str, Any, dict[str, str]]] = []
        self.refused: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def bedrock() -> Iterator[BedrockServer]:
    server = BedrockServer()
    with serving(server):
        yield server


class _Handler(BaseHTTPRequestHandler):
    server: BedrockServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        wrong = signature_problem(self.path, headers, body)
        if wrong:
            self.server.refused.append(wrong)
            self._reply(403, "InvalidSignatureException", {"message": wrong})
            return
        self.server.requests.append((self.path, json.loads(body), headers))
        if self.server.say:
            self._reply(*self.server.say.popleft())
        else:
            self._reply(200, "", answer(json.dumps(CAPTION)))

    def _reply(self, status: int, kind: str, tree: Any) -> None:
        data = json.dumps(tree).encode()
        self.send_response(status)
        if kind:
            self.send_header("x-amzn-ErrorType", f"{kind}:http://internal.amazon.com/")
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def signature_problem(path: str, headers: dict[str, str], body: bytes) -> str:
    """Why a request's signature is refused; "" for a right one."""
    said = headers.get("authorization", "")
    if not said.startswith("AWS4-HMAC-SHA256 "):
        return "not signed"
    parts = dict(part.strip().split("=", 1) for part in said.split(" ", 1)[1].split(","))
    key_id, day, region, service, end = parts["Credential"].split("/")
    if (key_id, region, service, end) != (KEY_ID, REGION, "bedrock", "aws4_request"):
        return f"wrong scope {parts['Credential']}"
    names = parts["SignedHeaders"].split(";")
    if not {"host", "x-amz-date"} <= set(names):
        return "host and x-amz-date are not signed"
    canonical = "\n".join(
        [
            "POST",
            quote(path, safe="/-_.~"),  # each part is encoded once more than it was sent
            "",
            *(f"{name}:{' '.join(headers[name].split())}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{day}/{region}/{service}/{end}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, digest])
    key = f"AWS4{SECRET}".encode()
    for part in (day, region, service, end):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    expected = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return "" if hmac.compare_digest(expected, parts["Signature"]) else "the signature differs"
