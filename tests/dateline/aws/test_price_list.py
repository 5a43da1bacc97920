"""The AWS price list, read by boto3 from a server that speaks its protocol over a socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from capacity.prices import prices_text, read_prices
from core.errors import UnavailableError
from dateline.aws.price_list import refreshed

TODAY = date(2026, 12, 24)
PRICES = {"c6i.large": "0.0900000000", "r6g.large.search": "0.1700000000", "gp3": "0.0850000000"}


class Handler(BaseHTTPRequestHandler):
    """GetProducts in AWS JSON 1.1, for a few products; 403 without a signature."""

    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        assert self.headers["X-Amz-Target"] == "AWSPriceListService.GetProducts"
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        fields = {one["Field"]: one["Value"] for one in body["Filters"]}
        price = PRICES.get(fields.get("instanceType", fields.get("volumeApiName", "")))
        terms = {"a": {"priceDimensions": {"b": {"pricePerUnit": {"USD": price}}}}}
        products = [json.dumps({"terms": {"OnDemand": terms}})] if price else []
        signed = self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256")
        data = json.dumps({"FormatVersion": "aws_v1", "PriceList": products}).encode()
        self.send_response(200 if signed else 403)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def price_list(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    pytest.importorskip("boto3")
    asked: list[dict[str, Any]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "made-up")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    yield asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_prices_are_read_and_dated_and_what_is_not_there_is_kept(
    price_list: list[dict[str, Any]], tmp_path: Path
) -> None:
    text, kept = refreshed(prices_text(), "us-east-1", TODAY)
    path = tmp_path / "prices.toml"
    path.write_text(text)
    found, before = read_prices(path), read_prices()
    assert found.by_name["ec2"]["c6i"] == 0.09
    assert found.by_name["opensearch"]["r6g.large.search"]["hour"] == 0.17
    assert found.of("disk", "gp3_gb_month") == 0.085
    assert found.by_name["ec2"]["m6i"] == before.by_name["ec2"]["m6i"]
    assert {"ec2 m6i", "captions", "lambda"} <= set(kept)
    assert (found.written, found.checked) == (TODAY, True)
    assert {"Type": "TERM_MATCH", "Field": "regionCode", "Value": "us-east-1"} in price_list[0][
        "Filters"
    ]


def test_a_list_that_can_not_be_asked_is_said(
    price_list: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", "http://127.0.0.1:9")
    with pytest.raises(UnavailableError) as caught:
        refreshed(prices_text(), "us-east-1", TODAY)
    assert "GetProducts" in caught.value.mend
