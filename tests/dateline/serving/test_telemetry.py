"""Traces are sent where the setting asks for them, and only there."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from opentelemetry import trace

from core.errors import SettingsError
from dateline.serving.telemetry import traced
from dateline.settings import Settings


def exporter_is_installed() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


def test_nothing_is_set_up_unasked() -> None:
    with traced(Settings()):
        assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@pytest.mark.skipif(exporter_is_installed(), reason="has the extra [otel]")
def test_a_missing_extra_is_named() -> None:
    with (
        pytest.raises(SettingsError, match="traces can't be sent") as caught,
        traced(Settings(otel=True)),
    ):
        pass
    assert "[otel]" in caught.value.mend


@pytest.mark.skipif(not exporter_is_installed(), reason="needs the extra [otel]")
def test_spans_reach_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP, to a collector that keeps the bodies."""
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    bodies = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", trace.Once())
    with traced(Settings(otel=True)):
        trace.get_tracer("test").start_span("dateline.model inference").end()
    server.shutdown()
    server.server_close()
    assert any(b"dateline.model inference" in body for body in bodies)
