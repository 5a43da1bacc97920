"""A teacher for the tagger that sees capitals: multilingual-e5-small's twelve layers, fine-tuned.

    python -P -m training.tagger.teacher --state FILE [--names FILE] [--data DIR] [--epochs N]
                                         [--threads N] [--limit N]

It learns the same sentences as `training.ner`; of some a copy has other names (`public_names.py`),
capitals at each word, or none. The state is written every hundred steps, and a run that was stopped
goes on from it. The start weights are fetched beside it. On one thread a step takes two seconds.

The table of words stays as it is: it has 250,000 rows, of which the corpus shows few.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import DistilBertConfig, DistilBertForTokenClassification

from inference.converting.packed_e5 import PackedE5, read_packed_e5, unigram_tokenizer
from training.graphs.quantize import Floats
from training.ner import tagged
from training.sources import E5_PACKED, fetch
from training.tagger.conll import Names, Sentence, query_window, spans, with_other_names
from training.tagger.finetune import LABELS, pace, report

MAX_TOKENS = 256
TOKENS = 1024  # of a batch
RATE, HEAD_RATE, AVERAGED, WARM_UP = 6e-5, 1e-3, 0.998, 0.1
SWAPPED = 0.7  # share of names that a copy has others for
SAVED_EVERY = 100  # steps
_PARTS = {
    "q": "attention.q_lin",
    "k": "attention.k_lin",
    "v": "attention.v_lin",
    "ao": "attention.out_lin",
    "fi": "ffn.lin1",
    "fo": "ffn.lin2",
}
_NORMS = {"aln": "sa_layer_norm", "oln": "output_layer_norm"}
_EMBEDDINGS = "distilbert.embeddings."


def start_of(packed: PackedE5) -> DistilBertForTokenClassification:
    """Return a token classifier with the encoder's weights; its head starts at random."""
    config = DistilBertConfig(
        vocab_size=len(packed.pieces.texts),
        dim=packed.width,
        n_layers=packed.layers,
        n_heads=packed.heads,
        hidden_dim=packed.inner,
        num_labels=len(LABELS),
        max_position_embeddings=packed.positions,
        pad_token_id=packed.pieces.padding,
    )
    model = DistilBertForTokenClassification(config)
    state = {name: torch.from_numpy(value.copy()) for name, value in _weights(packed).items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or any(not name.startswith("classifier.") for name in missing):
        raise ValueError(f"the weights don't fit: missing {missing}, unexpected {unexpected}")
    model.distilbert.embeddings.word_embeddings.weight.requires_grad_(False)
    return model


def _weights(packed: PackedE5) -> dict[str, Floats]:
    floats, kernels = packed.floats, packed.kernels
    found = {
        f"{_EMBEDDINGS}word_embeddings.weight": packed.words.floats(),
        f"{_EMBEDDINGS}position_embeddings.weight": floats["emb.pos"] + floats["emb.type"][0],
        f"{_EMBEDDINGS}LayerNorm.weight": floats["emb.ln.w"],
        f"{_EMBEDDINGS}LayerNorm.bias": floats["emb.ln.b"],
    }
    for layer in range(packed.layers):
        place = f"distilbert.transformer.layer.{layer}."
        for ours, theirs in _PARTS.items():
            found[f"{place}{theirs}.weight"] = kernels[f"l{layer}.{ours}"].floats()
            found[f"{place}{theirs}.bias"] = floats[f"l{layer}.{ours}.b"]
        for ours, theirs in _NORMS.items():
            found[f"{place}{theirs}.weight"] = floats[f"l{layer}.{ours}.w"]
            found[f"{place}{theirs}.bias"] = floats[f"l{layer}.{ours}.b"]
    return found


@dataclass(frozen=True, slots=True)
class Row:
    """The token ids of a sentence, and the place of each word's first token."""

    ids: list[int]
    heads: dict[int, int]


def tokenizer_of(packed: PackedE5) -> Tokenizer:
    """Return the encoder's tokenizer; it cuts at MAX_TOKENS, or where the positions end."""
    tokenizer = Tokenizer.from_str(unigram_tokenizer(packed.pieces))
    tokenizer.enable_truncation(min(MAX_TOKENS, packed.positions))
    return tokenizer


def rows_of(tokenizer: Tokenizer, sentences: Sequence[Sequence[str]]) -> list[Row]:
    """Return each sentence as tokens."""
    found = []
    for words in sentences:
        coded = tokenizer.encode(list(words), is_pretokenized=True)
        heads: dict[int, int] = {}
        for place, word in enumerate(coded.word_ids):
            if word is not None:
                heads.setdefault(word, place)
        found.append(Row(coded.ids, heads))
    return found


def cut(rows: Sequence[Row], most: int) -> list[list[int]]:
    """Return the places of the rows in batches of similar lengths, of at most `most` tokens, or of
    one row.
    """
    batches: list[list[int]] = [[]]
    for place in sorted(range(len(rows)), key=lambda one: len(rows[one].ids)):
        if batches[-1] and (len(batches[-1]) + 1) * len(rows[place].ids) > most:
            batches.append([])
        batches[-1].append(place)
    return batches


def logits_of(model: DistilBertForTokenClassification, rows: Sequence[Row]) -> torch.Tensor:
    """Return the logits [n, t, labels] of a batch."""
    longest = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), longest), model.config.pad_token_id)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = torch.tensor(row.ids)
        mask[number, : len(row.ids)] = 1
    logits: torch.Tensor = model(input_ids=ids, attention_mask=mask).logits
    return logits


