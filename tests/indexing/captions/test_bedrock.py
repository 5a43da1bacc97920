"""Captions by a model on Bedrock, over a socket: signed, billed, and failures told apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core.errors import SettingsError
from core.media import Caption, Uncaptioned
from indexing.captions.bedrock import BedrockProvider
from indexing.captions.calls import Calls, ProviderCaptioner, Rates, new_breaker
from indexing.captions.failures import Unanswered
from indexing.captions.spending import Spending
from tests.bedrock_server import KEY_ID, REGION, SECRET, BedrockServer, answer, bedrock
from tests.indexing.captions.world import EDGE, PRICES, Book, still

MODEL = "anthropic.claude-3-haiku-20240307-v1:0"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BedrockServer]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    with bedrock() as found:
        yield found


def captioned(server: BedrockServer, book: Book) -> Caption | Uncaptioned:
    provider = BedrockProvider.open(server.url, MODEL, seconds=20)
    spending = Spending(book, PRICES, None)
    calls = Calls(provider, Rates(), spending, breaker=new_breaker(), sleep=lambda _: None)
    captioner = ProviderCaptioner(calls, EDGE)
    try:
        return captioner.caption([still()])[0]
    finally:
        captioner.close()


def test_a_signed_question_is_answered_and_paid(server: BedrockServer) -> None:
    book = Book()
    found = captioned(server, book)
    assert isinstance(found, Caption)
    assert found.text == "A red ferry at a quay."
    assert found.made_by.startswith(f"{MODEL}@")
    assert server.refused == []
    ((path, tree, headers),) = server.requests
    assert path == "/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse"
    assert tree["messages"][0]["content"][1]["image"]["format"] == "jpeg"
    assert SECRET not in str(headers)
    assert sum(book.days.values()) == pytest.approx((800 * 1.0 + 50 * 4.0) / 1e6)


def test_a_roles_token_is_sent_and_signed(
    server: BedrockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token")
    assert isinstance(captioned(server, Book()), Caption)
    headers = server.requests[0][2]
    assert headers["x-amz-security-token"] == "a-token"
    assert "x-amz-security-token" in headers["authorization"]


def test_a_wrong_secret_is_refused_and_not_told(
    server: BedrockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret-1234")
    found = captioned(server, Book())
    assert isinstance(found, Uncaptioned)
    assert "InvalidSignatureException" in found.reason
    assert "another-secret-1234" not in found.reason
    assert server.refused == ["the signature differs"]


def test_throttling_is_waited_for(server: BedrockServer) -> None:
    server.say.append((429, "ThrottlingException", {"message": "Too many requests"}))
    assert isinstance(captioned(server, Book()), Caption)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "kind", "tree", "again", "billed"),
    [
        (400, "ValidationException", {"message": "no such model"}, False, False),
        (403, "AccessDeniedException", {"Message": "no"}, True, False),
        (200, "", answer("{}", "content_filtered"), False, True),
        (200, "", answer("{", "max_tokens"), True, True),
        (200, "", {"output": {}}, True, True),
    ],
)
def test_failures_are_told_apart(
    server: BedrockServer, status: int, kind: str, tree: Any, again: bool, billed: bool
) -> None:
    server.say.append((status, kind, tree))
    provider = BedrockProvider.open(server.url, MODEL, seconds=20)
    with pytest.raises(Unanswered) as failed:
        provider.chat(still())
    provider.close()
    assert (failed.value.again, failed.value.billed) == (again, billed)


def test_without_region_or_credentials_it_does_not_start(
    server: BedrockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(SettingsError, match="credentials"):
        BedrockProvider.open(server.url, MODEL)
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(SettingsError, match="region"):
        BedrockProvider.open(server.url, MODEL)
