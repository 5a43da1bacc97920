"""A joint encoder's run goes on where it was stopped, and fewer layers are taken evenly."""

import itertools
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the [torch] extra")
pytest.importorskip("onnx", reason="needs the [torch] extra")

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from core.errors import InputError
from inference.cross_encoder import CrossEncoder
from inference.models.store import ModelStore
from training.graphs.bert import BertShape
from training.rerank.candidates import CandidateList
from training.rerank.distil import (
    Run,
    bert_of,
    drawn,
    evened,
    every_second,
    freeze,
    learn,
    loss_of,
    start_of,
    state_of,
)
from training.rerank.halve import Halved, Plan, Told, halve
from training.rerank.joint import JointEncoder, PairTokens
from training.rerank.joint_folder import write_model
from training.rerank.projection import Teaching
from training.rerank.teachers import Taught

pytestmark = pytest.mark.torch

WORDS = ("who", "won", "the", "match", "spain", "lost")
TEACHING = Teaching(distilled=0.5, negatives=3)


def tokens() -> PairTokens:
    special = {"[UNK]": 100, "[CLS]": 101, "[SEP]": 102}
    vocabulary = special | {word: 103 + number for number, word in enumerate(WORDS)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 101), ("[SEP]", 102)],
    )
    return PairTokens(made, 16)


def weights(layers: int, width: int = 16) -> dict[str, np.ndarray]:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=120,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=4 * width,
    )
    state = BertModel(config, add_pooling_layer=False).state_dict()
    return {name: value.numpy() for name, value in state.items()}


def run() -> Run:
    shape = BertShape(layers=2, heads=2, width=16)
    return Run.of(JointEncoder(weights(2), shape, vocabulary=120))


def taught(count: int) -> list[Taught]:
    chance = random.Random(3)
    lists = []
    for _ in range(count):
        texts = tuple(" ".join(chance.choices(WORDS, k=4)) for _ in range(5))
        fused = np.linspace(1.0, 0.2, 5, dtype=np.float32)
        given = CandidateList(chance.choice(WORDS), fused, (0, 1, 0, 0, 0), texts, (1,))
        lists.append(Taught(given, np.array([chance.random() for _ in range(5)], np.float32)))
    return lists


def test_a_stopped_run_ends_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists, whole, stopped, again = taught(12), run(), run(), run()
    assert learn(whole, lists, tokens(), TEACHING, 6, tmp_path / "whole")
    clock = itertools.count()
    monkeypatch.setattr("training.rerank.distil.time.monotonic", lambda: next(clock))
    assert not learn(stopped, lists, tokens(), TEACHING, 6, tmp_path / "stopped", seconds=4)
    monkeypatch.undo()
    again.read(tmp_path / "stopped")
    assert 0 < again.step < 6
    assert learn(again, lists, tokens(), TEACHING, 6, tmp_path / "stopped")
    same = zip(whole.model.state_dict().values(), again.model.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in same)


def test_moments_are_kept(tmp_path: Path) -> None:
    lists, first = taught(12), run()
    learn(first, lists, tokens(), TEACHING, 3, tmp_path / "state")
    second = run()
    second.read(tmp_path / "state")
    pairs = zip(first.model.parameters(), second.model.parameters(), strict=True)
    for ours, theirs in pairs:
        before, after = first.optimizer.state[ours], second.optimizer.state[theirs]
        assert torch.equal(before["exp_avg"], after["exp_avg"])
        assert float(before["step"]) == float(after["step"]) == 3.0
    assert {*bert_of(tmp_path / "state")} == {*weights(2)}


def test_learning_lowers_the_loss(tmp_path: Path) -> None:
    lists, one = taught(8), run()
    group = drawn(lists, TEACHING, random.Random(9))
    one.model.eval()
    before = loss_of(one.model, tokens(), group).item()
    for each in one.optimizer.param_groups:
        each["highest"] = 1e-2
    learn(one, lists, tokens(), TEACHING, 12, tmp_path / "state")
    one.model.eval()
    assert loss_of(one.model, tokens(), group).item() < before


def test_a_run_becomes_the_model_that_was_trained(tmp_path: Path) -> None:
    lists, one = taught(12), run()
    learn(one, lists, tokens(), TEACHING, 3, tmp_path / "state")
    found, layers = state_of(tmp_path / "state")
    tokens().tokenizer.save(str(tmp_path / "tokenizer.json"))
    shape = BertShape(layers=layers, heads=2, width=16)
    made = [each.given for each in lists]
    write_model(tmp_path / "exact", found, shape, tmp_path / "tokenizer.json")
    write_model(tmp_path / "whole", found, shape, tmp_path / "tokenizer.json", made)
    query, passages = made[0].query, made[0].texts
    with torch.no_grad():
        batch = tokens().batch([(query, text) for text in passages])
        expected = one.model.eval()(batch).numpy()
    for name, near in (("exact", 1e-3), ("whole", 1.0)):
        scorer = CrossEncoder.open(ModelStore(tmp_path), name, threads=1)
        scores = scorer.score([query] * len(passages), passages)[:, 0]
        assert np.abs(scores - expected).max() < near


def test_frozen_layers_learn_nothing_and_the_others_do(tmp_path: Path) -> None:
    model = JointEncoder(weights(2), BertShape(layers=2, heads=2, width=16), vocabulary=120)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    freeze(model, 1)
    learn(Run.of(model), taught(12), tokens(), TEACHING, 3, tmp_path / "state")
    moved = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    assert not [name for name in moved if "embeddings" in name or "layer.0." in name]
    assert [name for name in moved if "layer.1." in name]


