"""Models at a service elsewhere: the same answers as here over a real socket, and every way in
which a service can be wrong ends in a clear error, soon.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from api.models.served_models import ServedModels
from core.errors import DatelineError, ModelError, SettingsError, UnavailableError
from core.ports.models import ScoreLimits
from inference.models.manifest import ModelManifest
from inference.models.store import ModelStore
from inference.serving import remote_calls
from inference.serving.remote import (
    GROUP_TEXTS,
    RemoteEncoder,
    RemoteModel,
    RemoteScorer,
    RemoteTagger,
    groups,
)
from inference.serving.remote_calls import RemoteAddress, RemoteService
from tests.api.models.model_service import KEY, bundled_models, serving_models
from tests.live_servers import serving

ROOT = Path(__file__).parents[3] / "models"
ENCODER, TAGGER = "all-MiniLM-L6-v2", "distilbert-ner-news"
SCORER = "bge-small-en-v1.5"
TEXTS = ["A ferry ran aground.", "", "Banks raise rates 🌍 مرحبا", "ferry " * 400]
SENTENCES = ["Angela Merkel met Siemens 🌍 in Berlin", "", "shares of siemens in london"]

OPENED: list[RemoteService] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Closes the connections of every service that a test opened."""
    yield
    while OPENED:
        OPENED.pop().close()


def manifest(name: str = ENCODER) -> ModelManifest:
    return ModelStore(ROOT).describe(name).manifest


def model_at(url: str, name: str = ENCODER, *, kind: str = "remote", key: str = KEY) -> RemoteModel:
    address = RemoteAddress.parse(f"{kind}:{url}", where="runtimes")
    OPENED.append(RemoteService.open(address, key=key))
    return RemoteModel(OPENED[-1], manifest(name))


def encoder_at(url: str, **options: Any) -> RemoteEncoder:
    threads = options.pop("threads", 1)
    return RemoteEncoder(model_at(url, **options), ROOT / ENCODER / "tokenizer.json", threads)


# --- a real service


@pytest.fixture(scope="module")
def models() -> ServedModels:
    return bundled_models()


@pytest.fixture(scope="module")
def service(models: ServedModels) -> Iterator[httpx.Client]:
    with serving_models(models) as http:
        yield http


@pytest.fixture(scope="module")
def url(service: httpx.Client) -> str:
    return str(service.base_url)


def test_vectors_are_the_same_to_the_last_bit(url: str, models: ServedModels) -> None:
    assert models.encoder is not None
    here, there = models.encoder.port, encoder_at(url)
    assert np.array_equal(there.encode_passages(TEXTS), here.encode_passages(TEXTS))
    assert np.array_equal(there.encode_queries(TEXTS), here.encode_queries(TEXTS))
    assert (there.name, there.digest, there.dimension) == (here.name, here.digest, 384)
    assert there.encode_passages([]).shape == there.encode_queries([]).shape == (0, 384)
    there.close()


def test_many_passages_keep_their_order_over_several_requests(
    url: str, models: ServedModels
) -> None:
    assert models.encoder is not None
    texts = [f"story {number}" for number in range(2 * GROUP_TEXTS + 3)]
    found = encoder_at(url, threads=3).encode_passages(texts)
    here = models.encoder.port.encode_passages(texts)
    assert np.einsum("nd,nd->n", found, here) == pytest.approx(1, abs=1e-3)
    # A batch's other rows move the last bits: the nearest is still the text itself.
    assert np.array_equal((found @ here.T).argmax(axis=1), np.arange(len(texts)))


def test_a_query_beyond_the_model_s_length_is_told_without_a_request() -> None:
    absent = encoder_at("http://127.0.0.1:9")
    assert absent.truncated(["ferry " * 254, "ferry " * 255, "a"]) == (False, True, False)


def test_scores_are_the_scorer_s_own(url: str, models: ServedModels) -> None:
    assert models.scorer is not None
    there = RemoteScorer(model_at(url, SCORER))
    queries = ["ferry accident", "bank", "ferry accident"]
    passages = ["A ferry ran aground.", "Banks raise rates.", "The port is closed."]
    here = models.scorer.port.score(queries, passages)
    assert there.score(queries, passages) == pytest.approx(here, abs=1e-3)
    assert there.score([], []).shape == (0, 1)
    with pytest.raises(ValueError, match="1 queries for 2"):
        there.score(["x"], ["y", "z"])


