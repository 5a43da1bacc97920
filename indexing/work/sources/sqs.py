"""A queue of SQS as a live source: messages are read in long polls, and removed once done.

A message that is not removed comes again after the queue's visibility timeout, and after the number
of tries that its redrive policy says it goes to the dead-letter queue. As long as somebody works on
messages their time is extended, so that no other reader gets them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from core.errors import InputError, SettingsError, UnavailableError
from core.extras import need_extra

LONGEST_POLL_S = 20  # SQS's bound
_AT_ONCE = 10  # SQS's bound
_RENEWALS = 3  # in the time that a message is hidden
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message: its body, and the receipt by which it is removed."""

    body: str
    receipt: str


@dataclass(frozen=True, slots=True)
class QueueTerms:
    """A queue's own settings: how long a message is hidden once somebody has it, in seconds, and
    whether one that nobody removes becomes a dead letter.
    """

    hidden_s: int
    has_dead_letters: bool


class EventQueue:
    """A queue of SQS. botocore finds the credentials and the region, and signs each request."""

    def __init__(self, url: str, *, poll_s: int = LONGEST_POLL_S) -> None:
        """Raise SettingsError if the extra is missing, InputError for what is no queue's URL."""
        need_extra("s3", "a queue of SQS", ("botocore",), error=SettingsError)
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.path.count("/") < 2:
            mend = "write https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"
            raise InputError("that is no queue's URL", where=url[:200], mend=mend)
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
        from botocore.session import get_session

        limits = Config(connect_timeout=5, read_timeout=poll_s + 10, retries={"mode": "standard"})
        self._url = url
        self._poll_s = poll_s
        try:
            self._client = get_session().create_client("sqs", config=limits)
        except (BotoCoreError, ValueError) as error:
            raise SettingsError(str(error), where="AWS_REGION", mend="set it") from error

    @cached_property
    def terms(self) -> QueueTerms:
        """The queue's settings as they were when they were first asked for. Raises
        UnavailableError.
        """
        names = ["VisibilityTimeout", "RedrivePolicy"]
        found = self._asked("get_queue_attributes", AttributeNames=names).get("Attributes", {})
        return QueueTerms(int(found.get("VisibilityTimeout", 30)), "RedrivePolicy" in found)

    def messages(self) -> list[QueueMessage]:
        """Wait for messages, and return at most ten. Raises UnavailableError."""
        answer = self._asked(
            "receive_message", MaxNumberOfMessages=_AT_ONCE, WaitTimeSeconds=self._poll_s
        )
        return [
            QueueMessage(str(one["Body"]), str(one["ReceiptHandle"]))
            for one in answer.get("Messages", ())
        ]

    @contextmanager
    def held(self, messages: Sequence[QueueMessage]) -> Iterator[None]:
        """Hide messages from other readers until the end of the block, however long it takes.
        Raises UnavailableError before the block.
        """
        ended = threading.Event()
        holding = threading.Thread(target=self._hold, args=(messages, ended), daemon=True)
        if messages and self.terms.hidden_s:
            holding.start()
        try:
            yield
        finally:
            ended.set()
            if holding.ident is not None:
                holding.join()

    def done(self, messages: Sequence[QueueMessage]) -> None:
        """Remove messages, ten at most. Raises UnavailableError; what is left comes again."""
        if messages:
            self._asked("delete_message_batch", Entries=_entries(messages))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _hold(self, messages: Sequence[QueueMessage], ended: threading.Event) -> None:
        hidden_s = self.terms.hidden_s
        entries = [{**one, "VisibilityTimeout": hidden_s} for one in _entries(messages)]
        while not ended.wait(hidden_s / _RENEWALS):
            try:
                self._asked("change_message_visibility_batch", Entries=entries)
            except UnavailableError as error:  # another reader may get them, which does no harm
                log.warning("messages can't be held: %s", error.what)

    def _asked(self, operation: str, **parameters: object) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client, operation)(QueueUrl=self._url, **parameters)
        except (BotoCoreError, ClientError) as error:
            what = f"the queue can't be asked: {error}"
            raise UnavailableError(what, where=self._url, mend="see its policy") from error


def _entries(messages: Sequence[QueueMessage]) -> list[dict[str, Any]]:
    return [{"Id": str(n), "ReceiptHandle": message.receipt} for n, message in enumerate(messages)]
