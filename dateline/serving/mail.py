"""Mail by an SMTP server (RFC 5321), with TLS unless it is a server of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import aiosmtplib

_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class MailServer:
    """A server that takes mail. `tls` is "starttls", "tls" (from the first byte) or "none"."""

    host: str
    port: int
    sender: str
    tls: str = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    timeout_s: float = _TIMEOUT_S

    def send(self, to: Sequence[str], subject: str, text: str) -> None:
        """Send a mail. Raises OSError if the server did not take it."""
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = ", ".join(to)
        message["Subject"] = " ".join(subject.split())  # a header has one line
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=self.sender.rpartition("@")[2] or None)
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody is to answer
        message.set_content(text)
        try:
            asyncio.run(self._send(message))
        except aiosmtplib.SMTPException as error:
            raise OSError(f"{self.host}:{self.port}: {error}") from error

    async def _send(self, message: EmailMessage) -> None:
        await aiosmtplib.send(
            message,
            hostname=self.host,
            port=self.port,
            use_tls=self.tls == "tls",
            start_tls=self.tls == "starttls",
            username=self.user or None,
            password=self.password or None,
            timeout=self.timeout_s,
        )