def test_a_bounded_score_says_what_was_cut_and_ends_in_time(url: str) -> None:
    there = RemoteScorer(model_at(url, SCORER))
    found = there.score_within("ferry", ["ferry " * 50, "bank"], ScoreLimits(tokens=16))
    assert (found.truncated, found.tokens, found.failure) == (1, 16, "")
    assert np.isfinite(found.scores).all()
    asked = there.score_within("ferry " * 300, ["bank"], ScoreLimits(tokens=16))
    assert (found.query_truncated, asked.query_truncated) == (False, True)
    late = there.score_within("ferry", ["a", "b"], ScoreLimits(until=time.perf_counter() - 1))
    assert np.isnan(late.scores).all()
    assert late.scores.shape == (2, 1)


def test_names_are_the_tagger_s_own(url: str, models: ServedModels) -> None:
    assert models.tagger is not None
    there = RemoteTagger(model_at(url, TAGGER))
    assert there.tag(SENTENCES) == models.tagger.port.tag(SENTENCES)
    assert there.tag([]) == ()


def test_a_lone_surrogate_can_be_sent(url: str) -> None:
    assert encoder_at(url).encode_queries(["ferry \ud800"]).shape == (1, 384)
    assert RemoteScorer(model_at(url, SCORER)).score(["\udfff"], ["x \ud800"]).shape == (1, 1)


def test_a_wrong_key_is_said_and_never_shown(url: str, caplog: pytest.LogCaptureFixture) -> None:
    secret = "sk-very-secret"
    there = encoder_at(url, key=secret)
    with caplog.at_level(logging.DEBUG), pytest.raises(ModelError, match="our key") as caught:
        there.encode_queries(["ferry"])
    assert "DATELINE_REMOTE_KEY" in caught.value.mend
    assert secret not in caplog.text + str(caught.value) + repr(there)


def test_a_model_that_is_not_there_is_said(url: str) -> None:
    with pytest.raises(ModelError, match=f"no encoder '{TAGGER}'"):
        encoder_at(url, name=TAGGER).encode_queries(["ferry"])


# --- services that are wrong

Reply = Callable[["Handler", dict[str, Any]], None]


