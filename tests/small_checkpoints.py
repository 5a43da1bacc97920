"""Small checkpoints of the public models' architectures, as Hugging Face saves them: for tests of
everything that reads one. Weights are random but large enough that answers differ between texts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

TEXTS = (
    "the ferry sank off the island on monday",
    "police in riga arrest two men over gallery theft",
    "obama meets merkel in berlin",
    "rain",
    "shares of the bank fell by a third after the central bank raised its rate again",
    "storm warning for the north sea coast",
    "a court in paris has ruled that the minister must pay",
    "who won the cup in 2025",
)
LABELS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
_WIDTHS: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "initializer_range": 0.4,
}
_DISTIL: dict[str, Any] = {
    "dim": 32,
    "n_layers": 2,
    "n_heads": 4,
    "hidden_dim": 64,
    "max_position_embeddings": 64,
    "initializer_range": 0.4,
}


def small_tokenizer() -> Tokenizer:
    """BERT's kind: lower case, word pieces, [CLS] text [SEP] text [SEP]."""
    pieces = sorted({piece for text in TEXTS for piece in text.split()})
    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789", *(f"##{c}" for c in "abcdefghijklmnop")]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *pieces]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return tokenizer


def write_checkpoint(folder: Path, architecture: str, task: str) -> Path:
    """A checkpoint of `bert`, `distilbert` or `xlm-roberta` for `encode`, `tag` or `score`."""
    import torch
    import transformers

    torch.manual_seed(7)
    tokenizer = small_tokenizer()
    sizes = _DISTIL if architecture == "distilbert" else _WIDTHS
    labels: dict[str, Any] = {}
    if task == "tag":
        labels = {"id2label": dict(enumerate(LABELS))}
    elif task == "score":
        labels = {"num_labels": 1}
    config = transformers.AutoConfig.for_model(
        architecture, vocab_size=tokenizer.get_vocab_size(), **sizes, **labels
    )
    name = {
        "encode": "AutoModel",
        "tag": "AutoModelForTokenClassification",
        "score": "AutoModelForSequenceClassification",
    }[task]
    model = getattr(transformers, name).from_config(config).eval()
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 48}))
    return folder
