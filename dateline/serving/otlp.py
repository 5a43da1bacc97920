"""Spans, log lines and metrics, sent by OTLP over HTTP as JSON, by a thread.

Requests only put tuples into a list. Each second the thread makes JSON of them and posts it. It
does not use OpenTelemetry's library, whose spans and encoder take ten times as much of the
interpreter that searches wait for. Where the collector is slow or away, what finds no room is
dropped and counted: a service never waits for it.

The thread has the usual priority. With a lower one it loses its processor to a model's threads
while it holds the interpreter, which a search then waits for: 11 ms more in a run that took 4
more with the usual one.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import orjson
from prometheus_client import Metric

from core.tracing import Finished, place
from dateline.serving import otlp_forms
from dateline.serving.log_lines import members
from dateline.serving.otlp_address import Address, Sent, Signal, pairs
from dateline.serving.otlp_forms import Json, Line

_MOST = 50_000  # spans, and log lines, that wait to be sent
_AT_ONCE = 512
_ROUND_S = 1.0
_LONGEST_ROUND_S = 30.0  # where the collector does not take what is sent
_METRICS_S: Final = 15.0
T = TypeVar("T")
Collect = Callable[[], Iterable[Metric]]


class Sender(logging.Handler):
    """Sends what this process writes, until `close`. As a handler it takes log records. Without
    `every_s`, no thread sends: the caller does, by `send`. Raises SettingsError.
    """

    def __init__(self, version: str, every_s: float | None = _ROUND_S) -> None:
        super().__init__()
        self.collect: Collect | None = None  # the process's metrics, where it has some
        self.dropped = 0
        self._resource = _resource(version, os.environ)
        self._to = {signal: Address(signal, os.environ) for signal in Signal}
        self._spans: deque[Finished] = deque()
        self._lines: deque[Line] = deque()
        self._began = time.time_ns()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        if every_s is not None:
            run = threading.Thread(target=self._run, args=(every_s,), name="telemetry", daemon=True)
            self._thread = run
            run.start()

    @property
    def waiting(self) -> int:
        """Spans that are not sent yet."""
        return len(self._spans)

    def write(self, span: Finished) -> None:
        """Take a span."""
        if len(self._spans) < _MOST:
            self._spans.append(span)
        else:
            self.dropped += 1

    def emit(self, record: logging.LogRecord) -> None:
        """Take a log record, but none of the client's, which would be about sending it."""
        if record.name.startswith(("httpx", "httpcore")):
            return
        if len(self._lines) < _MOST:
            says = members(record)
            line = Line(record.created, record.levelname, record.name, says, place())
            self._lines.append(line)
        else:
            self.dropped += 1

    def close(self) -> None:
        """Send what is left, and end; do nothing the second time, which is the log's own."""
        if not self._ended.is_set():
            self._ended.set()
            if self._thread is not None:
                self._thread.join()
            for address in self._to.values():
                address.close()
        super().close()

    def _run(self, every_s: float) -> None:
        next_metrics, rest = 0.0, every_s
        while not self._ended.wait(rest):
            taken = self.send()
            rest = every_s if taken else min(2 * rest, _LONGEST_ROUND_S)
            if time.monotonic() >= next_metrics:
                self.send_metrics()
                next_metrics = time.monotonic() + _METRICS_S
        self.send()
        self.send_metrics()

    def send(self) -> bool:
        """Send the spans and lines that wait; say whether the collector took what it got. What it
        did not get waits for the next time.
        """
        epoch = time.time_ns() - time.perf_counter_ns()
        of = self._resource
        return self._send(
            Signal.TRACES, self._spans, lambda spans: otlp_forms.traces(spans, epoch, of)
        ) and self._send(Signal.LOGS, self._lines, lambda lines: otlp_forms.logs(lines, of))

    def _send(self, signal: Signal, queue: deque[T], form: Callable[[list[T]], Json]) -> bool:
        while queue:
            some = [queue.popleft() for _ in range(min(_AT_ONCE, len(queue)))]
            sent = self._to[signal].post(orjson.dumps(form(some), default=str))
            if sent is Sent.LATER:
                queue.extendleft(reversed(some))
                return False
            if sent is Sent.REFUSED:
                self.dropped += len(some)
        return True

    def send_metrics(self) -> None:
        """Send the metrics of this moment."""
        collect = self.collect
        if collect is None:
            return
        try:
            found = list(collect())
        except Exception as error:  # noqa: BLE001  the next round may have them
            logging.getLogger(__name__).warning("metrics can't be read: %s", type(error).__name__)
            return
        told = otlp_forms.metrics(found, self._began, time.time_ns(), self._resource)
        self._to[Signal.METRICS].post(orjson.dumps(told))


def _resource(version: str, variables: Mapping[str, str]) -> Json:
    """Return what is said of this process, with the operator's own attributes."""
    told: dict[str, Any] = {
        "service.name": "dateline",
        "service.version": version,
        "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
        "process.pid": os.getpid(),
    }
    told |= pairs(variables.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    if name := variables.get("OTEL_SERVICE_NAME"):
        told["service.name"] = name
    return otlp_forms.resource(told)
