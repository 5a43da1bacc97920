"""A joint encoder that learns from mined lists, the judgements and the teachers' opinions in one.

    python -P -m training.rerank.distil --lists DIR --state FILE [--learn NAME,…] [--start
    minilm|bge|FILE] [--layers N] [--steps N] [--minutes M] [--margin M]
                                 [--distilled SHARE] [--weights DIR] [--threads N]

BERT reads query and passage together (`joint.py`), and its score is added to the search's own, so
it learns what the search gets wrong. FILE holds everything about the run: a run that was stopped,
or that `--minutes` ended, goes on from there to the same end, and an ended one does nothing.

`--start FILE --layers 6` starts from every second layer of a model of twelve that was trained here.
If its own opinions are what the lists were taught (`training.rerank.teachers`), that is
distillation.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import load_file
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch.nn import functional

from training.folder import plain_tokenizer
from training.graphs.bert import BertShape, Weights
from training.graphs.bge import bge_weights
from training.graphs.quantize import Batch
from training.rerank.joint import JointEncoder, PairTokens
from training.rerank.projection import Lesson, Teaching, lessons
from training.rerank.teachers import Taught, learning_parser, lists_to_learn, unit
from training.sources import BGE_GRAPH, MINILM_TOKENIZER, MINILM_WEIGHTS, fetch
from training.tagger.finetune import pace, report

LISTS = 4  # of a step
PASSAGES = 6  # of a list
MAX_TOKENS = 128
STEPS = 2000
RATE, HEAD_RATE, SCALE_RATE = 3e-5, 5e-4, 1e-2
FUSED_SHARE = 5.0  # of the search's score, put on 0 to 1
WARM_UP = 0.05  # share of the steps
SAVED_EVERY = 25  # steps
_LAYER = "encoder.layer."
HEAD = ("cls.weight", "cls.bias", "scale")


def freeze(model: JointEncoder, layers: int) -> None:
    """Leave the embeddings and the first `layers` layers of the model as they are: a step costs
    less, and few lists can't spoil what the start knows.
    """
    if layers:
        model.bert.embeddings.requires_grad_(False)
    for layer in model.bert.encoder.layer[:layers]:
        layer.requires_grad_(False)


def evened(taught: Sequence[Taught]) -> list[Taught]:
    """Return the lists whose first passage is not right, and as many others: where the search is
    right, there is little to learn.
    """
    wrong = [one for one in taught if one.given.found and one.given.found[0] > 0]
    right = [one for one in taught if one.given.found[:1] == (0,)]
    return [*wrong, *random.Random(1).sample(right, min(len(right), len(wrong)))]  # noqa: S311


def depth_of(weights: Weights) -> int:
    """Return how many layers the weights have."""
    return 1 + max(int(name.split(".")[2]) for name in weights if name.startswith(_LAYER))


def shape_of(weights: Weights) -> BertShape:
    """Return the shape of the network that has these weights; heads are 32 wide."""
    width = weights["embeddings.word_embeddings.weight"].shape[1]
    return BertShape(layers=depth_of(weights), heads=width // 32, width=width)


def every_second(weights: Weights, layers: int) -> dict[str, np.ndarray]:
    """Return the weights of a model with `layers` layers: the last of each group of layers. Raises
    ValueError if they can't be grouped.
    """
    depth = depth_of(weights)
    if depth % layers:
        raise ValueError(f"{depth} layers can't be grouped to {layers}")
    step, found = depth // layers, {}
    for name, value in weights.items():
        if not name.startswith(_LAYER):
            found[name] = value
            continue
        number, rest = name.removeprefix(_LAYER).split(".", 1)
        if int(number) % step == step - 1:
            found[f"{_LAYER}{int(number) // step}.{rest}"] = value
    return found


@dataclass(slots=True)
class Run:
    """A model, its optimizer, and how many steps are done."""

    model: JointEncoder
    optimizer: torch.optim.AdamW
    step: int = 0

    @classmethod
    def of(cls, model: JointEncoder, rate: float = RATE) -> Run:
        """Return a run that has not begun; `rate` is the encoder's highest learning rate."""
        groups = (
            ([one for one in model.bert.parameters() if one.requires_grad], rate, 0.01),
            ([*model.cls.parameters()], HEAD_RATE, 0.0),
            ([model.scale], SCALE_RATE, 0.0),
        )
        each = [
            {"params": part, "lr": rate, "highest": rate, "weight_decay": decay}
            for part, rate, decay in groups
        ]
        return cls(model, torch.optim.AdamW(each))

    def write(self, path: Path) -> None:
        """Write the run; the file appears when it is whole."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for name, value in self.model.named_parameters():
            for kind, moment in self.optimizer.state.get(value, {}).items():
                if kind != "step":
                    tensors[f"{kind}.{name}"] = moment
        part = path.with_name(path.name + ".part")
        whole = {name: value.detach().contiguous() for name, value in tensors.items()}
        save_file(whole, part, {"step": str(self.step), "layers": str(layers_of(self.model))})
        part.replace(path)

    def read(self, path: Path) -> None:
        """Go on from a file that `write` wrote."""
        with safe_open(path, "pt") as file:
            self.step = int(file.metadata()["step"])
            names = {*file.keys()}
            state = {n.removeprefix("model."): file.get_tensor(n) for n in names if _is(n, "model")}
            self.model.load_state_dict(state)
            for name, value in self.model.named_parameters():
                if f"exp_avg.{name}" in names:
                    self.optimizer.state[value] = {
                        "step": torch.tensor(float(self.step)),
                        "exp_avg": file.get_tensor(f"exp_avg.{name}"),
                        "exp_avg_sq": file.get_tensor(f"exp_avg_sq.{name}"),
                    }


def _is(name: str, kind: str) -> bool:
    return name.startswith(f"{kind}.")


def layers_of(model: JointEncoder) -> int:
    """Return how many layers the model has."""
    return int(model.bert.config.num_hidden_layers)


def bert_of(path: Path) -> dict[str, np.ndarray]:
    """Return the encoder's weights in a run's file, under BERT's own names."""
    with safe_open(path, "np") as file:
        names = [name for name in file.keys() if name.startswith("model.bert.")]  # noqa: SIM118
        return {name.removeprefix("model.bert."): file.get_tensor(name) for name in names}


