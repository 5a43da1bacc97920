"""The threads of a service that look for matches of followed topics and at watched sessions, and
the mail that they send by an SMTP server (RFC 5321): with TLS unless it is a server of this
machine.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import aiosmtplib

from customers.monitoring import Monitoring
from customers.topic_alerts import TopicAlerts
from customers.topic_mails import TopicMails
from storage.woken_thread import WokenThread

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
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            use_tls=self.tls == "tls",
            start_tls=self.tls == "starttls",
            timeout=self.timeout_s,
        )
        await client.connect()
        try:
            if self.user:
                await client.login(self.user, self.password)
            await client.send_message(message)
            await client.execute_command(b"QUIT")
        finally:
            if isinstance(client.transport, asyncio.WriteTransport):
                client.transport.abort()  # TLS takes longer to close than this loop lives


MATCH_S = 0.5  # how often transitions are looked for
CHECK_S = 20.0  # how often sessions are looked at
_FAILED_S = 5.0
_log = logging.getLogger("dateline.alerts")


class AlertThreads:
    """Runs both threads, from `start` to `stop`. Each continues after a failure, which is logged
    once.
    """

    def __init__(
        self, alerts: TopicAlerts, monitoring: Monitoring, mails: TopicMails | None = None
    ) -> None:
        self._alerts = alerts
        self._monitoring = monitoring
        self._mails = mails
        self._failed: set[str] = set()
        self._matching = WokenThread("topics", MATCH_S, self._match)
        self._checking = WokenThread("monitors", CHECK_S, self._check)

    def start(self) -> None:
        """Start the threads."""
        self._matching.start()
        self._checking.start()

    def stop(self) -> None:
        """End both after the step under way."""
        self._matching.stop()
        self._checking.stop()

    def _match(self) -> None:
        def work() -> None:
            while self._alerts.step() and not self._matching.stopping:
                pass

        self._tried("followed topics are not matched for now", work, self._matching)

    def _check(self) -> None:
        self._tried("sessions are not watched for now", self._monitoring.step, self._checking)
        if self._mails is not None:
            self._tried("topics are not mailed for now", self._mails.step, self._checking)

    def _tried(self, what: str, work: Callable[[], None], thread: WokenThread) -> None:
        try:
            work()
            self._failed.discard(what)
        except Exception:  # noqa: BLE001 - a thread that ends would be worse
            if what not in self._failed:
                _log.exception(what)
            self._failed.add(what)
            thread.pause(_FAILED_S)
