"""The time for an answer is that of the whole answer, whatever comes between the bytes of it."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from storage.opensearch.nodes.connection import Cluster, ClusterSettings
from storage.opensearch.nodes.nodes import AwayError, NodeSettings, SlowError, within
from tests.bulk_server import bulk_server
from tests.certificates import own_authority
from tests.live_servers import serving
from tests.tcp_proxy import Proxy, proxy_before

pytestmark = pytest.mark.timed

WAITS = NodeSettings(connect_s=2.0, timeout_s=1.0, retries=0, passed_over_s=0.1)
MOST_S = WAITS.timeout_s + WAITS.connect_s + 3.0  # for a machine that has other work
DRIP_S = 0.3  # a byte: the shortest answer takes twice as long
DELETE = b'{"delete":{"_id":"1","version":1,"version_type":"external_gte"}}\n'


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with bulk_server() as server, proxy_before(server.url) as made:
        yield made


@pytest.fixture
def cluster(proxy: Proxy) -> Iterator[Cluster]:
    made = Cluster(ClusterSettings((proxy.url,), nodes=WAITS))
    yield made
    made.close()


def took(cluster: Cluster, error: type[Exception]) -> float:
    """How long a request takes that ends in `error`, in s."""
    began = time.monotonic()
    with pytest.raises(error):
        cluster.ask("POST", "/_bulk", DELETE)
    return time.monotonic() - began


def test_an_answer_that_drips_is_given_up(proxy: Proxy, cluster: Cluster) -> None:
    assert "items" in cluster.ask("POST", "/_bulk", DELETE)
    proxy.drip_s, proxy.concerns = DRIP_S, lambda line: b"_bulk" in line
    assert took(cluster, SlowError) < MOST_S


def test_a_node_of_which_everything_drips_is_away(proxy: Proxy, cluster: Cluster) -> None:
    proxy.drip_s = DRIP_S
    assert took(cluster, AwayError) < MOST_S


def test_no_node_is_asked_that_would_have_no_time_left() -> None:
    """One whose time another node has used up is not at fault: the next request goes to it."""
    waits = replace(WAITS, retries=1, passed_over_s=60.0, failures=1, pause_s=60.0)
    with bulk_server() as server, proxy_before(server.url) as a, proxy_before(server.url) as b:
        cluster = Cluster(ClusterSettings((a.url, b.url), nodes=waits))
        a.hangs = b.hangs = True
        with within(0.5), pytest.raises(SlowError):
            cluster.ask("POST", "/_bulk", DELETE)
        (second,) = (each for each in (a, b) if not each.asked)
        second.hangs = False
        assert "items" in cluster.ask("POST", "/_bulk", DELETE)
        cluster.close()


@contextmanager
def dripping_over_tls(context: ssl.SSLContext) -> Iterator[str]:
    """The URL of a server that answers `{}`; what is asked of `/slow` it answers byte by byte."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
            parts = [answer[n : n + 1] for n in range(len(answer))]
            with suppress(OSError):
                for part in parts if self.path == "/slow" else [answer]:
                    self.wfile.write(part)
                    if over.wait(DRIP_S if part is not answer else 0.0):
                        return

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    with serving(http):
        try:
            yield f"https://127.0.0.1:{http.server_port}"
        finally:
            over.set()


def test_an_answer_that_drips_is_given_up_under_tls(tmp_path: Path) -> None:
    authority, context = own_authority(tmp_path)
    with dripping_over_tls(context) as url:
        cluster = Cluster(ClusterSettings((url,), ca_file=str(authority), nodes=WAITS))
        began = time.monotonic()
        with pytest.raises(SlowError):
            cluster.ask("GET", "/slow")
        assert time.monotonic() - began < MOST_S
        assert cluster.ask("GET", "/") == {}
        cluster.close()