def opinions(
    model: DistilBertForTokenClassification,
    tokenizer: Tokenizer,
    sentences: Sequence[Sequence[str]],
) -> list[Floats]:
    """Return, for each sentence, the log-probabilities float32 [words, labels]. A word behind the
    limit is surely O.
    """
    rows = rows_of(tokenizer, sentences)
    unread = np.array([0.0, *[-20.0] * (len(LABELS) - 1)], np.float32)
    found = [np.tile(unread, (len(words), 1)) for words in sentences]
    model.eval()
    with torch.inference_mode():
        for batch in cut(rows, 4 * TOKENS):
            each = logits_of(model, [rows[place] for place in batch]).log_softmax(-1).numpy()
            for number, place in enumerate(batch):
                heads = rows[place].heads
                found[place][list(heads)] = each[number, list(heads.values())]
    return found


def cased_copies(
    sentences: Sequence[Sentence], names: Names, chance: random.Random
) -> list[Sentence]:
    """Return all `sentences`, and copies of six in ten: with other names, with a capital at each
    word, short ones, or in lower case.
    """
    found = list(sentences)
    for sentence in sentences:
        draw = chance.random()
        if draw < 0.40 and names and spans(sentence.tags):
            found.append(with_other_names(sentence, names, chance, SWAPPED))
        elif 0.40 <= draw < 0.48:
            found.append(_spelt(sentence, lambda word: word[:1].upper() + word[1:]))
        elif 0.48 <= draw < 0.56:
            found.append(query_window(sentence, chance))
        elif 0.56 <= draw < 0.62:
            found.append(_spelt(sentence, str.lower))
    return found


def _spelt(sentence: Sentence, spell: Callable[[str], str]) -> Sentence:
    return Sentence(tuple(map(spell, sentence.words)), sentence.tags)


def read_names(path: Path | None) -> Names:
    """Return the names in a file that `public_names` wrote; none without a file."""
    if path is None:
        return {}
    tree = json.loads(path.read_text(encoding="utf-8"))
    return {label: [tuple(name) for name in names] for label, names in tree.items()}


