"""A service that tells a collector: one search is one trace over its processes, and nothing that is
told has the text of a query, a key or a signature.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from dateline.serving.demo import DEMO_INGEST_KEY, DEMO_READ_KEY
from tests.conftest import new_folder
from tests.dateline.conftest import DOCUMENTS, Cli, write_lines
from tests.dateline.serving.test_serve import served
from tests.otlp_collector import Collector, Span, collecting

pytest.importorskip("opentelemetry.proto", reason="needs opentelemetry-proto")
pytestmark = pytest.mark.service
READ = {"x-api-key": DEMO_READ_KEY}
CALLER = f"00-{0xABC:032x}-{0xDEF:016x}-01"
WORD = "ferryxylophone"
SIGNED = "sig-xylophone"
STAGES = {"understand", "retrieve", "names", "fuse", "rerank", "guard", "page", "facets"}


@dataclass(frozen=True)
class Told:
    collector: Collector
    lines: list[str]

    def trace(self) -> list[Span]:
        """The spans of the one search that has a caller's trace."""
        return [span for span in self.collector.spans if span.trace == f"{0xABC:032x}"]


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    """What a service told until its end: of a search, and of requests with secrets."""
    folder = new_folder()
    with collecting() as collector, pytest.MonkeyPatch.context() as patch:
        wire = write_lines(folder / "wire.jsonl", *DOCUMENTS)
        Cli(folder / "archive")("ingest", wire, "--products", "demo")
        patch.setenv("DATELINE_OTEL", "true")
        patch.setenv("DATELINE_KEYS_IN_URLS", "true")
        patch.setenv("DATELINE_SEARCH_IN", "processes")
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
        with served(folder / "archive") as (process, client):
            while not search_processes(client):
                time.sleep(0.5)  # each look is a line of the log, which nobody reads yet
            asked = {"q": f"ferry {WORD}"}
            client.get("/content/search", params=asked, headers={**READ, "traceparent": CALLER})
            client.get("/media/v/content/search", params={**asked, "apikey": DEMO_READ_KEY})
            client.get("/content/search", params={"q": f'"{WORD}'}, headers=READ)
            client.get("/content/search", params={"q": "date:nonsense", **asked}, headers=READ)
            client.post("/content/search", content=f"A story of a {WORD}. " * 9, headers=READ)
            client.get("/media/x/y", params={"signature": SIGNED, "expires": "1"})
            ask_everything(client)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=120)
        yield Told(collector, errors.splitlines())
    shutil.rmtree(folder)


def ask_everything(client: httpx.Client) -> None:
    """Ask every route that the service declares, with secrets in each parameter and in each member
    of the body. Each is asked without a key, and with one in every form in which keys are sent.
    """
    paths = client.get("/openapi.json", headers=READ).json()["paths"]
    ways: list[dict[str, str]] = [
        {"x-api-key": DEMO_INGEST_KEY},
        {"authorization": f"Bearer {DEMO_READ_KEY}"},
        {"x-api-key": f"dk_1_{SIGNED}"},
    ]
    asked = 0
    for path, methods in paths.items():
        for method, told in methods.items():
            named = [one["name"] for one in told.get("parameters", ()) if one["in"] == "query"]
            params = dict.fromkeys(named, WORD) | {"signature": SIGNED, "apikey": SIGNED}
            names = ("q", "query", "text", "texts", "inputs", "input", "documents", "model")
            for headers in ways:
                if method == "delete" or path.endswith("/wait"):
                    continue
                where = re.sub(r"\{[^}]*\}", "urn:demo:1", path)
                body = dict.fromkeys(names, WORD) if method != "get" else None
                client.request(method, where, params=params, headers=headers, json=body)
                asked += 1
    assert asked > 150
    client.get(f"/nowhere/{WORD}", headers={"cookie": f"key={SIGNED}"})
    client.get(f"/content/search%3Fapikey={SIGNED}", headers=READ)
    client.request(WORD.upper(), "/content/search")


def search_processes(client: httpx.Client) -> float:
    """How many processes search."""
    page = client.get("/metrics", headers={"x-api-key": DEMO_INGEST_KEY}).text
    return float(page.partition("\ndateline_search_processes ")[2].partition("\n")[0])


def test_a_search_is_one_tree_in_its_callers_trace(told: Told) -> None:
    spans = told.trace()
    (root,) = [span for span in spans if span.parent == f"{0xDEF:016x}"]
    assert root.name == "GET /content/search"
    assert root.attributes["http.response.status_code"] == 200
    assert root.attributes["http.route"] == "/content/search"
    ids = {span.id for span in spans}
    assert all(span.parent in ids for span in spans if span is not root)
    (search,) = [span for span in spans if span.name == "search"]
    assert {span.name for span in spans if span.parent == search.id} >= STAGES


def test_models_and_engines_are_parts_of_the_stage_that_asks_them(told: Told) -> None:
    spans = told.trace()
    names = {span.id: span.name for span in spans}
    parts = {(names.get(span.parent, ""), span.name) for span in spans}
    assert {("understand", "read query"), ("retrieve", "BM25"), ("retrieve", "HNSW")} <= parts
    assert {("retrieve", "encode"), ("encode", "tokenise"), ("encode", "inference")} <= parts
    assert {("understand", "tag"), ("tag", "queue"), ("tag", "inference")} <= parts
    encoded = [span for span in spans if span.name == "encode"]
    assert all(span.attributes["dateline.batch.tokens"] > 2 for span in encoded)


def test_the_search_says_what_it_was(told: Told) -> None:
    (search,) = [span for span in told.trace() if span.name == "search"]
    assert search.attributes["dateline.profile"]
    assert search.attributes["dateline.hits"] > 0
    assert "dateline.query" not in search.attributes


def test_no_signal_has_a_query_a_key_or_a_signature(told: Told) -> None:
    bodies = b"\n".join(told.collector.bodies) + "\n".join(told.lines).encode()
    assert len(told.collector.named("GET /content/search")) >= 3
    for secret in (WORD, WORD.upper(), DEMO_READ_KEY, DEMO_INGEST_KEY, SIGNED, "url.query"):
        place = bodies.find(secret.encode())
        assert place < 0, bodies[max(0, place - 300) : place + 100]


def test_lines_are_json_with_time_level_and_trace(told: Told) -> None:
    lines = [json.loads(line) for line in told.lines if line.startswith("{")]
    (ours,) = [line for line in lines if line.get("trace_id") == f"{0xABC:032x}"]
    assert ours["level"] == "info"
    assert ours["time"].endswith("+00:00")
    assert ours["status"] == 200
    records = [one for one in told.collector.logs if one.trace_id.hex() == f"{0xABC:032x}"]
    assert len(records) == 1


def test_metrics_are_sent_for_all_processes(told: Told) -> None:
    stages = told.collector.metrics["dateline_search_stage_seconds"].histogram.data_points
    counts = {point.attributes[0].value.string_value: point.count for point in stages}
    assert counts["total"] >= 3
    by_caller = told.collector.metrics["dateline_model_caller_seconds"].sum.data_points
    spent = {point.attributes[0].value.string_value: point.as_double for point in by_caller}
    assert spent["demo reader"] > 0
