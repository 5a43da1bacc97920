"""Fine-tuning a token classifier: a plain loop over batches of alike lengths.

A student learns from a teacher as well (Hinton et al. 2015): from how likely each label is to it,
on the tagged sentences and on others that nobody has tagged.
"""

import functools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
import torch
from tokenizers import Tokenizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import DistilBertForTokenClassification

from core.entities import EntityLabel
from inference.batches import cut_batches
from inference.runtimes.onnx import session_options
from inference.tokens import padded
from inference.word_tokens import WordTokens
from inference.words import Window, windows
from training.bert_graph import BertShape, Weights
from training.conll import Sentence, augmented
from training.distilbert import bert_weights, token_classifier
from training.quantize import Batch

LABELS = ("O", *(f"{edge}-{label}" for label in EntityLabel for edge in "BI"))
MAX_TOKENS = 256
IGNORED = -100  # PyTorch's own number for what counts nothing
BATCH_TOKENS = 1024  # about 40 sentences


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. Rates are the greatest, after the warm-up; they fall linearly to zero."""

    epochs: int = 5
    rate: float = 1e-4
    head_rate: float = 1e-3
    warm_up: float = 0.1  # of all steps
    copies: float = 0.4  # query-like copies for each sentence
    averaged: float = 0.998  # of the running average of the weights, kept at each step
    taught: float = 0.5  # of the loss, what the teacher says; the rest is what the tags say
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Lesson:
    """One batch: `arrays` as for the graph, `classes` [n, t] with IGNORED where no word begins.
    Only a teacher knows the words' classes where it is not `tagged`.
    """

    arrays: Batch
    classes: torch.Tensor
    tagged: bool


Teacher = Callable[[Lesson], torch.Tensor]
"""How likely each label of each of a lesson's words is, float32 [words, labels]."""


def lessons(
    tokenizer: Tokenizer,
    sentences: Sequence[Sentence],
    chance: random.Random,
    *,
    tagged: bool = True,
) -> list[Lesson]:
    """All sentences as batches of alike lengths, in random order."""
    cut = windows(
        WordTokens.over(tokenizer), [sentence.words for sentence in sentences], limit=MAX_TOKENS
    )
    batches = cut_batches([len(window.tokens) for window in cut], budget=BATCH_TOKENS)
    made = [lesson([cut[row] for row in batch], sentences, tagged=tagged) for batch in batches]
    chance.shuffle(made)
    return made


def lesson(rows: Sequence[Window], sentences: Sequence[Sentence], *, tagged: bool) -> Lesson:
    """A word's tag is asked at its first token only."""
    arrays = padded([row.tokens for row in rows])
    classes = np.full(arrays["input_ids"].shape, IGNORED, np.int64)
    for number, row in enumerate(rows):
        tags = sentences[row.text].tags
        classes[number, list(row.heads)] = [LABELS.index(tags[word]) for word in row.words]
    return Lesson(arrays, torch.from_numpy(classes), tagged)


def logits_of(model: DistilBertForTokenClassification, given: Lesson) -> torch.Tensor:
    """float32 [words, labels]. On processors without tiles for bfloat16 (AMX) it would take 1.7
    times as long.
    """
    ids, mask = (torch.from_numpy(given.arrays[name]).long() for name in given.arrays)
    logits: torch.Tensor = model(input_ids=ids, attention_mask=mask).logits
    return logits[given.classes != IGNORED]


def teacher_of(graph: onnx.ModelProto, threads: int) -> Teacher:
    """A float32 `label_graph` as a teacher, in ONNX Runtime: half of PyTorch's time."""
    options = session_options(threads, optimize=True)
    session = ort.InferenceSession(graph.SerializeToString(), options)

    def told(given: Lesson) -> torch.Tensor:
        (logits,) = session.run(["logits"], dict(given.arrays))
        return torch.from_numpy(logits)[given.classes != IGNORED].softmax(dim=1)

    return told


def loss_of(
    model: DistilBertForTokenClassification, teacher: Teacher | None, given: Lesson, taught: float
) -> torch.Tensor:
    """Mean cross-entropy over the words: with their tags, and with the teacher's probabilities."""
    logits = logits_of(model, given)
    tags = given.classes[given.classes != IGNORED]
    if teacher is None:
        return torch.nn.functional.cross_entropy(logits, tags)
    loss = torch.nn.functional.cross_entropy(logits, teacher(given))
    if not given.tagged:
        return loss
    return taught * loss + (1 - taught) * torch.nn.functional.cross_entropy(logits, tags)


def optimizer_of(model: DistilBertForTokenClassification, plan: Plan) -> torch.optim.Optimizer:
    """AdamW; the head, which starts at random, learns faster."""
    head = list(model.classifier.parameters())
    groups = [
        {"params": list(model.distilbert.parameters()), "lr": plan.rate},
        {"params": head, "lr": plan.head_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=0.01, fused=True)


@dataclass(frozen=True, slots=True)
class Material:
    """What there is to learn from: sentences, and such as nobody has tagged, each with O."""

    tagged: Sequence[Sentence]
    untagged: Sequence[Sentence] = ()

    def epochs(self, tokenizer: Tokenizer, plan: Plan, chance: random.Random) -> list[list[Lesson]]:
        """The lessons of each epoch: all that is tagged, and as large a part of the rest."""
        made = []
        for number in range(plan.epochs):
            own = augmented(self.tagged, plan.copies, chance)
            others = augmented(self.untagged[number :: plan.epochs], plan.copies, chance)
            epoch = lessons(tokenizer, own, chance)
            epoch += lessons(tokenizer, others, chance, tagged=False)
            chance.shuffle(epoch)
            made.append(epoch)
        return made


def train(
    weights: Weights,
    shape: BertShape,
    tokenizer: Tokenizer,
    material: Material,
    plan: Plan,
    teacher: Teacher | None = None,
) -> Weights:
    """Fine-tune a model of this `shape` from BERT `weights`; returns a running average of the
    trained ones (Polyak and Juditsky 1992), which is steadier than the last step, under BERT's
    names. What is not tagged needs a `teacher`.
    """
    torch.manual_seed(plan.seed)
    chance = random.Random(plan.seed)  # noqa: S311
    model = token_classifier(weights, shape, len(LABELS)).train()
    optimizer = optimizer_of(model, plan)
    epochs = material.epochs(tokenizer, plan, chance)
    total = sum(len(epoch) for epoch in epochs)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, functools.partial(pace, total=total, warm=max(1, int(total * plan.warm_up)))
    )
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(plan.averaged))
    begin = time.monotonic()
    for step, given in enumerate(each for epoch in epochs for each in epoch):
        loss = loss_of(model, teacher, given, plan.taught)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        if step % 50 == 0:
            report(step + 1, total, loss.item(), time.monotonic() - begin)
    return bert_weights(average.module.state_dict(), shape.layers)


def pace(step: int, *, total: int, warm: int) -> float:
    """Share of the greatest rate at `step`: up over `warm` steps, then down to zero at `total`."""
    return min((step + 1) / warm, max(0.0, (total - step) / (total - warm + 1)))


def report(step: int, total: int, loss: float, seconds: float) -> None:
    """One line of progress with the time left."""
    left = seconds / step * (total - step) / 60
    print(f"step {step}/{total}  loss {loss:.4f}  {left:.1f} min left", flush=True)
