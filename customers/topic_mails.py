"""Mails about followed topics: how many items matched since the last mail, and where to read them.

A mail shows nothing of an item, not even its uri: who reads the matches is told what the key may
see at that moment.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field

from core.customers.topics import FollowedTopic
from core.ports.customers import TopicStore
from customers.monitoring import SendMail
from search.understanding.strict_query import strict_query

log = logging.getLogger(__name__)
_MOST_WAITING = 1000  # mails that the server has not taken; the oldest are given up


@dataclass(slots=True)
class TopicMails:
    """Sends the mails of all accounts, one for each topic and look."""

    store: TopicStore
    send: SendMail
    _waiting: deque[tuple[FollowedTopic, int]] = field(
        default_factory=lambda: deque(maxlen=_MOST_WAITING)
    )
    _failed: bool = False

    def step(self) -> None:
        """Mail what matched since the last look, and what the server did not take before."""
        self._waiting.extend(self.store.unmailed())
        while self._waiting:
            topic, count = self._waiting[0]
            try:
                self.send(topic.emails, f"{topic.name}: {count} new", _text(topic, count))
            except OSError as error:
                if not self._failed:
                    log.warning("mails about followed topics wait: %s", error)
                self._failed = True
                return
            self._failed = False
            self._waiting.popleft()


def _text(topic: FollowedTopic, count: int) -> str:
    return "\n".join((
        f"Followed topic: {topic.id} ({topic.name})",
        f"Query: {strict_query(topic.query)}",
        f"New matches: {count}",
        f"Read them: GET /v1/topics/matches, or search for followedtopics:{topic.id}",
    ))  # fmt: skip
