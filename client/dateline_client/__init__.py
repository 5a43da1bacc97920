"""A client for Dateline: search, feeds with resume, streams, downloads, topics and webhooks.

`Client` waits for answers; `AsyncClient` has the same methods for `await`.
"""

from dateline_client.async_client import AsyncClient
from dateline_client.client import Client
from dateline_client.errors import (
    AnswerError,
    DatelineError,
    SessionEndedError,
    SignatureError,
    UnreachableError,
)
from dateline_client.places import FilePlace, MemoryPlace, Place
from dateline_client.retries import Retries
from dateline_client.values import (
    Difference,
    Entry,
    FeedPage,
    Hit,
    Item,
    Job,
    Lines,
    Match,
    SearchPage,
    Topic,
    Webhook,
    WebhookEvent,
)
from dateline_client.webhooks import verify

__all__ = [
    "AnswerError",
    "AsyncClient",
    "Client",
    "DatelineError",
    "Difference",
    "Entry",
    "FeedPage",
    "FilePlace",
    "Hit",
    "Item",
    "Job",
    "Lines",
    "Match",
    "MemoryPlace",
    "Place",
    "Retries",
    "SearchPage",
    "SessionEndedError",
    "SignatureError",
    "Topic",
    "UnreachableError",
    "Webhook",
    "WebhookEvent",
    "verify",
]
