"""A learned combination of what is known of a query and a candidate: a ranker of a few numbers.

    python -P -m training.rerank.combination --lists DIR --cache DIR --checkpoint FILE
                                       [--learn NAME,NAME] [--models DIR] [--hidden N]
                                       [--passes N] [--margin M] [--threads N]

Each candidate of a list has the features of FEATURES, each put on 0 to 1 over the list, and those
of the query itself. A linear function of them, or with `--hidden` a layer between, is learned
listwise. It needs no model that the search does not run: token vectors of both encoders, and words.
"""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log, log2
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch.nn import functional

from core.items import FloatMatrix
from inference.late_interaction import max_sim
from training.graphs.quantize import Floats
from training.rerank.candidates import CandidateList
from training.rerank.projection import DEPTH, Teaching, lessons
from training.rerank.teachers import Taught, learning_parser, lists_to_learn, unit
from training.rerank.token_cache import Tokens, fill_lists

ENCODERS = ("all-MiniLM-L6-v2", "bge-small-en-v1.5")
FEATURES = (
    "fused",
    "place",
    "tokens of the first encoder",
    "tokens of the second encoder",
    "mean vectors of the first encoder",
    "mean vectors of the second encoder",
    "share of the query's words, by rarity",
    "the same in the headline",
    "share of the query's word pairs",
    "length",
    "likeness to the best candidates",
)
OF_THE_QUERY = ("words", "lead of the first", "agreement of the encoders")
AT_ONCE = 64  # lists of a step
RATE = 5e-3
_WORD = re.compile(r"\w+")
_STEM = 6  # letters of a word that count


def words(text: str) -> list[str]:
    """Return the words of `text`, in lower case, by their first letters."""
    return [word[:_STEM] for word in _WORD.findall(text.lower())]


def rarity(lists: Sequence[CandidateList]) -> dict[str, float]:
    """Return how rare each word is in the distinct texts of the lists: ln(N / n)."""
    texts = {text for given in lists for text in given.texts}
    counts = Counter(word for text in texts for word in set(words(text)))
    return {word: log(len(texts) / count) + 0.1 for word, count in counts.items()}


def share(asked: Sequence[str], found: set[str], rare: dict[str, float]) -> float:
    """Return which share of the words `asked`, weighed by rarity, is among those `found`."""
    each = {word: rare.get(word, 0.0) for word in asked}
    whole = sum(each.values())
    return sum(each[word] for word in each if word in found) / whole if whole else 0.0


def pairs(each: Sequence[str]) -> set[tuple[str, str]]:
    """Return the neighbours among the words `each`."""
    return set(itertools.pairwise(each))


def middle(tokens: FloatMatrix) -> Floats:
    """Return the mean of `tokens` [n, d], of unit norm; zeros if there is none."""
    total = tokens.sum(axis=0) if len(tokens) else np.zeros(tokens.shape[1], np.float32)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-9), np.float32)


def features(
    given: CandidateList, caches: Sequence[Tokens], rare: dict[str, float], depth: int = DEPTH
) -> Floats:
    """Return float32 [n, features] of a list's first `depth` candidates, each feature on 0 to 1
    over the list, those of the query behind.
    """
    texts, asked = given.texts[:depth], words(given.query)
    count = len(texts)
    fused = given.fused[:count]
    columns: list[Sequence[float] | Floats] = [fused, [-log2(2 + place) for place in range(count)]]
    columns += [[max_sim(cache[given.query], cache[t]) for t in texts] for cache in caches]
    means = [np.stack([middle(cache[text]) for text in texts]) for cache in caches]
    for cache, each in zip(caches, means, strict=True):
        columns.append(each @ middle(cache[given.query]))
    found = [words(text) for text in texts]
    heads = [words(text.partition("\n")[0]) for text in texts]
    neighbours = pairs(asked)
    columns.append([share(asked, set(one), rare) for one in found])
    columns.append([share(asked, set(one), rare) for one in heads])
    columns.append([len(neighbours & pairs(one)) / max(1, len(neighbours)) for one in found])
    columns.append([log(1 + len(one)) for one in found])
    near = np.exp(8 * unit(fused))
    likeness = sum(each @ each.T for each in means)
    np.fill_diagonal(np.asarray(likeness), 0.0)
    columns.append(likeness @ (near / near.sum()))
    own = np.stack([unit(np.asarray(column, np.float32)) for column in columns], axis=1)
    known = np.array([*_of_query(given, own)], np.float32)
    return np.concatenate([own, np.tile(known, (count, 1))], axis=1).astype(np.float32)


def _of_query(given: CandidateList, own: Floats) -> Iterator[float]:
    yield min(1.0, log2(max(1, len(given.query.split()))) / 5)
    fused = given.fused[:10]
    yield float((fused[0] - fused[-1]) / max(float(fused[0]), 1e-9))
    first, second = (set(np.argsort(-own[:, column])[:5].tolist()) for column in (2, 3))
    yield len(first & second) / 5


