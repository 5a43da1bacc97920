"""The log of a process: each kind of line once a second, with a count of what was left out."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from core import tracing
from dateline.serving.log_lines import LimitedLines, without_secrets


@pytest.fixture
def now() -> list[float]:
    """The clock's reading."""
    return [0.0]


@pytest.fixture
def log(now: list[float]) -> Iterator[logging.Logger]:
    logger = logging.getLogger("tests.log_lines")
    handler = LimitedLines(lambda: now[0])
    logger.addHandler(handler)
    logger.propagate = False
    yield logger
    logger.removeHandler(handler)


def warn(log: logging.Logger, what: str) -> None:
    log.warning("one place, %s", what)


def fail(log: logging.Logger, error: Exception) -> None:
    try:
        raise error
    except Exception:
        log.exception("another place")


def test_a_kind_of_line_is_written_once_a_second_and_counted(
    log: logging.Logger, now: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(1000):
        now[0] = number / 400
        warn(log, str(number))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["message"], line.get("left_out")) for line in lines] == [
        ("one place, 0", None),
        ("one place, 400", 399),
        ("one place, 800", 399),
    ]
    assert [line["level"] for line in lines] == ["warning"] * 3


def test_kinds_do_not_hide_each_other(
    log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(5):
        warn(log, "x")
        fail(log, ValueError("first"))
        fail(log, KeyError("second"))
        log.error("answered", extra={"kind": ""})
        log.error("refused", extra={"kind": "GET 401"})
        log.error("refused", extra={"kind": "GET 403"})
    text = capsys.readouterr().err
    counts = [text.count(each) for each in ("one place", "ValueError", "KeyError")]
    assert counts == [1, 1, 1]
    assert (text.count("answered"), text.count("refused")) == (5, 2)


def nested(log: logging.Logger, *texts: str) -> None:
    first, second, third = texts
    try:
        try:
            raise KeyError(first)
        except KeyError as error:
            raise ExceptionGroup("both", [ValueError(second), OSError(third)]) from error
    except ExceptionGroup:
        log.exception("it failed at %s", "s3://bucket/a.jpg?X-Amz-Signature=abc&b=1 today")


@pytest.mark.parametrize("allowed", [False, True])
def test_an_error_says_where_and_which_and_its_text_only_if_that_is_allowed(
    log: logging.Logger, capsys: pytest.CaptureFixture[str], allowed: bool
) -> None:
    texts = ("minister resigns", "a key", "a word")
    tracing.let_quote(allowed)
    nested(log, *texts)
    tracing.let_quote(False)
    line = json.loads(capsys.readouterr().err)
    assert line["message"] == "it failed at s3://bucket/a.jpg today"
    for name in ("Traceback", "KeyError", "ValueError", "OSError", "ExceptionGroup", "in nested"):
        assert name in line["exception"]
    assert [text in line["exception"] for text in texts] == [allowed] * 3


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("at postgresql://desk:secret@db.example/x, later", "at postgresql://db.example/x, later"),
        ("https://a.example/x?signature=1#part", "https://a.example/x"),
        ("https://a.example/x#part and what? nothing", "https://a.example/x and what? nothing"),
        ("is 4:3? yes", "is 4:3? yes"),
    ],
)
def test_addresses_lose_what_may_be_secret(text: str, plain: str) -> None:
    assert without_secrets(text) == plain
