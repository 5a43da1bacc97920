"""The tagger's second round: it learns what it and a teacher that sees capitals think together.

    python -P -m training.tagger.pupil --start FILE --teacher FILE --output FILE [--names FILE]
              [--texts DIR] [--all-texts] [--steps N] [--mixed SHARE] [--data DIR] [--threads N]
              [--limit N]
    python -P -m training.ner --checkpoint FILE

The pupil starts from the weights in `--start`, which `training.ner --checkpoint` wrote. Each step
has a batch of annotated sentences and one of sentences that nobody annotated (`news_sentences.py`),
whose labels are the mean of the logarithms of both models' probabilities. The teacher reads the
text as it is written, the pupil without capitals. Half of these sentences come again as queries.

`--output` gets the mean of the weights before and after (`--mixed`, .6), which is better on most
corpora than either: Wortsman et al. 2022, WiSE-FT. 1,400 steps take 20 minutes on one thread.

Texts whose weights may be given away are read; `--all-texts` adds the doubtful ones.
"""

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import DistilBertForTokenClassification

from inference.converting.packed_e5 import PackedE5
from inference.serving.batches import cut_batches
from inference.texts.tokens import padded
from inference.texts.words import Window, WordTokens, windows
from training.folder import plain_tokenizer
from training.graphs.bert import Weights
from training.graphs.distilbert import bert_weights, token_classifier
from training.graphs.quantize import Floats
from training.ner import NAME, tagged
from training.tagger.conll import Names, Sentence, augmented, query_window, spans, with_other_names
from training.tagger.finetune import LABELS, MAX_TOKENS, lesson, loss_of, pace, report
from training.tagger.news_sentences import DOUBTFUL, FREE, news_sentences
from training.tagger.teacher import (
    SWAPPED,
    opinions,
    packed_beside,
    read_names,
    read_teacher,
    tokenizer_of,
)

RATE, HEAD_RATE, AVERAGED, WARM_UP = 7e-5, 2.8e-4, 0.998, 0.05
ANNOTATED, UNANNOTATED = 320, 512  # tokens of a step
COPIES = 0.4  # query-like copies of each annotated sentence, as in the first round
RENAMED = 0.25  # share of annotated sentences that come again with public names
AS_QUERIES = 0.5  # share of the other sentences that come again as queries


@dataclass(frozen=True, slots=True)
class Said:
    """The words of a sentence that nobody annotated, and the log-probabilities float32
    [words, labels] that both models give together.
    """

    words: tuple[str, ...]
    labels: Floats


def started(weights: Weights) -> DistilBertForTokenClassification:
    """Return the pupil with the weights of the first round, its head included."""
    model = token_classifier(weights, len(LABELS))
    with torch.no_grad():
        model.classifier.weight.copy_(torch.from_numpy(weights["classifier.weight"]))
        model.classifier.bias.copy_(torch.from_numpy(weights["classifier.bias"]))
    return model


def batches(
    tokens: WordTokens, texts: Sequence[Sequence[str]], most: int, chance: random.Random
) -> list[list[Window]]:
    """Return the windows of all texts in batches of similar lengths, in random order."""
    cut = windows(tokens, texts, limit=MAX_TOKENS)
    made = [
        [cut[number] for number in batch]
        for batch in cut_batches([len(window.tokens) for window in cut], budget=most)
    ]
    chance.shuffle(made)
    return made


def own_opinions(
    model: DistilBertForTokenClassification, tokens: WordTokens, texts: Sequence[Sequence[str]]
) -> list[Floats]:
    """Return the pupil's log-probabilities float32 [words, labels] of each text."""
    found = [np.zeros((len(words), len(LABELS)), np.float32) for words in texts]
    model.eval()
    with torch.inference_mode():
        for rows in batches(tokens, texts, 4 * UNANNOTATED, random.Random(1)):  # noqa: S311
            each = _logits(model, rows).log_softmax(-1).numpy()
            for row, values in zip(rows, each, strict=True):
                found[row.text][list(row.words)] = values[list(row.heads)]
    return found


def _logits(model: DistilBertForTokenClassification, rows: Sequence[Window]) -> torch.Tensor:
    arrays = padded([row.tokens for row in rows])
    ids, mask = (torch.from_numpy(arrays[name]).long() for name in arrays)
    logits: torch.Tensor = model(input_ids=ids, attention_mask=mask).logits
    return logits


def as_query(said: Said, chance: random.Random) -> Said:
    """Return a few words around a name, without signs; the sentence itself if only signs stay."""
    tags = tuple(LABELS[best] for best in said.labels.argmax(axis=-1))
    places = Sentence(tuple(map(str, range(len(said.words)))), tags)
    kept = [
        place
        for place in map(int, query_window(places, chance).words)
        if any(character.isalnum() for character in said.words[place])
    ]
    if not kept:
        return said
    return Said(tuple(said.words[place] for place in kept), said.labels[kept])


