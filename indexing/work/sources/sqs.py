"""A queue of SQS as a live source: messages are read in long polls, and removed once done.

A message that is not removed comes again after the queue's visibility timeout, and after the number
of tries that its redrive policy says it goes to the dead-letter queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from core.errors import InputError, SettingsError, UnavailableError
from core.extras import need_extra

LONGEST_POLL_S = 20  # SQS's bound
_AT_ONCE = 10  # SQS's bound


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A message: its body, and the receipt by which it is removed."""

    body: str
    receipt: str


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

    def messages(self) -> list[QueueMessage]:
        """Wait for messages, and return at most ten. Raises UnavailableError."""
        answer = self._asked(
            "receive_message", MaxNumberOfMessages=_AT_ONCE, WaitTimeSeconds=self._poll_s
        )
        return [
            QueueMessage(str(one["Body"]), str(one["ReceiptHandle"]))
            for one in answer.get("Messages", ())
        ]

    def done(self, messages: Sequence[QueueMessage]) -> None:
        """Remove messages, ten at most. Raises UnavailableError; what is left comes again."""
        if messages:
            entries = [
                {"Id": str(number), "ReceiptHandle": message.receipt}
                for number, message in enumerate(messages)
            ]
            self._asked("delete_message_batch", Entries=entries)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _asked(self, operation: str, **parameters: object) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client, operation)(QueueUrl=self._url, **parameters)
        except (BotoCoreError, ClientError) as error:
            what = f"the queue can't be asked: {error}"
            raise UnavailableError(what, where=self._url, mend="see its policy") from error
