"""A provider of captions that speaks OpenAI's protocol on loopback, and fails as it is told to.

It answers chat completions with a picture, and files and batches of them. A caption follows from
the picture's bytes alone: its size and main colour, or the text that a mapping gives for what looks
like it. So it serves tests, and demonstrations without a model:

    python -m tests.caption_provider --port 8009 --captions FOLDER/captions.json

where captions.json maps names of picture files beside it to their captions.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.caption_looks import captions_of, described, picture_in
from tests.live_servers import serving

KEY = "sk-test-0123456789-secret"


@dataclass(frozen=True)
class Reply:
    """How one request is answered. `content` replaces the model's text, `body` the whole body.

    `drip_s` is the pause between single bytes, in the `drip` ("body" or "head"); after `cut` bytes
    of the body the connection is reset; `delay_s` passes before anything is sent.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content: str | None = None
    body: bytes | None = None
    finish: str = "stop"
    refusal: str | None = None
    usage: Any = None
    cut: int | None = None
    drip_s: float = 0.0
    drip: str = "body"
    delay_s: float = 0.0


@dataclass(frozen=True)
class Seen:
    """One request as it came; names of headers in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class CaptionServer:
    """The provider while it runs, as a context manager. `script` is used up reply by reply, by
    requests of any path, or of those in `scripted`; then the answers are good ones.
    """

    def __init__(
        self,
        *,
        key: str = KEY,
        captions: Mapping[str, str] | None = None,
        port: int = 0,
        usage: Mapping[str, int] | None = None,
    ) -> None:
        self.key = key
        self.captions = dict(captions or {})
        self.usage = dict(usage or {"prompt_tokens": 900, "completion_tokens": 60})
        self.script: deque[Reply] = deque()
        self.scripted = "/v1/chat/completions"
        self.requests: list[Seen] = []
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.batch_status = "completed"  # what a batch becomes at its second look
        self.forms = {"json_schema", "json_object"}  # response formats that are understood
        self.limits = {"max_tokens", "max_completion_tokens"}
        self.busiest = 0
        self._busy = 0
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.provider = self
        self._serving = serving(self._server)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def say(self, *replies: Reply) -> None:
        """Adds to the script."""
        self.script.extend(replies)

    def asked(self) -> list[Seen]:
        """The requests for captions."""
        return [seen for seen in self.requests if seen.path == "/v1/chat/completions"]

    def received(self) -> bytes:
        """Every byte of every request: path, headers and body."""
        return b"\n".join(
            f"{seen.path} {dict(seen.headers)}".encode() + seen.body for seen in self.requests
        )

    def __enter__(self) -> CaptionServer:
        self._serving.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._serving.__exit__(None, None, None)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Counts how many requests are answered at once."""
        with self.lock:
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
        try:
            yield
        finally:
            with self.lock:
                self._busy -= 1

    def completion(self, asked: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
        """The chat completion for one request. Raises ValueError for a request that is wrong."""
        form = asked.get("response_format", {}).get("type", "")
        if form and form not in self.forms:
            raise ValueError(f"'response_format' of type {form!r} is not supported")
        for name in ("max_tokens", "max_completion_tokens"):
            if name in asked and name not in self.limits:
                raise ValueError(f"Unsupported parameter: '{name}'")
        content = reply.content
        if content is None:
            content = json.dumps(described(picture_in(asked), self.captions))
        message = {"role": "assistant", "content": content, "refusal": reply.refusal}
        usage = self.usage if reply.usage is None else reply.usage
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": asked.get("model"),
            "choices": [{"index": 0, "message": message, "finish_reason": reply.finish}],
            "usage": usage,
        }