@dataclass
class Wrong:
    """A service that answers as a test says, and what it was asked."""

    url: str
    reply: Reply
    asked: list[dict[str, Any]] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP/1.1 and lets the test say what."""

    protocol_version = "HTTP/1.1"
    wrong: Wrong

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.wrong.asked.append(body)
        self.wrong.reply(self, body)

    def send(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"x_model_digest": manifest().digest, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - theirs
        pass


@contextmanager
def answering(reply: Reply) -> Iterator[Wrong]:
    wrong = Wrong("", reply)
    handler = type("Bound", (Handler,), {"wrong": wrong})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    wrong.url = f"http://127.0.0.1:{server.server_address[1]}"
    with serving(server):
        yield wrong


def vectors(rows: Any, **members: Any) -> bytes:
    data = [
        {"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)
    ]
    return json.dumps({"object": "list", "data": data, **members}).encode()


def unit(count: int = 1, size: int = 384) -> list[list[float]]:
    return [[1.0] + [0.0] * (size - 1)] * count


def packed(row: Any) -> str:
    return base64.b64encode(np.array(row, "<f4").tobytes()).decode()


GOOD = vectors(unit())
NAN = packed([np.nan] * 384)
CASES: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"<html>hello</html>", "not JSON"),
    "no object": (b"[1]", "not a JSON object"),
    "nothing": (b"", "not JSON"),
    "no data": (b"{}", "not one vector for each"),
    "too few": (vectors([]), "not one vector for each"),
    "too many": (vectors(unit(2)), "not one vector for each"),
    "index twice": (b'{"data": [{"index": 1, "embedding": []}]}', "not one vector for each"),
    "another dimension": (vectors(unit(size=768)), "768 numbers"),
    "NaN in base64": (vectors([NAN]), "not a number"),
    "NaN in JSON": (GOOD.replace(b"1.0", b"NaN"), "not JSON"),
    "no norm": (vectors([[0.0] * 384]), "unit norm"),
    "words": (vectors([["a"] * 384]), "can't be read"),
    "too large a number": (vectors([[1e300] * 384]), "can't be read"),
    "half a float": (vectors([base64.b64encode(b"abc").decode()]), "can't be read"),
    "no base64": (vectors(["{}"]), "can't be read"),
    "null": (vectors([None]), "can't be read"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_answer_is_a_clear_error(case: str) -> None:
    content, said = CASES[case]
    with answering(lambda handler, _: handler.send(content)) as wrong:
        with pytest.raises(ModelError, match=said) as caught:
            encoder_at(wrong.url).encode_queries(["ferry"])
        assert wrong.url in caught.value.where
        assert caught.value.mend
        assert len(wrong.asked) == 1  # asking again would not help


def test_other_files_are_never_mixed_with_ours() -> None:
    with answering(lambda handler, _: handler.send(GOOD, x_model_digest="f" * 64)) as wrong:
        encoder = encoder_at(wrong.url)
        with pytest.raises(ModelError, match="other files than ours"):
            encoder.encode_passages(["ferry"])
        with pytest.raises(ModelError, match="other files than ours"):
            RemoteScorer(encoder.model).score(["a"], ["b"])
    with (
        answering(lambda handler, _: handler.send(GOOD, x_model_digest="")) as wrong,
        pytest.raises(ModelError, match="remote-unverified"),
    ):
        encoder_at(wrong.url).encode_passages(["ferry"])


def test_an_unverified_service_is_asked_in_the_published_shape_alone() -> None:
    def reply(handler: Handler, body: dict[str, Any]) -> None:
        handler.send(vectors([[2.0] + [0.0] * 383] * len(body["input"])), x_model_digest="")

    with answering(reply) as wrong:
        there = encoder_at(f"{wrong.url}/openai/v1", kind="remote-unverified")
        found = there.encode_queries(["ferry"])
        assert np.linalg.norm(found) == pytest.approx(1)  # theirs need not be of unit norm
        assert set(wrong.asked[0]) == {"model", "input", "encoding_format"}
        assert there.digest != manifest().digest  # their vectors have a space of their own


def test_relevance_scores_of_an_unverified_service_are_taken() -> None:
    def reply(handler: Handler, body: dict[str, Any]) -> None:
        results = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.2}]
        handler.send(json.dumps({"id": "x", "results": results}).encode(), x_model_digest="")

    with answering(reply) as wrong:
        there = RemoteScorer(model_at(wrong.url, kind="remote-unverified"))
        assert there.score(["q", "q"], ["a", "b"])[:, 0] == pytest.approx([0.2, 0.9])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ({"text": "Berlin", "label": "LOC", "start": 0, "end": 99, "score": 0.9}, "outside"),
        ({"text": "Berlin", "label": "LOC", "start": -1, "end": 3, "score": 0.9}, "outside"),
        ({"text": "Munich", "label": "LOC", "start": 0, "end": 6, "score": 0.9}, "what stands"),
        ({"text": "Berlin", "label": "DATE", "start": 0, "end": 6, "score": 0.9}, "unknown"),
        ({"text": "Berlin", "label": "LOC", "start": 0, "end": 6, "score": 7}, "unknown"),
        ({"text": "Berlin", "label": "LOC"}, "can't be right"),
        ("Berlin", "can't be right"),
    ],
)
def test_a_name_that_does_not_fit_its_text_is_refused(name: Any, said: str) -> None:
    content = json.dumps({"results": [[name]]}).encode()
    digest = manifest(TAGGER).digest
    with (
        answering(lambda handler, _: handler.send(content, x_model_digest=digest)) as wrong,
        pytest.raises(ModelError, match=said),
    ):
        RemoteTagger(model_at(wrong.url, TAGGER)).tag(["Berlin wall"])


@pytest.mark.parametrize("scores", [[{"index": 0, "score": "high"}], [{"index": 0}], [], "none"])
def test_a_score_that_is_no_number_is_refused(scores: Any) -> None:
    content = json.dumps({"results": scores}).encode()
    with answering(lambda handler, _: handler.send(content)) as wrong:
        scorer = RemoteScorer(model_at(wrong.url))
        with pytest.raises(ModelError, match="no usable answer"):
            scorer.score(["q"], ["a"])
        with pytest.raises(ModelError, match="no usable answer"):
            scorer.score_within("q", ["a"])
        bounded = scorer.score_within("q", ["a"], ScoreLimits(until=time.perf_counter() + 5))
        assert (bounded.failure, bool(np.isnan(bounded.scores).all())) == ("ModelError", True)


# --- services that are away, busy, slow or cut off


def test_an_answer_cut_in_the_middle_is_asked_again() -> None:
    def reply(handler: Handler, _: dict[str, Any]) -> None:
        if len(handler.wrong.asked) < 3:
            handler.send_response(200)
            handler.send_header("content-length", "5000")
            handler.end_headers()
            handler.wfile.write(GOOD[:100])
            handler.close_connection = True
        else:
            handler.send(GOOD)

    with answering(reply) as wrong:
        assert encoder_at(wrong.url).encode_queries(["ferry"]).shape == (1, 384)
        assert len(wrong.asked) == 3


def test_a_service_that_is_always_cut_off_is_given_up_and_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote_calls, "REST", 600.0)

    def reply(handler: Handler, _: dict[str, Any]) -> None:
        handler.close_connection = True

    with answering(reply) as wrong:
        encoder = encoder_at(wrong.url)
        with pytest.raises(UnavailableError, match="cut off"):
            encoder.encode_queries(["ferry"])
        assert len(wrong.asked) == remote_calls.ATTEMPTS
        with pytest.raises(UnavailableError, match="left alone"):
            encoder.encode_queries(["ferry"])
        assert len(wrong.asked) == remote_calls.ATTEMPTS  # not called at all


@pytest.mark.timed
def test_a_service_that_comes_back_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_calls, "REST", 0.05)
    away = True

    def reply(handler: Handler, _: dict[str, Any]) -> None:
        if away:
            handler.close_connection = True
        else:
            handler.send(GOOD)

    with answering(reply) as wrong:
        encoder = encoder_at(wrong.url)
        with pytest.raises(UnavailableError):
            encoder.encode_queries(["ferry"])
        away = False
        time.sleep(0.06)
        assert encoder.encode_queries(["ferry"]).shape == (1, 384)


def test_a_rest_gets_longer_and_is_ended_by_one_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(remote_calls, "monotonic", lambda: clock[0])
    health = remote_calls._Health()
    for rest in (2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        assert health.may_ask(5.0)
        health.failed()
        clock[0] += rest - 0.1
        assert not health.may_ask(5.0)
        clock[0] += 0.2
    assert health.may_ask(5.0)
    assert not health.may_ask(5.0)  # one tries, the others don't wait for it
    health.answered()
    assert health.may_ask(5.0)
    assert health.may_ask(5.0)
    health.failed()
    clock[0] += 2.1
    assert health.may_ask(60.0)  # the rests begin anew
    clock[0] += 2.1
    assert health.may_ask(5.0)  # an ingest's minute does not keep searches away


def test_nobody_there_is_soon_said() -> None:
    with answering(lambda handler, _: handler.send(GOOD)) as gone:
        address = gone.url
    began = time.perf_counter()
    with pytest.raises(UnavailableError, match="ConnectError") as caught:
        encoder_at(address).encode_queries(["ferry"])
    assert time.perf_counter() - began < 15.0
    assert address in caught.value.where


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_again_after_the_time_it_says(status: int) -> None:
    times: list[float] = []

    def reply(handler: Handler, _: dict[str, Any]) -> None:
        times.append(time.perf_counter())
        if len(times) == 1:
            handler.send(b"{}", status, retry_after="1")
        else:
            handler.send(GOOD)

    with answering(reply) as wrong:
        assert encoder_at(wrong.url).encode_queries(["ferry"]).shape == (1, 384)
    assert times[1] - times[0] >= 1.0


@pytest.mark.timed
def test_a_search_s_own_short_time_does_not_make_a_service_one_that_is_down() -> None:
    begun = threading.Event()

    def reply(handler: Handler, _: dict[str, Any]) -> None:
        if not begun.is_set():
            begun.set()
            time.sleep(0.3)  # as slow as a busy model
        handler.send(b"{}")

    with answering(reply) as slow:
        service = model_at(slow.url).service
        for seconds in (0.05, 0.0, -0.1):
            with pytest.raises(UnavailableError, match="in time"):
                service.post("/embeddings", {}, seconds=seconds)
        assert service.post("/embeddings", {}, seconds=60.0)[0] == {}


@pytest.mark.timed
def test_scores_without_a_deadline_lack_nothing_or_fail() -> None:
    with answering(lambda handler, _: handler.send(b"{}", 503)) as wrong:
        scorer = RemoteScorer(model_at(wrong.url, SCORER))
        with pytest.raises(UnavailableError, match="busy"):
            scorer.score_within("ferry", ["a"], ScoreLimits(tokens=16))
        until = time.perf_counter() + 0.2
        assert (
            scorer.score_within("ferry", ["a"], ScoreLimits(until=until)).failure
            == "UnavailableError"
        )


def test_a_wait_longer_than_there_is_time_is_not_begun() -> None:
    with answering(lambda handler, _: handler.send(b"{}", 503, retry_after="600")) as wrong:
        began = time.perf_counter()
        with pytest.raises(UnavailableError, match="busy"):
            encoder_at(wrong.url).encode_queries(["ferry"])
        assert time.perf_counter() - began < 60.0


@pytest.mark.parametrize("dripping", [False, True])
@pytest.mark.timed
def test_a_slow_service_is_given_up_in_time(dripping: bool) -> None:
    over = threading.Event()

    def reply(handler: Handler, _: dict[str, Any]) -> None:
        if dripping:  # a byte now and then keeps any timeout for a single read from running out
            handler.send_response(200)
            handler.send_header("content-length", "100000")
            handler.end_headers()
            while not over.wait(0.05):
                handler.wfile.write(b" ")
        over.wait(120)
        handler.close_connection = True

    with answering(reply) as wrong:
        service = model_at(wrong.url).service
        began = time.perf_counter()
        try:
            with pytest.raises(UnavailableError, match="in time"):
                service.post("/embeddings", {}, seconds=0.3)
            assert time.perf_counter() - began < 60.0
            assert len(wrong.asked) == 1
        finally:
            over.set()


def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_calls, "MAX_ANSWER_BYTES", 1024 * 1024)

    with (
        answering(lambda handler, _: handler.send(b" " * 2_000_000)) as wrong,
        pytest.raises(ModelError, match="over 1 MiB"),
    ):
        encoder_at(wrong.url).encode_queries(["ferry"])


def test_a_refusal_is_told_in_the_service_s_words() -> None:
    body = json.dumps({"error": {"message": "too long\u001b[31m"}}).encode()
    with answering(lambda handler, _: handler.send(body, 400)) as wrong:
        with pytest.raises(ModelError, match="HTTP 400: too long") as caught:
            encoder_at(wrong.url).encode_queries(["ferry"])
        assert "\u001b" not in str(caught.value)
        assert len(wrong.asked) == 1


def test_a_redirect_is_not_followed_with_our_key() -> None:
    with (
        answering(lambda handler, _: handler.send(b"", 307, location="http://127.0.0.1:9/")) as at,
        pytest.raises(ModelError, match="HTTP 307"),
    ):
        encoder_at(at.url).encode_queries(["ferry"])


# --- repeated queries, requests' sizes, addresses


def test_a_repeated_query_is_asked_once() -> None:
    def reply(handler: Handler, body: dict[str, Any]) -> None:
        handler.send(vectors(unit(len(body["input"]))))

    with answering(reply) as wrong:
        encoder = encoder_at(wrong.url)
        assert encoder.encode_queries(["a", "b", "a"]).shape == (3, 384)
        assert encoder.encode_queries(["b"]).shape == (1, 384)
        assert [body["input"] for body in wrong.asked] == [["a", "b"]]
        assert encoder.cache.hits == 1


def test_requests_are_bounded_by_texts_and_by_characters() -> None:
    texts = ["x" * 60_000, "y" * 60_000, *["z"] * 130]
    made = list(groups(texts))
    assert [text for group in made for text in group] == texts
    assert [len(group) for group in made] == [1, 64, 64, 3]
    assert list(groups([])) == []


@pytest.mark.parametrize(
    ("runtime", "url", "verified"),
    [
        ("remote:http://models:8001", "http://models:8001/v1", True),
        ("remote:https://models/", "https://models/v1", True),
        ("remote-unverified:https://api.cohere.com/v2", "https://api.cohere.com/v2", False),
        ("remote:http://[::1]:8001", "http://[::1]:8001/v1", True),
    ],
)
def test_an_address_is_read(runtime: str, url: str, verified: bool) -> None:
    assert RemoteAddress.parse(runtime, where="x") == RemoteAddress(url, verified)


@pytest.mark.parametrize(
    "runtime",
    [
        "remote:",
        "remote:models:8001",
        "remote:ftp://models",
        "remote:http://",
        "remote:http://models:99999",
        "remote:http://models:port",
        "remote:http://u:hunter2@models",
        "remote:http://models/v1?key=hunter2",
    ],
)
def test_a_wrong_address_is_a_setting_s_error(runtime: str) -> None:
    with pytest.raises(SettingsError) as caught:
        RemoteAddress.parse(runtime, where="runtimes.x")
    assert "hunter2" not in str(caught.value)
    assert caught.value.where == "runtimes.x"


def test_a_key_that_no_header_takes_is_a_setting_s_error() -> None:
    for key in ("schlüssel", "two\nlines"):
        with pytest.raises(DatelineError) as caught:
            RemoteService.open(RemoteAddress("http://x/v1", verified=True), key=key)
        assert key not in str(caught.value)
