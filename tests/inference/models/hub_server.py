"""A hub on this machine: what the client asks of huggingface.co, over a real socket.

Large files are behind a redirect to another host name, as they are there; so whatever must not be
sent on can be seen not to be.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.live_servers import serving as answering

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "maker/small"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    host: str
    authorization: str
    range: str


@dataclass
class Hub:
    """A repository `maker/small` with `files` at COMMIT, which the branch `main` is at too.

    `large` files are stored apart (LFS). `held` stops each transfer of a large file in the middle
    until it is set. Faults: `cut` ends the next transfer after so many bytes
    and refuses the ones after it until it is set to None; `ranges` off ignores Range; `listed`
    replaces what the list says of a file; `sha` is the commit that it claims; `token` is asked for
    where it is not "".
    """

    files: dict[str, bytes]
    large: frozenset[str] = frozenset({"graph.onnx"})
    cut: int | None = None
    ranges: bool = True
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)
    sha: str = COMMIT
    token: str = ""
    requests: list[Request] = field(default_factory=list)
    endpoint: str = ""
    cut_once: bool = False
    held: threading.Event | None = None
    reached: threading.Event = field(default_factory=threading.Event)

    def asked(self, *methods: str) -> list[str]:
        """Paths of files that were asked for, in order."""
        there = [r.path for r in self.requests if r.method in (methods or ("GET",))]
        return [
            path.split("/resolve/")[1].split("/", 1)[1] for path in there if "/resolve/" in path
        ]

    def siblings(self) -> list[dict[str, Any]]:
        rows = []
        for path, content in self.files.items():
            row: dict[str, Any] = {"rfilename": path, "size": len(content)}
            row["blobId"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            if path in self.large:
                digest = hashlib.sha256(content).hexdigest()
                row["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
            rows.append({**row, **self.listed.get(path, {})})
        return rows


@contextmanager
def serving(files: Mapping[str, bytes], **changed: Any) -> Iterator[Hub]:
    """The hub, while it answers at `endpoint`."""
    hub = Hub(dict(files), **changed)
    server = _Server(hub)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    with answering(server):
        yield hub


class _Server(ThreadingHTTPServer):
    def __init__(self, hub: Hub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> Hub:
        assert isinstance(self.server, _Server)
        return self.server.hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        get = self.headers.get
        authorization, spread = get("Authorization", ""), get("Range", "")
        host = get("Host", "").split(":")[0]
        self.hub.requests.append(Request(self.command, path, host, authorization, spread))
        if path.startswith("/stored/"):
            self.content(self.hub.files[path.removeprefix("/stored/")])
        elif self.hub.token and authorization != f"Bearer {self.hub.token}":
            self.refuse(401, "GatedRepo", "Access to this model is restricted.")
        elif path.startswith(f"/api/models/{REPOSITORY}/revision/"):
            self.listing(path.rsplit("/", 1)[1])
        elif path.startswith(f"/{REPOSITORY}/resolve/{COMMIT}/"):
            self.file(path.split(f"/{COMMIT}/", 1)[1])
        else:
            self.refuse(404, "RepoNotFound", "Repository not found")

    def listing(self, revision: str) -> None:
        if revision not in (COMMIT, "main"):
            self.refuse(404, "RevisionNotFound", "Invalid rev id")
            return
        found = {"id": REPOSITORY, "modelId": REPOSITORY, "sha": self.hub.sha}
        found |= {"private": False, "tags": [], "downloads": 0, "siblings": self.hub.siblings()}
        self.answer(200, json.dumps(found).encode(), {"Content-Type": "application/json"})

    def file(self, name: str) -> None:
        if name not in self.hub.files:
            self.refuse(404, "EntryNotFound", "Entry not found")
            return
        content = self.hub.files[name]
        heads = {"X-Repo-Commit": COMMIT, "ETag": '"' + hashlib.sha1(content).hexdigest() + '"'}
        if name not in self.hub.large:
            self.content(content, heads)
            return
        heads["X-Linked-Etag"] = '"' + hashlib.sha256(content).hexdigest() + '"'
        heads["X-Linked-Size"] = str(len(content))
        port = self.hub.endpoint.rsplit(":", 1)[1]
        self.answer(302, b"", {**heads, "Location": f"http://localhost:{port}/stored/{name}"})

    def content(self, content: bytes, heads: Mapping[str, str] | None = None) -> None:
        spread = self.headers.get("Range", "")
        first = int(spread.removeprefix("bytes=").split("-")[0]) if spread else 0
        if not self.hub.ranges:
            first = 0
        extra = dict(heads or {})
        if first:
            extra["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        if self.hub.cut_once and self.hub.cut is not None:
            self.refuse(503, "", "Out of service")
            return
        self.answer(206 if first else 200, content[first:], extra, cut=self.hub.cut)

    def refuse(self, status: int, code: str, message: str) -> None:
        heads = {"X-Error-Code": code, "X-Error-Message": message}
        self.answer(status, message.encode(), heads)

    def answer(
        self, status: int, body: bytes, heads: Mapping[str, str], cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in heads.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut is not None and len(body) > cut:
            self.hub.cut_once = True
            self.wfile.write(body[:cut])
            self.close_connection = True
            return
        if self.hub.held is not None and self.path.startswith("/stored/"):
            half = len(body) // 2
            self.wfile.write(body[:half])
            self.hub.reached.set()
            self.hub.held.wait(240)
            body = body[half:]
        self.wfile.write(body)