class _Server(ThreadingHTTPServer):
    provider: CaptionServer
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that went away is none of ours."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def provider(self) -> CaptionServer:
        assert isinstance(self.server, _Server)
        return self.server.provider

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        heads = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, path, heads, body, time.monotonic())
        provider = self.provider
        with provider.lock:
            provider.requests.append(seen)
            scripted = provider.script and seen.path == provider.scripted
            reply = provider.script.popleft() if scripted else Reply()
        with provider.busy():
            time.sleep(reply.delay_s)
            if provider.key and self.headers.get("Authorization") != f"Bearer {provider.key}":
                wrong = self.headers.get("Authorization", "")
                self.refuse(401, f"Incorrect API key provided: {wrong}", "invalid_api_key")
            elif reply.body is not None or reply.status != 200:
                self.answer(reply, reply.body or _error("as scripted", ""))
            else:
                self.route(seen, reply)

    def route(self, seen: Seen, reply: Reply) -> None:
        parts = seen.path.removeprefix("/v1/").split("/")
        if parts == ["chat", "completions"]:
            try:
                found = self.provider.completion(seen.json, reply)
            except (ValueError, OSError) as error:
                self.refuse(400, str(error), "invalid_request_error")
                return
            self.answer(reply, json.dumps(found).encode())
        elif parts == ["files"]:
            self.answer(reply, json.dumps(self.keep(seen)).encode())
        elif parts[0] == "files" and parts[-1] == "content":
            self.answer(reply, self.provider.files[parts[1]])
        elif parts[0] == "batches":
            self.batches(seen, parts[1:], reply)
        else:
            self.refuse(404, "no such path", "")

    def keep(self, seen: Seen) -> dict[str, Any]:
        """Keeps the file of a multipart form."""
        boundary = seen.headers["content-type"].partition("boundary=")[2].encode()
        for part in seen.body.split(b"--" + boundary):
            head, _, content = part.partition(b"\r\n\r\n")
            if b'name="file"' in head:
                name = f"file-{len(self.provider.files)}"
                self.provider.files[name] = content.removesuffix(b"\r\n")
                size = len(self.provider.files[name])
                return {"id": name, "object": "file", "bytes": size, "purpose": "batch"}
        raise AssertionError("no file in the form")

    def batches(self, seen: Seen, rest: list[str], reply: Reply) -> None:
        provider = self.provider
        if not rest and seen.method == "POST":
            asked = seen.json
            name = f"batch_{len(provider.batches)}"
            made = {"id": name, "object": "batch", "status": "validating", **asked}
            provider.batches[name] = made
            self.answer(reply, json.dumps(made).encode())
        elif not rest:
            asked = parse_qs(urlsplit(self.path).query)
            rows = list(reversed(provider.batches.values()))
            after, limit = asked.get("after", [""])[0], int(asked.get("limit", ["20"])[0])
            names = [row["id"] for row in rows]
            start = names.index(after) + 1 if after else 0
            page, more = rows[start : start + limit], len(rows) > start + limit
            listed = {"object": "list", "data": page, "has_more": more}
            self.answer(reply, json.dumps(listed).encode())
        else:
            batch = provider.batches[rest[0]]
            if batch["status"] == "validating":
                batch["status"] = "in_progress"
            elif batch["status"] == "in_progress":
                self.finish(batch)
            self.answer(reply, json.dumps(batch).encode())

    def finish(self, batch: dict[str, Any]) -> None:
        """Answers every line of a batch's file; a scripted reply with a status is an error's."""
        provider = self.provider
        good, bad = [], []
        for line in provider.files[batch["input_file_id"]].splitlines():
            asked = json.loads(line)
            reply = provider.script.popleft() if provider.script else Reply()
            if reply.cut is not None:  # the provider did not come to it
                continue
            if reply.status != 200:
                body = json.loads(reply.body or _error("as scripted", ""))
            else:
                body = provider.completion(asked["body"], reply)
            response = {"status_code": reply.status, "request_id": "r", "body": body}
            row = {"id": "b", "custom_id": asked["custom_id"], "response": response, "error": None}
            (good if reply.status == 200 else bad).append(json.dumps(row))
        batch["status"] = provider.batch_status
        for member, rows in (("output_file_id", good), ("error_file_id", bad)):
            name = f"file-{len(provider.files)}"
            provider.files[name] = "\n".join(rows).encode()
            batch[member] = name if rows else None

    def refuse(self, status: int, message: str, code: str) -> None:
        self.answer(Reply(status=status), _error(message, code))

    def answer(self, reply: Reply, body: bytes) -> None:
        head = [f"HTTP/1.1 {reply.status} X", f"Content-Length: {len(body)}"]
        heads = {"Content-Type": "application/json", "Connection": "close", **reply.headers}
        head += [f"{name}: {value}" for name, value in heads.items()]
        start = ("\r\n".join(head) + "\r\n\r\n").encode()
        self.close_connection = True
        if reply.cut is not None:
            self.wfile.write(start + body[: reply.cut])
            self.wfile.flush()
            # A reset, not an end, however much was read.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            return
        slow = start + body if reply.drip == "head" else body
        if reply.drip != "head":
            self.wfile.write(start)
        if not reply.drip_s:
            self.wfile.write(slow)
            return
        for at in range(len(slow)):
            self.wfile.write(slow[at : at + 1])
            self.wfile.flush()
            time.sleep(reply.drip_s)


def _error(message: str, code: str) -> bytes:
    error = {"message": message, "type": "error", "code": code or None, "param": None}
    return json.dumps({"error": error}).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description="A provider of captions for demonstrations.")
    parser.add_argument("--port", type=int, default=8009)
    parser.add_argument("--key", default="", help="the key that is asked for; none if empty")
    parser.add_argument("--captions", type=Path, help="captions.json beside the pictures")
    chosen = parser.parse_args()
    captions = captions_of(chosen.captions) if chosen.captions else {}
    with CaptionServer(key=chosen.key, captions=captions, port=chosen.port) as server:
        print(server.base_url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