@dataclass(slots=True)
class Teaching:
    """A run: the model, its optimizer, the running average of the weights, and the steps done."""

    model: DistilBertForTokenClassification
    optimizer: torch.optim.Optimizer
    average: dict[str, torch.Tensor]
    step: int = 0

    @classmethod
    def of(cls, model: DistilBertForTokenClassification) -> "Teaching":
        """Return a run that has not begun."""
        learned = {name: one for name, one in model.named_parameters() if one.requires_grad}
        body = [one for name, one in learned.items() if not name.startswith("classifier.")]
        head = {"params": list(model.classifier.parameters()), "lr": HEAD_RATE}
        optimizer = torch.optim.AdamW([{"params": body, "lr": RATE}, head], weight_decay=0.01)
        return cls(model, optimizer, {name: one.detach().clone() for name, one in learned.items()})

    def take(self, rows: Sequence[Row], classes: Sequence[Sequence[str]]) -> float:
        """Learn one batch, and return its loss. A word's tag counts at its first token."""
        logits = logits_of(self.model, rows)
        wanted = torch.full(logits.shape[:2], -100)
        for number, (row, tags) in enumerate(zip(rows, classes, strict=True)):
            for word, place in row.heads.items():
                wanted[number, place] = LABELS.index(tags[word])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        kept = min(AVERAGED, (1 + self.step) / (10 + self.step))
        for name, one in self.model.named_parameters():
            if name in self.average:
                self.average[name].mul_(kept).add_(one.detach(), alpha=1 - kept)
        self.step += 1
        return float(loss.item())

    def write(self, path: Path) -> None:
        """Write the run; the file appears when it is whole."""
        state = {name: self.model.state_dict()[name] for name in self.average}
        moments = self.optimizer.state_dict()
        whole = {"net": state, "opt": moments, "mean": self.average, "step": self.step}
        part = path.with_name(path.name + ".part")
        torch.save(whole, part)
        part.replace(path)

    def read(self, path: Path) -> None:
        """Go on from a file that `write` wrote. Only tensors and numbers are read."""
        kept = torch.load(path, weights_only=True)
        self.model.load_state_dict(kept["net"], strict=False)
        self.optimizer.load_state_dict(kept["opt"])
        self.average, self.step = kept["mean"], kept["step"]


def teach(given: argparse.Namespace, packed: PackedE5) -> None:
    """Train the teacher to its end, from where the state is."""
    torch.manual_seed(7)
    chance = random.Random(7)  # noqa: S311
    run, names = Teaching.of(start_of(packed)), read_names(given.names)
    tokenizer = tokenizer_of(packed)
    sentences = tagged(given)
    batches: list[tuple[list[Row], list[Sequence[str]]]] = []
    for _ in range(given.epochs):
        copies = cased_copies(sentences, names, chance)
        rows = rows_of(tokenizer, [one.words for one in copies])
        cuts = cut(rows, TOKENS)
        chance.shuffle(cuts)
        batches += [([rows[n] for n in one], [copies[n].tags for n in one]) for one in cuts]
    if given.state.exists():
        run.read(given.state)
    total, begin, first = len(batches), time.monotonic(), run.step
    run.model.train()
    highest = [RATE, HEAD_RATE]
    for rows, classes in batches[first:]:
        share = pace(run.step, total=total, warm=max(1, int(total * WARM_UP)))
        for group, rate in zip(run.optimizer.param_groups, highest, strict=True):
            group["lr"] = rate * share
        loss = run.take(rows, classes)
        if run.step % 25 == 0:
            report(run.step - first, total - first, loss, time.monotonic() - begin)
        if run.step % SAVED_EVERY == 0:
            run.write(given.state)
    run.write(given.state)


def packed_beside(state: Path) -> PackedE5:
    """Return the start weights, fetched into the folder of the state."""
    place = fetch(E5_PACKED, state.parent)
    return read_packed_e5(place.read_bytes(), str(place))


def read_teacher(packed: PackedE5, state: Path) -> DistilBertForTokenClassification:
    """Return the teacher with the average of its weights."""
    model = start_of(packed)
    model.load_state_dict(torch.load(state, weights_only=True)["mean"], strict=False)
    return model.eval()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--names", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/ner/conll2003"))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=int, help="use at most N sentences of each file")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    teach(given, packed_beside(given.state))


if __name__ == "__main__":
    main()