def state_of(path: Path) -> tuple[Weights, int]:
    """Return the weights in a run's file, under the names that `pair_graph` reads, and how many
    layers.
    """
    head = {"cls.weight": "head.cls.weight", "cls.bias": "head.cls.bias", "scale": "head.scale"}
    with safe_open(path, "np") as file:
        layers = int(file.metadata()["layers"])
        last = {ours: np.atleast_1d(file.get_tensor(f"model.{n}")) for n, ours in head.items()}
    return {**bert_of(path), **last}, layers


def start_of(what: str, layers: int, cache: Path) -> JointEncoder:
    """Return the model before learning, with `layers` layers (0: as many as the start has)."""
    if what == "minilm":
        weights: Mapping[str, np.ndarray] = load_file(fetch(MINILM_WEIGHTS, cache))
    else:
        weights = bge_weights(fetch(BGE_GRAPH, cache)) if what == "bge" else bert_of(Path(what))
    if layers:
        weights = every_second(weights, layers)
    vocabulary = len(weights["embeddings.word_embeddings.weight"])
    model = JointEncoder(dict(weights), shape_of(weights), vocabulary)
    if what not in ("minilm", "bge"):
        with safe_open(Path(what), "pt") as file:
            head = {name: file.get_tensor(f"model.{name}") for name in HEAD}
        model.load_state_dict(head, strict=False)
    return model


Loss = Callable[[JointEncoder, PairTokens, Sequence[Lesson]], torch.Tensor]
"""What is made small in a step, of the lessons of the step."""


def batches_of(tokens: PairTokens, group: Sequence[Lesson]) -> tuple[list[Batch], torch.Tensor]:
    """Return the pairs of the lessons as two batches by length, so that padding is small, and the
    places that put their rows back in order.
    """
    pairs = [(one.given.query, one.given.texts[place]) for one in group for place in one.places]
    order = np.argsort([len(tokens.row(*pair)[0]) for pair in pairs], kind="stable")
    halves = np.array_split(order, 2)
    batches = [tokens.batch([pairs[place] for place in half]) for half in halves]
    return batches, torch.from_numpy(np.argsort(order))


