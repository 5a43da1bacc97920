"""Mail to a real SMTP server with TLS and a password."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from dateline.serving.alert_threads import MailServer
from tests.certificates import own_authority
from tests.free_ports import free_port

USER, PASSWORD = "wire", "a long secret"
DESK = ["desk@example.com"]


class Post:
    """Takes mail from the user alone, and notes whether it came by TLS."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bool]] = []  # whose it is, and whether TLS was used
        self.passwords: list[bytes] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert server.transport is not None
        encrypted = server.transport.get_extra_info("ssl_object") is not None
        self.taken.append((str(session.auth_data), encrypted))
        return "250 OK"

    def authenticate(self, *asked: Any) -> AuthResult:
        data = asked[-1]
        assert isinstance(data, LoginPassword)
        self.passwords.append(data.password)
        right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=right, auth_data=USER if right else None)


@contextmanager
def listening(post: Post, context: ssl.SSLContext, tls: str) -> Iterator[int]:
    """The port of a server that takes mail by TLS, and asks for a password."""
    port = free_port()
    by_tls = {"ssl_context": context, "auth_require_tls": False}  # it is TLS from the first byte
    by_command = {"tls_context": context, "require_starttls": True, "auth_required": True}
    controller = Controller(
        post,
        hostname="127.0.0.1",
        port=port,
        authenticator=post.authenticate,
        ready_timeout=120,
        **(by_tls if tls == "tls" else by_command),
    )
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@pytest.fixture
def trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's side of TLS, whose certificate this process trusts."""
    authority, context = own_authority(folder)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    return context


def server_at(port: int, tls: str, password: str = PASSWORD) -> MailServer:
    return MailServer("127.0.0.1", port, "wire@example.org", tls, USER, password, timeout_s=120)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_mail_goes_by_tls_with_the_password(trusted: ssl.SSLContext, tls: str) -> None:
    post = Post()
    with listening(post, trusted, tls) as port:
        server_at(port, tls).send(DESK, "Alarm", "idle")
    assert post.taken == [(USER, True)]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_wrong_password_is_an_error_that_does_not_tell_it(
    trusted: ssl.SSLContext, tls: str
) -> None:
    post = Post()
    with listening(post, trusted, tls) as port, pytest.raises(OSError) as raised:  # noqa: PT011
        server_at(port, tls, "another secret").send(DESK, "Alarm", "idle")
    assert post.taken == []
    assert "another secret" not in str(raised.value)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_no_password_goes_to_a_server_that_nobody_vouches_for(folder: Path, tls: str) -> None:
    post = Post()
    _, unknown = own_authority(folder)
    with listening(post, unknown, tls) as port, pytest.raises(OSError):  # noqa: PT011
        server_at(port, tls).send(DESK, "Alarm", "idle")
    assert (post.passwords, post.taken) == ([], [])


def test_no_password_goes_to_a_server_without_starttls() -> None:
    post, port = Post(), free_port()
    controller = Controller(post, hostname="127.0.0.1", port=port, ready_timeout=120)
    controller.start()
    try:
        with pytest.raises(OSError):  # noqa: PT011
            server_at(port, "starttls").send(DESK, "Alarm", "idle")
    finally:
        controller.stop()
    assert (post.passwords, post.taken) == ([], [])
