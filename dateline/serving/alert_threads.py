"""The threads of a service that look for matches of followed topics and at watched sessions."""

from __future__ import annotations

import logging
from collections.abc import Callable

from customers.monitoring import Monitoring
from customers.topic_alerts import TopicAlerts
from storage.woken_thread import WokenThread

MATCH_S = 0.5  # how often transitions are looked for
CHECK_S = 20.0  # how often sessions are looked at
_FAILED_S = 5.0
_log = logging.getLogger("dateline.alerts")


class AlertThreads:
    """Both threads, from `start` to `stop`. Each goes on after a failure, which is logged once."""

    def __init__(self, alerts: TopicAlerts, monitoring: Monitoring) -> None:
        self._alerts = alerts
        self._monitoring = monitoring
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

    def _tried(self, what: str, work: Callable[[], None], thread: WokenThread) -> None:
        try:
            work()
            self._failed.discard(what)
        except Exception:  # noqa: BLE001 - a thread that ends would be worse
            if what not in self._failed:
                _log.exception(what)
            self._failed.add(what)
            thread.pause(_FAILED_S)
