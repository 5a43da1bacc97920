"""A head over frozen token vectors learns from lists, and is judged where nothing was chosen."""

import gzip
import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the [torch] extra")
pytest.importorskip("onnx", reason="needs the [torch] extra")

from core.items import FloatMatrix
from inference.late_interaction import max_sim
from training.rerank import combination
from training.rerank.candidates import CandidateList
from training.rerank.judge_lists import Rule, Scored, chosen, row_of, rules, table
from training.rerank.projection import (
    Head,
    Teaching,
    head_scores,
    learn,
    lessons,
    read_head,
    started,
    write_head,
)
from training.rerank.teachers import Taught, by_tokens, read_taught, teach
from training.rerank.token_cache import Joined, TokenCache

pytestmark = pytest.mark.torch

WIDTH = 12
NOTHING = np.zeros(0, np.float32)


def vectors_of(text: str) -> FloatMatrix:
    """One vector a word: its letters' places, the last half of it noise that a word always has."""
    rows = []
    for word in text.split():
        chance = np.random.default_rng(sum(map(ord, word)))
        told, noise = np.zeros(WIDTH // 2), chance.normal(size=WIDTH // 2)
        told[len(word) % (WIDTH // 2)] = 1.0
        rows.append(np.concatenate((told, noise)))
    found = np.array(rows, np.float32).reshape(-1, WIDTH)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def encode(texts: Sequence[str]) -> list[FloatMatrix]:
    return [vectors_of(text) for text in texts]


def listed(query: str, texts: Sequence[str], right: int) -> CandidateList:
    grades = tuple(int(place == right) for place in range(len(texts)))
    fused = np.linspace(1.0, 0.5, len(texts), dtype=np.float32)
    return CandidateList(query, fused, grades, tuple(texts), (1,))


def made(count: int, seed: int) -> list[CandidateList]:
    """Lists whose right passage has a word as long as the query's, in another spelling."""
    chance = random.Random(seed)

    def word(length: int) -> str:
        return "".join(chance.choice("abcdefghij") for _ in range(length))

    lists = []
    for _ in range(count):
        length = chance.randint(1, 5)
        others = [other for other in range(1, 6) if other != length]
        texts = [word(chance.choice(others)) for _ in range(5)]
        right = chance.randrange(5)
        texts[right] = word(length)
        lists.append(listed(word(length), texts, right))
    return lists


def filled(tmp_path: Path, lists: Sequence[CandidateList]) -> TokenCache:
    cache = TokenCache(tmp_path / "cache")
    texts = [text for one in lists for text in (one.query, *one.texts)]
    assert [*cache.fill(texts, encode)][-1] == 0
    return cache


def test_a_cache_goes_on_after_a_stop(tmp_path: Path) -> None:
    texts = [f"{'w' * number} x" for number in range(1, 140)]
    stopped = TokenCache(tmp_path / "cache").fill(texts, encode)
    next(stopped)
    stopped.close()
    asked: list[str] = []

    def counted(some: Sequence[str]) -> list[FloatMatrix]:
        asked.extend(some)
        return encode(some)

    cache = TokenCache(tmp_path / "cache")
    assert [*cache.fill(texts, counted)][-1] == 0
    assert len(asked) == len(texts) - 64
    reread = TokenCache(tmp_path / "cache")
    assert all(np.allclose(reread[text], vectors_of(text), atol=2e-3) for text in texts)


def test_two_encoders_side_by_side_have_the_mean_of_their_cosines(tmp_path: Path) -> None:
    turned = np.roll(np.eye(WIDTH, dtype=np.float32), 3, axis=0)
    turned[:, 0] *= 2.0

    def other(texts: Sequence[str]) -> list[FloatMatrix]:
        found = [vectors @ turned for vectors in encode(texts)]
        return [one / np.linalg.norm(one, axis=1, keepdims=True) for one in found]

    first, second = TokenCache(tmp_path / "first"), TokenCache(tmp_path / "second")
    texts = ["abc de", "f ghij k"]
    assert [*first.fill(texts, encode)] == [*second.fill(texts, other)] == [0]
    both = Joined((first, second))
    query, passage = (both[text] for text in texts)
    apart = [(part[texts[0]] @ part[texts[1]].T) for part in (first, second)]
    assert np.allclose(query @ passage.T, np.mean(apart, axis=0), atol=1e-5)
    assert np.allclose(np.linalg.norm(query, axis=1), 1.0, atol=2e-3)


def test_the_untrained_head_at_full_width_is_max_sim() -> None:
    query, passage = vectors_of("abc de f"), vectors_of("abcd fg hhhhh")
    head = started(np.eye(WIDTH, dtype=np.float32), WIDTH)
    assert head.score(query, passage) == pytest.approx(max_sim(query, passage), abs=1e-5)
    assert head.score(query[:0], passage) == head.score(query, passage[:0]) == 0.0


def test_learning_finds_what_the_search_gets_wrong(tmp_path: Path) -> None:
    lists, unseen = made(120, 1), made(60, 2)
    cache = filled(tmp_path, [*lists, *unseen])
    every = list(lessons([Taught(one, NOTHING) for one in lists], Teaching(), random.Random(1)))
    sample = np.concatenate([cache[one.query] for one in lists])
    before = started(sample, 8)
    after = learn(before, every, cache, 6, tmp_path / "head", rate=0.05)
    kept = read_head(tmp_path / "head")
    assert np.array_equal(kept.projection, after.projection)

    def right(head: Head) -> float:
        scores = head_scores(head, unseen, cache)
        best = [int(np.argmax(row)) for row in scores]
        return float(np.mean([one.grades[place] for one, place in zip(unseen, best, strict=True)]))

    assert right(after) > max(0.7, right(before))


def test_a_head_is_read_as_written(tmp_path: Path) -> None:
    head = started(np.eye(WIDTH, dtype=np.float32), 4)
    write_head(head, tmp_path / "head")
    found = read_head(tmp_path / "head")
    assert all(np.array_equal(getattr(found, n), getattr(head, n)) for n in Head.__slots__)


def test_a_teacher_by_tokens_is_max_sim(tmp_path: Path) -> None:
    given = made(1, 4)[0]
    found = by_tokens(filled(tmp_path, [given]))(given.query, given.texts)
    expected = [max_sim(vectors_of(given.query), vectors_of(text)) for text in given.texts]
    assert np.allclose(found, expected, atol=5e-3)


@pytest.mark.parametrize(("margin", "left"), [(None, (0, 2, 3)), (0.05, (2, 3)), (0.5, (3,))])
def test_a_passage_that_teachers_take_for_right_is_no_negative(
    margin: float | None, left: tuple[int, ...]
) -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.1], np.float32)
    assert Taught(listed("q", ["a", "b", "c", "d"], 1), scores).negatives(margin) == left


def test_teaching_goes_on_behind_the_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl.gz"
    rows = []
    for number in range(3):
        each = [
            {"id": f"d{n}", "fused": 1 - n / 10, "grade": int(n == 1), "text": "w" * (n + 1)}
            for n in range(3)
        ]
        rows.append({"query_id": f"q{number}", "query": "x", "ideal": [1], "candidates": each})
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))

    def longest(query: str, passages: Sequence[str]) -> FloatMatrix:
        return np.array([len(text) for text in passages], np.float32)

    running = teach(path, {"longest": longest}, 3)
    next(running)
    running.close()
    beside = tmp_path / "some.taught.jsonl"
    beside.write_text(beside.read_text() + "[0.1, 0.")
    assert [*teach(path, {"longest": longest}, 3)] == [1, 0]
    assert [one.scores.tolist() for one in read_taught(path)] == [[0.0, 0.5, 1.0]] * 3
    shortest = {"shortest": lambda query, texts: -longest(query, texts)}
    assert [*teach(path, shortest, 3)] == [2, 1, 0]
    assert [one.scores.tolist() for one in read_taught(path)] == [[1.0, 0.5, 0.0]] * 3


