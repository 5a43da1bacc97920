"""Starts a model of DistilBERT's shape from a BERT's first layers, and converts names for the
graph.

DistilBERT is BERT without token types and pooler (Sanh et al. 2019). A BERT fits that shape once
the one token-type row in use is added to every position. Of a deeper BERT the first layers are
taken: they know the kinds of words, while the last layers know the task that the model was made
for.
"""

from collections.abc import Mapping

import numpy as np
import torch
from transformers import DistilBertConfig, DistilBertForTokenClassification

from training.graphs.bert import Weights, folded_positions
from training.graphs.quantize import Floats

LAYERS = 6

# BERT's name of each part of a layer, and DistilBERT's name.
_LAYER = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
_OUTSIDE = {
    "embeddings.word_embeddings.weight": "distilbert.embeddings.word_embeddings.weight",
    "embeddings.position_embeddings.weight": "distilbert.embeddings.position_embeddings.weight",
    "embeddings.LayerNorm.weight": "distilbert.embeddings.LayerNorm.weight",
    "embeddings.LayerNorm.bias": "distilbert.embeddings.LayerNorm.bias",
}


def names() -> dict[str, str]:
    """Return DistilBERT's name of each weight, by BERT's name."""
    before, after = "encoder.layer.", "distilbert.transformer.layer."
    layers = {
        f"{before}{layer}.{ours}.{kind}": f"{after}{layer}.{theirs}.{kind}"
        for layer in range(LAYERS)
        for ours, theirs in _LAYER.items()
        for kind in ("weight", "bias")
    }
    return _OUTSIDE | layers


def token_classifier(weights: Weights, labels: int) -> DistilBertForTokenClassification:
    """Return a model for `labels` classes that starts from the first LAYERS layers of BERT
    `weights`, 384 wide; the head starts at random. Raises ValueError for weights of another shape.
    """
    config = DistilBertConfig(
        dim=384, n_layers=LAYERS, n_heads=12, hidden_dim=1536, num_labels=labels
    )
    model = DistilBertForTokenClassification(config)
    folded = {**weights, "embeddings.position_embeddings.weight": folded_positions(weights)}
    state = {theirs: torch.from_numpy(folded[ours].copy()) for ours, theirs in names().items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or any(not name.startswith("classifier.") for name in missing):
        raise ValueError(f"the weights don't fit: missing {missing}, unexpected {unexpected}")
    return model


def bert_weights(state: Mapping[str, torch.Tensor]) -> dict[str, Floats]:
    """Return a trained model's state under BERT's names, including the head's `classifier.*`."""
    wanted = names() | {f"classifier.{kind}": f"classifier.{kind}" for kind in ("weight", "bias")}
    return {
        ours: state[theirs].detach().float().numpy().astype(np.float32)
        for ours, theirs in wanted.items()
    }
