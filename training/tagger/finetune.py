"""Fine-tunes a token classifier: a plain loop over batches of similar lengths."""

import functools
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import DistilBertForTokenClassification

from core.entities import EntityLabel
from inference.serving.batches import cut_batches
from inference.texts.tokens import padded
from inference.texts.words import Window, WordTokens, windows
from training.graphs.bert import Weights
from training.graphs.distilbert import bert_weights, token_classifier
from training.graphs.quantize import Batch
from training.tagger.conll import Sentence, augmented

LABELS = ("O", *(f"{edge}-{label}" for label in EntityLabel for edge in "BI"))
MAX_TOKENS = 256
BATCH_TOKENS = 1024  # about 40 sentences


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. Rates are the highest, after the warm-up; they fall linearly to zero."""

    epochs: int = 5
    rate: float = 1e-4
    head_rate: float = 1e-3
    warm_up: float = 0.1  # share of all steps
    copies: float = 0.4  # query-like copies for each sentence
    averaged: float = 0.998  # share of the running average of the weights that each step keeps
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Lesson:
    """One batch: `arrays` as for the graph, `classes` [n, t] with -100 for tokens that do not
    count.
    """

    arrays: Batch
    classes: torch.Tensor


def lessons(
    tokenizer: Tokenizer, sentences: Sequence[Sentence], chance: random.Random
) -> list[Lesson]:
    """Return all sentences as batches of similar lengths, in random order."""
    cut = windows(
        WordTokens.over(tokenizer), [sentence.words for sentence in sentences], limit=MAX_TOKENS
    )
    batches = cut_batches([len(window.tokens) for window in cut], budget=BATCH_TOKENS)
    made = [lesson([cut[number] for number in batch], sentences) for batch in batches]
    chance.shuffle(made)
    return made


def lesson(rows: Sequence[Window], sentences: Sequence[Sentence]) -> Lesson:
    """Return one batch; a word's tag counts at its first token only."""
    arrays = padded([row.tokens for row in rows])
    classes = np.full(arrays["input_ids"].shape, -100, np.int64)
    for number, row in enumerate(rows):
        tags = sentences[row.text].tags
        classes[number, list(row.heads)] = [LABELS.index(tags[word]) for word in row.words]
    return Lesson(arrays, torch.from_numpy(classes))


def loss_of(model: DistilBertForTokenClassification, given: Lesson) -> torch.Tensor:
    """Return mean cross-entropy over the tokens that count. In float32: bfloat16 takes 1.7 times as
    long on a processor without matrix tiles for it (AMX).
    """
    ids, mask = (torch.from_numpy(given.arrays[name]).long() for name in given.arrays)
    logits = model(input_ids=ids, attention_mask=mask).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), given.classes.flatten())


def optimizer_of(model: DistilBertForTokenClassification, plan: Plan) -> torch.optim.Optimizer:
    """Return AdamW; the head learns faster, because it starts at random."""
    head = list(model.classifier.parameters())
    groups = [
        {"params": list(model.distilbert.parameters()), "lr": plan.rate},
        {"params": head, "lr": plan.head_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=0.01, fused=True)


def train(
    weights: Weights, tokenizer: Tokenizer, sentences: Sequence[Sentence], plan: Plan
) -> Weights:
    """Fine-tune from BERT `weights`. Returns a running average of the trained weights (Polyak and
    Juditsky 1992), which is steadier than the last step, under BERT's names.
    """
    torch.manual_seed(plan.seed)
    chance = random.Random(plan.seed)  # noqa: S311
    model = token_classifier(weights, len(LABELS)).train()
    optimizer = optimizer_of(model, plan)
    epochs = [
        lessons(tokenizer, augmented(sentences, plan.copies, chance), chance)
        for _ in range(plan.epochs)
    ]
    total = sum(len(epoch) for epoch in epochs)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, functools.partial(pace, total=total, warm=max(1, int(total * plan.warm_up)))
    )
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(plan.averaged))
    begin = time.monotonic()
    for step, given in enumerate(each for epoch in epochs for each in epoch):
        loss = loss_of(model, given)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        if step % 50 == 0:
            report(step + 1, total, loss.item(), time.monotonic() - begin)
    return bert_weights(average.module.state_dict())


def pace(step: int, *, total: int, warm: int) -> float:
    """Return the share of the highest rate at `step`: up over `warm` steps, then down to zero at
    `total`.
    """
    return min((step + 1) / warm, max(0.0, (total - step) / (total - warm + 1)))


def report(step: int, total: int, loss: float, seconds: float) -> None:
    """One line of progress with the time left."""
    left = seconds / step * (total - step) / 60
    line = f"step {step}/{total}  loss {loss:.4f}  {left:.1f} min left"
    print(line, file=sys.stderr, flush=True)  # a command may print JSON