def soft_loss(
    model: DistilBertForTokenClassification, rows: Sequence[Window], said: Sequence[Said]
) -> torch.Tensor:
    """Return the mean cross-entropy against the labels of both models; a word counts once, at its
    first token.
    """
    logits = _logits(model, rows).log_softmax(-1)
    places = [
        (number, head, said[row.text].labels[word])
        for number, row in enumerate(rows)
        for word, head in zip(row.words, row.heads, strict=True)
    ]
    lines, columns, wanted = zip(*places, strict=True)
    shares = torch.from_numpy(np.stack(wanted)).softmax(-1)
    return -(shares * logits[list(lines), list(columns)]).sum(-1).mean()


def annotated_losses(
    model: DistilBertForTokenClassification,
    tokens: WordTokens,
    sentences: Sequence[Sentence],
    names: Names,
    chance: random.Random,
) -> Iterator[torch.Tensor]:
    """Yield the loss of one batch of annotated sentences after another, without end."""
    while True:
        renamed = [
            with_other_names(one, names, chance, SWAPPED)
            for one in sentences
            if names and spans(one.tags) and chance.random() < RENAMED
        ]
        some = augmented([*sentences, *renamed], COPIES, chance)
        for rows in batches(tokens, [one.words for one in some], ANNOTATED, chance):
            yield loss_of(model, lesson(rows, some))


def unannotated_losses(
    model: DistilBertForTokenClassification,
    tokens: WordTokens,
    said: Sequence[Said],
    chance: random.Random,
) -> Iterator[torch.Tensor]:
    """Yield the loss of one batch of other sentences after another, without end."""
    while True:
        queries = [as_query(one, chance) for one in said if chance.random() < AS_QUERIES]
        some = [*said, *queries]
        for rows in batches(tokens, [one.words for one in some], UNANNOTATED, chance):
            yield soft_loss(model, rows, some)


def learn(
    model: DistilBertForTokenClassification,
    losses: Iterator[torch.Tensor],
    others: Iterator[torch.Tensor],
    steps: int,
) -> Weights:
    """Train for so many steps, and return a running average of the weights under BERT's names."""
    groups = [
        {"params": list(model.distilbert.parameters()), "lr": RATE},
        {"params": list(model.classifier.parameters()), "lr": HEAD_RATE},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(AVERAGED))
    begin = time.monotonic()
    model.train()
    for step in range(steps):
        share = pace(step, total=steps, warm=max(1, int(steps * WARM_UP)))
        for group, rate in zip(optimizer.param_groups, (RATE, HEAD_RATE), strict=True):
            group["lr"] = rate * share
        loss = next(losses) + next(others)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(model)
        if step % 50 == 0:
            report(step + 1, steps, loss.item(), time.monotonic() - begin)
    return bert_weights(average.module.state_dict())


def mixed(before: Weights, after: Weights, share: float) -> dict[str, Floats]:
    """Return `share` of the weights `after` and the rest of those `before`."""
    return {
        name: np.ascontiguousarray((1 - share) * before[name] + share * after[name], np.float32)
        for name in after
    }


def make(given: argparse.Namespace, packed: PackedE5) -> None:
    """Label the sentences, train the pupil, and write the mixed weights."""
    torch.set_num_threads(given.threads)
    torch.manual_seed(7)
    chance = random.Random(23)  # noqa: S311
    before: Weights = load_file(given.start)
    model = started(before)
    tokens = WordTokens.over(plain_tokenizer(given.models / NAME / "tokenizer.json"))
    counts = FREE | DOUBTFUL if given.all_texts else FREE
    texts = news_sentences(given.texts, counts, chance)[: given.limit]
    print(f"{len(texts)} sentences that nobody annotated", flush=True)
    theirs = opinions(read_teacher(packed, given.teacher), tokenizer_of(packed), texts)
    ours = own_opinions(model, tokens, texts)
    said = [
        Said(words, np.asarray((one + other) / 2, np.float32))
        for words, one, other in zip(texts, theirs, ours, strict=True)
    ]
    sentences = tagged(given)
    losses = annotated_losses(model, tokens, sentences, read_names(given.names), chance)
    others = unannotated_losses(model, tokens, said, chance)
    after = learn(model, losses, others, given.steps)
    save_file(mixed(before, after, given.mixed), given.output)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    for name in ("start", "teacher", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--names", type=Path)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--texts", type=Path, default=Path("../shared/train"))
    parser.add_argument("--data", type=Path, default=Path("../shared/ner/conll2003"))
    parser.add_argument("--all-texts", action="store_true", help="read the doubtful sources too")
    parser.add_argument("--steps", type=int, default=1400)
    parser.add_argument("--mixed", type=float, default=0.6, help="share of the weights after")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=int, help="use at most N sentences")
    given = parser.parse_args()
    make(given, packed_beside(given.teacher))


if __name__ == "__main__":
    main()
