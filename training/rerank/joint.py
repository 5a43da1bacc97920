"""The cross-encoder in PyTorch, for training: the same network as `pair_graph`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import BertConfig, BertModel

from training.graphs.bert import BertShape, Weights
from training.graphs.pair import CLS, SEP
from training.graphs.quantize import Batch, Floats

START_SCALE = 20.0
QUERY_TOKENS = 48  # a longer query loses its end: the first words count most


class JointEncoder(torch.nn.Module):  # type: ignore[misc] # torch ships no types that mypy reads here
    """BERT over query and passage with a late-interaction head and a CLS term. The CLS term starts
    at zero, so that the untrained scores are MaxSim's.
    """

    def __init__(self, weights: Weights, shape: BertShape, vocabulary: int = 30522) -> None:
        super().__init__()
        config = BertConfig(
            vocab_size=vocabulary,
            hidden_size=shape.width,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=4 * shape.width,
            hidden_dropout_prob=0.0,  # dropout costs a third of a step
            attention_probs_dropout_prob=0.0,
            attn_implementation="eager",  # on a processor its backward pass takes half the time
        )
        self.bert = BertModel(config, add_pooling_layer=False)
        state = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
        missing = self.bert.load_state_dict(state, strict=False).missing_keys
        if missing:
            raise ValueError(f"the start weights lack {missing[:3]}")
        self.cls = torch.nn.Linear(shape.width, 1)
        torch.nn.init.zeros_(self.cls.weight)
        torch.nn.init.zeros_(self.cls.bias)
        self.scale = torch.nn.Parameter(torch.tensor(START_SCALE))

    def forward(self, batch: Batch) -> torch.Tensor:
        """Return logits [n] of `batch`, int32 [n, t] each: input_ids, attention_mask,
        token_type_ids.
        """
        return self.read(batch)[0]

    def read(self, batch: Batch) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Return logits [n] of `batch`, and the tokens' vectors [n, t, width] after each layer."""
        ids, mask, types = (torch.from_numpy(batch[name]).long() for name in batch)
        told = self.bert(input_ids=ids, attention_mask=mask, output_hidden_states=True)
        hidden = told.last_hidden_state.float()
        counted = mask.bool() & (ids != CLS) & (ids != SEP)
        asked, answering = counted & (types == 0), counted & (types == 1)
        unit = functional.normalize(hidden, dim=-1)
        cosines = (unit @ unit.transpose(1, 2)).masked_fill(~answering[:, None, :], -1.0)
        best = cosines.max(dim=-1).values * asked
        mean = best.sum(1) / asked.sum(1).clamp(min=1)
        return self.scale * mean + self.cls(hidden[:, 0])[:, 0], told.hidden_states[1:]


def trained_weights(model: JointEncoder) -> dict[str, Floats]:
    """Return a model's state under the names that `pair_graph` reads."""
    state = model.state_dict()
    weights = {
        name.removeprefix("bert."): value.detach().float().numpy().astype(np.float32)
        for name, value in state.items()
        if name.startswith("bert.")
    }
    head = {"head.cls.weight": "cls.weight", "head.cls.bias": "cls.bias", "head.scale": "scale"}
    return weights | {
        ours: np.atleast_1d(state[theirs].detach().numpy().astype(np.float32))
        for ours, theirs in head.items()
    }


@dataclass(frozen=True, slots=True)
class PairTokens:
    """The token numbers of pairs, at most `limit` each, special ones included."""

    tokenizer: Tokenizer
    limit: int

    def row(self, query: str, passage: str) -> tuple[list[int], int]:
        """Return the row's tokens, and where its passage begins. The passage is cut; so is a query
        that is longer than QUERY_TOKENS.
        """
        asked = self.tokenizer.encode(query, add_special_tokens=False).ids[:QUERY_TOKENS]
        room = self.limit - len(asked) - 3
        clipped = passage[: 40 * self.limit]
        answer = self.tokenizer.encode(clipped, add_special_tokens=False).ids[: max(room, 0)]
        return [CLS, *asked, SEP, *answer, SEP], len(asked) + 2

    def batch(self, pairs: Sequence[tuple[str, str]]) -> Batch:
        """Return `input_ids`, `attention_mask` and `token_type_ids`, int32 [n, t]."""
        rows = [self.row(query, passage) for query, passage in pairs]
        width = max(len(row) for row, _ in rows)
        made: dict[str, npt.NDArray[np.int32]] = {
            name: np.zeros((len(rows), width), np.int32)
            for name in ("input_ids", "attention_mask", "token_type_ids")
        }
        for number, (row, passage_at) in enumerate(rows):
            made["input_ids"][number, : len(row)] = row
            made["attention_mask"][number, : len(row)] = 1
            made["token_type_ids"][number, passage_at : len(row)] = 1
        return made
