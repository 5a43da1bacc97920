"""A collector of OpenTelemetry for tests: OTLP over HTTP, as JSON, received and decoded strictly by
OpenTelemetry's own definitions: an unknown member or a wrong type is an error.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.live_servers import serving

_IDS = frozenset({"traceId", "spanId", "parentSpanId"})


@dataclass(frozen=True)
class Span:
    """A received span; ids are hex, a root's parent is ""."""

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    seconds: float
    attributes: dict[str, Any]
    failed: bool
    service: str


@dataclass
class Collector:
    """What was received: `bodies` as bytes, and spans, log records and metrics of them. The first
    requests get the statuses of `answers`; what is not answered by 200 is forgotten.
    """

    address: str
    answers: Iterator[int] = field(default_factory=lambda: iter(()))
    bodies: list[bytes] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    logs: list[Any] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)

    def take(self, path: str, body: bytes) -> None:
        """Decode a request by its path."""
        from google.protobuf import json_format
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
            ExportLogsServiceRequest,
        )
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
            ExportMetricsServiceRequest,
        )
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        def read(request: Any) -> Any:
            return json_format.ParseDict(_with_bytes(json.loads(body)), request)

        self.bodies.append(body)
        if path == "/v1/traces":
            for entry in read(ExportTraceServiceRequest()).resource_spans:
                service = _values(entry.resource.attributes)["service.name"]
                for scope in entry.scope_spans:
                    self.spans += [_span(span, service) for span in scope.spans]
        elif path == "/v1/logs":
            for told in read(ExportLogsServiceRequest()).resource_logs:
                self.logs += [record for scope in told.scope_logs for record in scope.log_records]
        elif path == "/v1/metrics":
            for told in read(ExportMetricsServiceRequest()).resource_metrics:
                found = [metric for scope in told.scope_metrics for metric in scope.metrics]
                self.metrics |= {metric.name: metric for metric in found}

    def named(self, name: str) -> list[Span]:
        """Return the spans of a name."""
        return [span for span in self.spans if span.name == name]

    def path(self, span: Span) -> list[str]:
        """Return the names from the root to the span. Raises KeyError if one is missing."""
        spans = {one.id: one for one in self.spans if one.trace == span.trace}
        names = [span.name]
        while span.parent:
            span = spans[span.parent]
            names.append(span.name)
        return names[::-1]


def _with_bytes(tree: Any) -> Any:
    """Return the tree with ids in base64, as in protobuf's JSON; OTLP's own has them in hex."""
    if isinstance(tree, list):
        return [_with_bytes(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        name: base64.b64encode(bytes.fromhex(one)).decode() if name in _IDS else _with_bytes(one)
        for name, one in tree.items()
    }


def _span(span: Any, service: str) -> Span:
    seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
    failed = span.status.code == 2
    return Span(*ids, span.name, span.kind, seconds, _values(span.attributes), failed, service)


def _values(attributes: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens on a port of this machine while the body runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            answer = next(collector.answers, 200)
            if answer == 200:
                collector.take(self.path, body)
            self.send_response(answer)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    with serving(server):
        yield collector