def by_list(logits: torch.Tensor, group: Sequence[Lesson]) -> Iterator[torch.Tensor]:
    """Yield the logits [n] of each lesson's places, with the search's own score added."""
    sizes = [len(one.places) for one in group]
    for one, ours in zip(group, torch.split(logits, sizes), strict=True):
        fused = unit(one.given.fused)[list(one.places)].astype(np.float32)
        yield ours + FUSED_SHARE * torch.from_numpy(fused)


def loss_of(model: JointEncoder, tokens: PairTokens, group: Sequence[Lesson]) -> torch.Tensor:
    """Return listwise cross-entropy of the judgements and the teachers' opinions, over the sum of
    the search's score and the model's.
    """
    batches, back = batches_of(tokens, group)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = torch.cat([model(batch) for batch in batches])[back]
    losses = [
        functional.cross_entropy(ours, torch.from_numpy(one.target))
        for one, ours in zip(group, by_list(logits, group), strict=True)
    ]
    return torch.stack(losses).mean()


def learn(
    run: Run,
    taught: Sequence[Taught],
    tokens: PairTokens,
    teaching: Teaching,
    steps: int,
    state: Path,
    seconds: float = float("inf"),
    loss_in: Loss = loss_of,
) -> bool:
    """Learn until `steps` are done or `seconds` are over; return whether they are done. The data of
    a step depend on its number alone, so a stopped and continued run ends like one that was not
    stopped.
    """
    begin, first = time.monotonic(), run.step
    model = run.model.train()
    while run.step < steps and time.monotonic() - begin < seconds:
        chance = random.Random(run.step)  # noqa: S311
        torch.manual_seed(run.step)
        group = drawn(taught, teaching, chance)
        share = pace(run.step, total=steps, warm=max(1, int(WARM_UP * steps)))
        for each in run.optimizer.param_groups:
            each["lr"] = each["highest"] * share
        loss = loss_in(model, tokens, group)
        run.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        run.optimizer.step()
        run.step += 1
        if run.step % SAVED_EVERY == 0 or run.step == steps:
            run.write(state)
            report(run.step - first, steps - first, loss.item(), time.monotonic() - begin)
    run.write(state)
    return run.step >= steps


def drawn(taught: Sequence[Taught], teaching: Teaching, chance: random.Random) -> list[Lesson]:
    """Return LISTS lessons, drawn with new negatives. Raises ValueError if too few lists have a
    right passage and others.
    """
    group: list[Lesson] = []
    for one in chance.sample(taught, len(taught)):
        group += lessons([one], teaching, chance)
        if len(group) == LISTS:
            return group
    raise ValueError(f"fewer than {LISTS} lists have a right passage and others")


def main() -> None:
    """The command line."""
    parser = learning_parser(__doc__)
    parser.add_argument("--state", type=Path, required=True, help="file of the run")
    parser.add_argument("--start", default="minilm", help="minilm, bge, or another run's file")
    parser.add_argument("--layers", type=int, default=0, help="layers to keep, evenly spaced")
    parser.add_argument("--frozen", type=int, default=0, help="first layers that learn nothing")
    parser.add_argument("--evened", action="store_true", help="half of the lists: search is wrong")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--distilled", type=float, default=0.0, help="the teachers' share, 0 to 1")
    parser.add_argument("--weights", type=Path, default=Path("weights"), help="kept start weights")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = start_of(given.start, given.layers, given.weights)
    freeze(model, given.frozen)
    run = Run.of(model)
    if given.state.exists():
        run.read(given.state)
    taught = lists_to_learn(given)
    if given.evened:
        taught = evened(taught)
    tokenizer: Tokenizer = plain_tokenizer(fetch(MINILM_TOKENIZER, given.weights))
    teaching = Teaching(given.margin, given.distilled, negatives=PASSAGES - 1)
    tokens = PairTokens(tokenizer, MAX_TOKENS)
    done = learn(run, taught, tokens, teaching, given.steps, given.state, 60 * given.minutes)
    print(json.dumps({"step": run.step, "of": given.steps, "done": done}))


if __name__ == "__main__":
    main()