def test_half_of_evened_lists_are_those_that_the_search_gets_wrong() -> None:
    right = [Taught(replace(one.given, grades=(1, 0, 0, 0, 0)), one.scores) for one in taught(9)]
    none = [Taught(replace(one.given, grades=(0,) * 5), one.scores) for one in taught(2)]
    found = evened([*right, *taught(3), *none])
    assert [one.given.found[0] for one in found] == [1, 1, 1, 0, 0, 0]


def test_every_second_layer_is_kept_in_order() -> None:
    twelve = weights(4)
    half = every_second(twelve, 2)
    assert {*half} == {*weights(2)}
    kept = "attention.self.query.weight"
    assert half[f"encoder.layer.0.{kept}"] is twelve[f"encoder.layer.1.{kept}"]
    assert half[f"encoder.layer.1.{kept}"] is twelve[f"encoder.layer.3.{kept}"]
    with pytest.raises(ValueError, match="4 layers"):
        every_second(twelve, 3)


def teacher_of_four(folder: Path) -> Path:
    shape = BertShape(layers=4, heads=2, width=64)
    model = JointEncoder(weights(4, 64), shape, vocabulary=120)
    with torch.no_grad():
        model.scale.fill_(7.0)
        model.cls.weight.fill_(0.25)
    Run.of(model).write(folder / "teacher.run")
    return folder / "teacher.run"


def test_a_student_starts_with_its_teachers_head(tmp_path: Path) -> None:
    student = start_of(str(teacher_of_four(tmp_path)), 2, tmp_path)
    assert student.scale.item() == 7.0
    assert torch.all(student.cls.weight == 0.25)
    assert len(student.bert.encoder.layer) == 2


def test_a_student_comes_nearer_to_its_teacher_which_stays(tmp_path: Path) -> None:
    path = teacher_of_four(tmp_path)
    teacher = start_of(str(path), 0, tmp_path).eval()
    model = start_of(str(path), 2, tmp_path)
    with torch.no_grad():
        for value in model.bert.parameters():
            value.add_(0.3 * torch.randn_like(value))
    student = Run.of(model, rate=1e-2)
    lists, told = taught(12), Told(teacher, 1.0)
    group = drawn(lists, TEACHING, random.Random(9))
    before = told(model, tokens(), group).item()
    kept = {name: value.clone() for name, value in teacher.state_dict().items()}
    learn(student, lists, tokens(), TEACHING, 20, tmp_path / "state", loss_in=told)
    after = told(model, tokens(), group).item()
    itself = told(teacher, tokens(), group).item()
    assert itself < after < before
    assert all(torch.equal(value, kept[name]) for name, value in teacher.state_dict().items())


def lists_file(path: Path, count: int) -> Path:
    rows = [
        {
            "query": one.given.query,
            "ideal": list(one.given.ideal),
            "candidates": [
                {"fused": float(fused), "grade": grade, "text": text}
                for fused, grade, text in zip(
                    one.given.fused, one.given.grades, one.given.texts, strict=True
                )
            ],
        }
        for one in taught(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_student_of_half_the_layers_stands_beside_its_teacher(tmp_path: Path) -> None:
    teacher = teacher_of_four(tmp_path)
    tokens().tokenizer.save(str(tmp_path / "tokenizer.json"))
    learned = lists_file(tmp_path / "learned.jsonl", 12)
    judged = lists_file(tmp_path / "judged.jsonl", 5)
    plan = Plan(
        teacher,
        (learned,),
        (judged,),
        tmp_path / "made",
        tmp_path / "tokenizer.json",
        layers=2,
        steps=2,
        seconds=0.0,
    )
    assert halve(plan) == Halved(0, 2), "no time to learn: it goes on later"
    told: list[str] = []
    found = halve(replace(plan, seconds=float("inf")), told.append)
    assert [line.split()[0] for line in told] == ["teaches", "writes", "judges", "measures"]
    assert [side.layers for side in found.sides] == [4, 2]
    assert all(0 < side.ndcg <= 1 and side.ms > 0 for side in found.sides)
    teacher_side, student_side = found.sides
    low, high = found.interval
    assert low <= 100 * (teacher_side.ndcg - student_side.ndcg) <= high
    for name in ("teacher", "student"):
        assert ModelStore(tmp_path / "made").open(name)
    report = json.loads((tmp_path / "made" / "report.json").read_text())
    (figures,) = report["judged"]
    assert (figures["before"], figures["after"]) == (teacher_side.ndcg, student_side.ndcg)
    assert [row["layer"] for row in report["layers"]] == [
        "layer 1, the teacher's 2",
        "layer 2, the teacher's 4",
    ]
    assert [(row["name"], row["count"]) for row in (*report["fitted"], *report["held_out"])] == [
        ("lists of learned.jsonl", 12),
        ("lists of judged.jsonl", 5),
    ]
    assert report["seconds"] > 0
    low, high = figures["interval"]
    assert low <= 100 * (figures["after"] - figures["before"]) <= high
    costs = {row["what"]: (row["before"], row["after"]) for row in report["costs"]}
    assert costs["MB on disk"][1] < costs["MB on disk"][0]
    assert costs["ms of processor time for a list of 20"] == (teacher_side.ms, student_side.ms)


@pytest.mark.parametrize("layers", [4, 3])
def test_layers_that_cannot_be_grouped_are_refused(tmp_path: Path, layers: int) -> None:
    shape = BertShape(layers=4, heads=2, width=64)
    Run.of(JointEncoder(weights(4, 64), shape, vocabulary=120)).write(tmp_path / "run")
    plan = Plan(tmp_path / "run", (), (), tmp_path / "made", tmp_path / "t", layers=layers)
    with pytest.raises(InputError):
        halve(plan)
    assert not (tmp_path / "made").exists()