@dataclass(frozen=True, slots=True)
class Combination:
    """The learned numbers: `first` [features, hidden] and `bias` [hidden], `last` [hidden], and
    `plain` [features], a linear part beside them.
    """

    plain: Floats
    first: Floats
    bias: Floats
    last: Floats

    def score(self, each: Floats) -> Floats:
        """Return the scores [n] of candidates with features `each` [n, features]."""
        hidden = np.maximum(each @ self.first + self.bias, 0.0)
        return np.asarray(each @ self.plain + hidden @ self.last, np.float32)


class _Learner(torch.nn.Module):  # type: ignore[misc] # torch ships no types that mypy reads here
    """The combination in PyTorch."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        torch.manual_seed(1)
        plain = torch.zeros(width)
        plain[0] = 5.0  # the search's own score
        self.plain = torch.nn.Parameter(plain)
        self.first = torch.nn.Parameter(torch.randn(width, hidden) * 0.3)
        self.bias = torch.nn.Parameter(torch.zeros(hidden))
        self.last = torch.nn.Parameter(torch.zeros(hidden))

    def forward(self, each: torch.Tensor) -> torch.Tensor:
        """Return logits [lists, n] of features [lists, n, features]."""
        hidden = torch.relu(each @ self.first + self.bias)
        return each @ self.plain + hidden @ self.last

    def combination(self) -> Combination:
        """Return the numbers as they are now."""
        values = (self.plain, self.first, self.bias, self.last)
        return Combination(*(value.detach().numpy().copy() for value in values))


@dataclass(frozen=True, slots=True)
class Table:
    """Lessons as arrays: features [lists, n, features] and the target [lists, n]; places that a
    list lacks have a target of -1.
    """

    features: Floats
    target: Floats


def table_of(lists: Sequence[Taught], each: Sequence[Floats], teaching: Teaching) -> Table:
    """Return the lessons of the lists that have features `each`."""
    found = {id(one.given): values for one, values in zip(lists, each, strict=True)}
    learned = list(lessons(lists, teaching, random.Random(1)))  # noqa: S311
    width = each[0].shape[1]
    values = np.zeros((len(learned), DEPTH, width), np.float32)
    target = np.full((len(learned), DEPTH), -1.0, np.float32)
    for row, one in enumerate(learned):
        places = list(one.places)
        values[row, : len(places)] = found[id(one.given)][places]
        target[row, : len(places)] = one.target
    return Table(values, target)


def learn(table: Table, hidden: int, passes: int, decay: float = 1e-3) -> Combination:
    """Return the combination after `passes` over the lessons; `hidden` 0 is a linear one."""
    learner = _Learner(table.features.shape[2], hidden)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=RATE, weight_decay=decay)
    chance = np.random.default_rng(1)
    values, target = torch.from_numpy(table.features), torch.from_numpy(table.target)
    for number in range(passes):
        losses = []
        for rows in np.array_split(chance.permutation(len(values)), max(1, len(values) // AT_ONCE)):
            some = target[rows]
            logits = learner(values[rows]).masked_fill(some < 0, -1e9)
            loss = functional.cross_entropy(logits, some.clamp(min=0))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        if number % 5 == 4 or number == passes - 1:
            print(f"pass {number + 1}/{passes} loss {np.mean(losses):.4f}", flush=True)
    return learner.combination()


def write(given: Combination, path: Path) -> None:
    """Write the combination as safetensors."""
    save_file({name: getattr(given, name) for name in Combination.__slots__}, path)


def read(path: Path) -> Combination:
    """Return the combination of a file that `write` wrote."""
    return Combination(**load_file(path))


def features_of(
    lists: Sequence[CandidateList], top: Path, models: Path, threads: int, depth: int = DEPTH
) -> list[Floats]:
    """Return `features` of each list."""
    caches = [fill_lists(top, name, lists, depth, models, threads) for name in ENCODERS]
    rare = rarity(lists)
    return [features(given, caches, rare, depth) for given in lists]


def main() -> None:
    """The command line."""
    parser = learning_parser(__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="folder of token vectors")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--hidden", type=int, default=0)
    parser.add_argument("--passes", type=int, default=30)
    parser.add_argument("--checkpoint", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    taught = lists_to_learn(given)
    lists = [one.given for one in taught]
    each = features_of(lists, given.cache, given.models, given.threads)
    table = table_of(taught, each, Teaching(given.margin, negatives=DEPTH - 1))
    made = learn(table, given.hidden, given.passes)
    write(made, given.checkpoint)
    for name, value in zip((*FEATURES, *OF_THE_QUERY), made.plain, strict=True):
        print(f"{value:8.2f}  {name}")


if __name__ == "__main__":
    main()