def test_the_rule_is_chosen_where_it_helps_and_judged_by_the_served_mix() -> None:
    good = [
        Scored(listed("one two", list("abc"), 2), np.array([0, 0, 1], np.float32)) for _ in range(8)
    ]
    bad = [
        Scored(listed("one two", list("abc"), 0), np.array([0, 0, 1], np.float32)) for _ in range(8)
    ]
    helped = chosen({"good": good}, rules(good))
    assert helped.weight > 0
    assert chosen({"bad": bad}, rules(bad)) == Rule(0.0)
    row, moved = row_of("good", good, Rule(0.5))
    assert row.without == pytest.approx(0.5)
    assert row.points == pytest.approx(moved.mean()) == pytest.approx((row.by_rule - 0.5) * 100)
    assert (row.better, row.worse) == (8, 0)
    assert row.room == pytest.approx(50.0), "the right passage first, for every query"
    mean = table({"good": good, "bad": bad}, Rule(0.7), "both")[-1]
    assert (mean.name, mean.queries, mean.worse) == ("mean of both", 16, 8)
    assert mean.room == pytest.approx(25.0), "nothing is left where the search is right"
    each = [row_of("", lists, Rule(0.7))[0].points for lists in (good, bad)]
    assert mean.points == pytest.approx(np.mean(each))


def test_a_rule_stays_between_its_bounds() -> None:
    short = Scored(listed("one", list("abc"), 0), np.zeros(3, np.float32))
    long = Scored(listed("word " * 64, list("abc"), 0), np.zeros(3, np.float32))
    rising = Rule(0.5, "words", 1.0, 0.5)
    assert rising(short) == 0.0
    assert rising(long) == 0.9
    assert Rule(0.3)(short) == Rule(0.3)(long) == 0.3


def test_a_combination_learns_which_feature_tells_and_is_read_as_written(tmp_path: Path) -> None:
    lists = made(60, seed=1)
    cache = filled(tmp_path, lists)
    rare = combination.rarity(lists)
    each = [combination.features(one, (cache, cache), rare) for one in lists]
    width = len(combination.FEATURES) + len(combination.OF_THE_QUERY)
    assert {one.shape for one in each} == {(5, width)}
    taught = [Taught(one, NOTHING) for one in lists]
    table = combination.table_of(taught, each, Teaching(negatives=4))
    assert table.target.shape == table.features.shape[:2] == (60, 20)
    assert {*table.target.sum(axis=1).tolist()} == {1.0 - 15}, "the right one, and 15 places left"
    chance = np.random.default_rng(0)
    told = chance.random(table.features.shape, np.float32)
    right = told[:, :5, 3].argmax(axis=1)
    target = np.where(np.arange(20) < 5, np.eye(20, dtype=np.float32)[right], np.float32(-1))
    found = combination.learn(combination.Table(told, target), hidden=2, passes=400)
    guessed = [int(np.argmax(found.score(one[:5]))) for one in told]
    assert np.mean(np.array(guessed) == right) > 0.6
    combination.write(found, tmp_path / "numbers")
    again = combination.read(tmp_path / "numbers")
    assert np.array_equal(again.score(each[0]), found.score(each[0]))


def test_a_share_of_words_counts_rare_ones_more() -> None:
    rare = {"the": 0.1, "ferry": 2.0}
    assert combination.share(["the", "ferry"], {"ferry"}, rare) == pytest.approx(2.0 / 2.1)
    assert combination.share(["unknown"], {"ferry"}, rare) == 0.0
