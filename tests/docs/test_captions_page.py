"""What docs/captions.md says of rights, failures and settings is what happens."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from core.media import Caption, Uncaptioned
from dateline.settings import SPENT, Settings
from indexing.captions import calls, failures
from indexing.captions.answer import MOST_CAPTION
from indexing.captions.prompt import MOST_CONTEXT
from indexing.captions.rights import Rule, may_leave
from indexing.captions.spending import IMAGE_TOKENS
from inference.models.catalogue import Catalogue
from tests.caption_provider import CaptionServer, Reply
from tests.demo_service import ROOT
from tests.indexing.captions.world import Book, captioner, still

pytestmark = pytest.mark.timed

PAGE = (ROOT / "docs" / "captions.md").read_text("utf-8")
XMP = (
    '<a xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" xmlns:tdm="http://www.w3.org/ns/tdmrep/">'
    '<b {}="{}"/></a>'
)


def rows(head: str) -> list[tuple[str, ...]]:
    """The cells of the table whose first line is `head`."""
    _, found, table = PAGE.partition(f"\n{head}\n")
    assert found, f"there is no table {head}"
    lines = table.split("\n\n")[0].splitlines()[1:]
    return [tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in lines]


@pytest.mark.parametrize(
    ("says", "unless_forbidden", "only_allowed"),
    rows("| the asset says | `unless_forbidden` | `only_allowed` |"),
)
def test_rights(says: str, unless_forbidden: str, only_allowed: str) -> None:
    name, value = re.findall("`([^`]+)`", says) or ("", "")
    packets = [XMP.format(name, value)] if says.startswith("XMP") else []
    documents = [{name: value == "true"}] if says.startswith("document") else []
    assert bool(packets or documents) is (says != "nothing")
    for rule, right in zip(get_args(Rule), (unless_forbidden, only_allowed), strict=True):
        assert may_leave(packets, documents, rule) is (right == "sent"), rule


FAILURES = rows("| it answers | asked again | counts against it |")
REPLIES: dict[str, Any] = {
    "5xx": Reply(status=500),
    "cut off": Reply(cut=5),
    "too slow": Reply(delay_s=1.5),
    "no quota left": Reply(status=429, body=b'{"error": {"code": "insufficient_quota"}}'),
    "a Retry-After over 60 s": Reply(status=429, headers={"Retry-After": "61"}),
}


@pytest.mark.parametrize(("answers", "again", "counts"), FAILURES)
def test_failures(answers: str, again: str, counts: str) -> None:
    for kind in answers.split(", "):
        reply = REPLIES.get(kind) or Reply(status=int(kind))
        seconds = 0.7 if kind == "too slow" else 60.0
        with CaptionServer() as server:
            server.say(reply, reply)
            with captioner(server, failures=1, rest_s=60, attempts=1, seconds=seconds) as made:
                (first,) = made.caption([still()])
                (second,) = made.caption([still()])
            assert isinstance(first, Uncaptioned), kind
            assert isinstance(second, Uncaptioned), kind
            assert (second.reason == calls.LEFT_ALONE) is (counts == "yes"), kind
            assert first.again is not again.endswith("given up"), kind
        with CaptionServer() as server, captioner(server, seconds=seconds) as made:
            server.say(reply)
            assert isinstance(made.caption([still()])[0], Caption) is ("attempts" in again), kind


def test_every_setting_of_captions_is_told() -> None:
    told = [row[0].strip("`") for row in rows("| setting | what it does |")]
    own = [name for name in Settings.model_fields if name.startswith("caption")]
    assert sorted(told) == sorted([*own, "external_processing"])


@pytest.mark.parametrize(
    ("reply", "happened"),
    [
        (Reply(), "an answer"),
        (Reply(status=400), "429, 5xx, 400, a refused key, nobody there"),
        (Reply(cut=9), "cut off, too slow, an answer that can't be read"),
    ],
)
def test_costs(reply: Reply, happened: str) -> None:
    told = dict(rows("| what happened | what it costs |"))[happened]
    book = Book()
    with CaptionServer() as server, captioner(server, book=book, attempts=1) as made:
        server.say(reply)
        made.caption([still()])
    (spent,) = book.days.values()
    counted = 900e-6 + 4 * 60e-6
    if told.startswith("nothing"):
        assert spent == 0
    elif told.startswith("what the provider counted"):
        assert spent == pytest.approx(counted)
    else:
        assert spent > counted


def test_numbers() -> None:
    for said in (
        f"{MOST_CONTEXT:,} characters of the agency's own text",
        f"{MOST_CAPTION} characters",
        f"{IMAGE_TOKENS:,} tokens",
        f"After {calls.FAILURES} failures in a row",
        f"not asked for {calls.REST_S:.0f} s",
        f"{calls.ATTEMPTS} attempts",
        f"a Retry-After over {failures.LONGEST_WAIT_S:.0f} s",
        f"`{SPENT}`",
    ):
        assert said in " ".join(PAGE.split()), said


def test_the_open_model_is_in_the_catalogue() -> None:
    manifest = Catalogue().find("blip-image-captioning-large")
    assert manifest.task == "caption"
    assert f"`{manifest.name}` (BLIP, {manifest.licence}" in PAGE
