"""A service with a certificate, behind a proxy that puts a path before its own: real sockets."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from fastapi import FastAPI

from core.errors import SettingsError
from dateline.serving.http_server import HttpServer
from dateline.serving.listener import Limits, Listener
from dateline.serving.tls import Certificate, certificate_of
from dateline.settings import Settings
from tests.api.conftest import READ, app_over, filled
from tests.api.media_archive import PHOTO, media_archive
from tests.certificates import own_authority
from tests.live_servers import serving

pytestmark = pytest.mark.timed

KEY = {"x-api-key": READ}
LIMITS = Limits(head_seconds=2.0)


@contextmanager
def running(app: FastAPI, certificate: Certificate | None = None) -> Iterator[str]:
    """The address of a server in a thread of this process."""
    bound = socket.create_server(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    server = HttpServer(app, Listener(bound, LIMITS), certificate)
    thread = threading.Thread(target=server.serve_until_told)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"{'http' if certificate is None else 'https'}://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def proxied(url: str, prefix: str, *, strips: bool, verify: ssl.SSLContext) -> Iterator[str]:
    """The address of a proxy that passes on what is asked below `prefix`."""
    client = httpx.Client(base_url=url, verify=verify, timeout=120)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix(prefix) if strips else self.path
            headers = {
                "x-api-key": self.headers.get("x-api-key", ""),
                "x-forwarded-for": "203.0.113.5",
                "x-forwarded-proto": "https",
                "x-forwarded-host": "news.example",
            }
            found = client.get(path, headers=headers)
            self.send_response(found.status_code)
            self.send_header("content-type", found.headers.get("content-type", ""))
            self.send_header("content-length", str(len(found.content)))
            self.end_headers()
            self.wfile.write(found.content)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with client, serving(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


@pytest.mark.parametrize("strips", [True, False], ids=["takes-its-part-off", "passes-all-on"])
def test_every_link_leads_back_through_the_proxy(folder: Path, strips: bool) -> None:
    authority, _ = own_authority(folder)
    certificate = Certificate(folder / "server.pem", folder / "server.key")
    verify = ssl.create_default_context(cafile=authority)
    with ExitStack() as stack:
        archive = stack.enter_context(media_archive(folder))
        url = stack.enter_context(running(archive.app(root="/archive"), certificate))
        way = stack.enter_context(proxied(url, "/archive", strips=strips, verify=verify))
        client = stack.enter_context(httpx.Client(base_url=way, timeout=120))
        asked = {"q": "dog OR ferry", "page_size": "1"}
        first = client.get("/archive/content/search", params=asked, headers=KEY).json()["data"]
        assert client.get(first["next_page"], headers=KEY).status_code == 200
        item = client.get(f"/archive/content/{PHOTO}", headers=KEY).json()["data"]["item"]
        thumbnail = item["renditions"]["thumbnail"]["href"]
        assert client.get(thumbnail).headers["content-type"] == "image/jpeg"
        for name in ("/archive/", "/archive/docs"):
            page = client.get(name)
            for link in re.findall(r"(?:href|src)=\"([^\"#]+)\"", page.text):
                assert client.get(page.url.join(link)).status_code == 200, link
        style = client.get("/archive/page/shared/base.css")
        for link in re.findall(r"url\(\"([^\"]+)\"\)", style.text):
            assert client.get(style.url.join(link)).status_code == 200, link


@dataclass(frozen=True)
class Secured:
    """A server with a certificate, its files, and who trusts it."""

    url: str
    folder: Path
    certificate: Certificate

    def client(self) -> httpx.Client:
        trusted = ssl.create_default_context(cafile=self.folder / "authority.pem")
        return httpx.Client(base_url=self.url, verify=trusted, timeout=120)


@pytest.fixture
def secured(folder: Path) -> Iterator[Secured]:
    own_authority(folder)
    certificate = Certificate(folder / "server.pem", folder / "server.key")
    with running(app_over(filled()), certificate) as url:
        yield Secured(url, folder, certificate)


def test_a_certificate_is_renewed_while_it_is_served(secured: Secured, tmp_path: Path) -> None:
    with secured.client() as client:
        assert client.get("/healthz").status_code == 200
    assert secured.certificate.context.minimum_version is ssl.TLSVersion.TLSv1_2
    own_authority(tmp_path)
    (secured.folder / "server.key").write_text("not a key")  # half of a change
    secured.certificate.renew()
    with secured.client() as client:
        assert client.get("/healthz").status_code == 200, "the one before goes on"
    for name in ("authority.pem", "server.key", "server.pem"):
        shutil.copy(tmp_path / name, secured.folder / name)
    secured.certificate.renew()
    with secured.client() as client:  # trusts the new authority alone
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_handshake_that_does_not_come_to_an_end_has_a_deadline(
    secured: Secured, sent: bytes
) -> None:
    port = int(secured.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=120) as silent:
        silent.sendall(sent)
        with suppress(ConnectionError):
            assert b"HTTP/1.1" not in silent.recv(1000)


def test_a_certificate_that_cannot_be_used_is_refused_at_the_start(folder: Path) -> None:
    own_authority(folder)
    other = folder / "other"
    other.mkdir()
    own_authority(other)
    key = serialization.load_pem_private_key((folder / "server.key").read_bytes(), None)
    encrypted = serialization.BestAvailableEncryption(b"secret")
    form = serialization.PrivateFormat.PKCS8
    (folder / "closed.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, encrypted)
    )
    right = Settings(tls_certificate=folder / "server.pem", tls_key=folder / "server.key")
    assert certificate_of(right) is not None
    assert certificate_of(Settings()) is None
    for change in (
        {"tls_key": None},
        {"tls_certificate": None},
        {"tls_key": folder / "nothing.key"},
        {"tls_key": folder / "closed.key"},
        {"tls_key": other / "server.key"},
        {"tls_certificate": folder / "server.key"},
    ):
        with pytest.raises(SettingsError) as caught:
            certificate_of(right.model_copy(update=change))
        assert caught.value.where == "tls_certificate, tls_key"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trusted_proxies", ["10.0.0.1/8"]),
        ("trusted_proxies", ["proxy.example"]),
        ("root_path", "archive"),
        ("root_path", "/archive/"),
        ("root_path", "/a b"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        Settings.model_validate({name: value})
