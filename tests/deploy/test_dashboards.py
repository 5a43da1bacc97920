"""Every panel and rule against a real Prometheus that reads a real service."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from dateline.serving.demo import DEMO_INGEST_KEY, DEMO_READ_KEY
from tests.dateline.conftest import DOCUMENTS, Cli, write_lines
from tests.dateline.serving.test_serve import served
from tests.deploy.test_observability import FOLDER, expressions
from tests.free_ports import free_port

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus"),
]
PATIENCE_S = 240.0
# Two scrapes with a search between them, and a rule that was evaluated after them.
READY = ("sum(rate(dateline_search_stage_seconds_count[20s])) > 0", "dateline:failed:ratio5m >= 0")
# What only counts with a customer, a caption, a call refused, or an alert's window of an hour.
QUIET = ("caption", "webhook_attempts", "refused", "truncated", "recall", "cache", "status")


def test_every_panel_shows_something_and_every_rule_can_be_evaluated(folder: Path) -> None:
    wire = write_lines(folder / "wire.jsonl", *DOCUMENTS)
    Cli(folder / "archive")("ingest", wire, "--products", "demo")
    with (
        served(folder / "archive", log=folder / "log") as (_, client),
        prometheus(folder, client.base_url) as ask,
    ):
        deadline = time.monotonic() + PATIENCE_S
        while not all(map(ask, READY)):
            client.get(
                "/content/search", params={"q": "ferry"}, headers={"x-api-key": DEMO_READ_KEY}
            )
            assert time.monotonic() < deadline
            time.sleep(0.1)  # Prometheus works beside it
        rules = ask.rules()
        panels = {
            one.replace("$__rate_interval", "20s")
            for file, found in expressions().items()
            for one in found
            if file != "rules.yaml"
        }
        nothing = {one for one in panels if not ask(one)}
        assert {one for one in nothing if not any(name in one for name in QUIET)} == set()
    assert len(rules) > 15
    assert {rule["name"]: rule["lastError"] for rule in rules if rule.get("lastError")} == {}


class Asked:
    """Asks a Prometheus."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def __call__(self, expression: str) -> list[Any]:
        """The series of an expression."""
        answer = self._client.get("/api/v1/query", params={"query": expression})
        assert answer.status_code == 200, answer.text
        found: list[Any] = answer.json()["data"]["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Return all rules, after each was evaluated."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            groups = self._client.get("/api/v1/rules").json()["data"]["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            if all(rule["health"] != "unknown" for rule in rules):
                return rules
            assert time.monotonic() < deadline
            time.sleep(0.2)


@contextmanager
def prometheus(folder: Path, service: httpx.URL) -> Iterator[Asked]:
    """A Prometheus that reads the service each second, with our rules."""
    config, port = folder / "prometheus.yaml", free_port()
    scrape = {
        "job_name": "dateline",
        "authorization": {"credentials": DEMO_INGEST_KEY},
        "static_configs": [{"targets": [f"{service.host}:{service.port}"]}],
    }
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    tree = {"global": every, "rule_files": [str(FOLDER / "rules.yaml")], "scrape_configs": [scrape]}
    config.write_text(yaml.safe_dump(tree))
    address = f"127.0.0.1:{port}"
    places = (f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}")
    command = ["prometheus", *places, f"--web.listen-address={address}", "--log.level=error"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        transport = httpx.HTTPTransport(retries=8)
        try:
            with httpx.Client(base_url=f"http://{address}", transport=transport) as client:
                deadline = time.monotonic() + PATIENCE_S
                while client.get("/-/ready").status_code != 200:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
                yield Asked(client)
        finally:
            process.kill()
