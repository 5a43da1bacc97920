"""A folder of judgements is begun with a set, and graded over HTTP by whoever has the key."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from fastapi.testclient import TestClient

from core.errors import InputError
from dateline.measuring.judging import TAKEN_OVER, Shown, begin
from dateline.measuring.judging_app import build_judging_app
from eval.judging.pool import pooled
from eval.judging.sitting import sit
from eval.sets.datasets import read_judged_set, read_to_judge

KEY = "a-key-of-the-test"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A judged set that does not say who judged it."""
    folder = tmp_path / "set"
    (folder / "qrels").mkdir(parents=True)
    stories = [{"_id": i, "title": f"story {i}", "text": f"about {i}"} for i in "abc"]
    queries = [{"_id": "q1", "text": "one"}, {"_id": "q2", "text": "nobody judged this"}]
    for name, rows in {"corpus.jsonl": stories, "queries.jsonl": queries}.items():
        (folder / name).write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t0\n")
    return folder


@pytest.fixture
def begun(source: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    begin(folder, str(source))
    return folder


@pytest.fixture
def client(begun: Path) -> TestClient:
    pool = pooled({"hybrid": {"q1": ("a", "b"), "q2": ("c",)}}, 3)
    sitting = sit(read_to_judge(begun), begun, pool, "ada", 1.0)
    app = build_judging_app(sitting, lambda document: Shown(document, "text", "so"), KEY)
    return TestClient(app, base_url="http://127.0.0.1", headers={"x-judge-key": KEY})


def test_a_folder_begins_with_the_grades_of_the_set(source: Path, begun: Path) -> None:
    old, new = read_judged_set(str(source)), read_judged_set(str(begun))
    assert (new.qrels, new.judges) == (old.qrels, (TAKEN_OVER,))
    assert (new.corpus.resolve(), new.conventions.products) == (
        old.corpus.resolve(),
        old.conventions.products,
    )
    assert set(read_to_judge(begun).queries) == {"q1", "q2"}


def test_a_folder_with_judges_keeps_their_names(begun: Path, tmp_path: Path) -> None:
    begin(tmp_path / "more", str(begun))
    assert read_judged_set(str(tmp_path / "more")).judges == (TAKEN_OVER,)


def test_grades_without_a_judge_are_not_mixed_with_others(source: Path) -> None:
    with pytest.raises(InputError) as raised:
        read_to_judge(source)
    assert raised.value.where == str(source)


def test_a_folder_is_begun_once(source: Path, begun: Path) -> None:
    with pytest.raises(InputError) as raised:
        begin(begun, str(source))
    assert raised.value.where == str(begun)


def test_a_grade_is_in_the_set_when_it_was_answered(client: TestClient, begun: Path) -> None:
    asked = client.get("/judging").json()
    assert (asked["judge"], asked["graded"]) == ("ada", [False] * 3)
    by_query = {client.get(f"/judging/pairs/{n}").json()["query"]: n for n in range(3)}
    number = by_query["nobody judged this"]
    assert client.put(f"/judging/pairs/{number}", json={"grade": 3, "note": "it is"}).is_success
    assert read_judged_set(str(begun)).qrels["q2"] == {"c": 3}
    assert client.get(f"/judging/pairs/{number}").json()["grade"] == 3
    assert client.put(f"/judging/pairs/{number}", json={"grade": None}).is_success
    assert "q2" not in read_judged_set(str(begun)).qrels


def test_a_second_grade_of_a_pair_shows_how_far_judges_agree(client: TestClient) -> None:
    for number in range(3):
        client.put(f"/judging/pairs/{number}", json={"grade": 2})
    found = client.get("/judging/agreement").json()
    assert (found["pairs"], found["same"]) == (2, 0.5)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/judging/pairs/0", {"grade": 4}, 400),
        ("PUT", "/judging/pairs/0", {"grade": -1}, 422),
        ("PUT", "/judging/pairs/0", {"grade": 1, "note": "x" * 2001}, 422),
        ("PUT", "/judging/pairs/3", {"grade": 1}, 404),
        ("GET", "/judging/pairs/-1", None, 404),
    ],
)
def test_what_is_wrong_is_refused_and_changes_nothing(
    client: TestClient, begun: Path, method: str, path: str, body: object, status: int
) -> None:
    before = (begun / "judgements.jsonl").read_bytes()
    assert client.request(method, path, json=body).status_code == status
    assert (begun / "judgements.jsonl").read_bytes() == before


@pytest.mark.parametrize("key", ["", "another", "é"])
def test_without_the_key_nothing_is_read_or_graded(client: TestClient, key: str) -> None:
    headers = {"x-judge-key": key.encode()}
    for path in ("/judging", "/judging/pairs/0", "/judging/agreement"):
        assert client.get(path, headers=headers).status_code == 401
    given = client.put("/judging/pairs/0", json={"grade": 1}, headers=headers)
    assert given.status_code == 401
    assert client.get("/", headers=headers).status_code == 200


def test_other_hosts_are_refused(client: TestClient) -> None:
    """So a page of another host whose name leads here reads nothing."""
    assert client.get("/judging", headers={"host": "elsewhere.example"}).status_code == 400
