"""What optimum and sentence-transformers' ONNX backend make of texts with converted models:

    .venv-optimum/bin/python tests/training/optimum/opened.py FOLDER...

Each folder is of `dateline models convert`; the texts are lines of the standard input. Beside a
folder a file FOLDER.npz gets `input_ids` and `attention_mask` as the folder's tokenizer makes them,
`tokens` (the last hidden state, or a tagger's logits), and of an encoder `passages` and `queries`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import optimum.onnxruntime as optimum
from sentence_transformers import SentenceTransformer
from transformers import AutoTokenizer


def opened(folder: Path, texts: list[str]) -> None:
    """Write what the model makes of the texts."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    given = dict(tokenizer(texts, padding=True, truncation=True, return_tensors="np"))
    told = json.loads((folder / "config.json").read_text("utf-8"))["architectures"]
    if told == ["BertModel"]:
        model = optimum.ORTModelForFeatureExtraction.from_pretrained(folder)
        sentences = SentenceTransformer(str(folder), backend="onnx", device="cpu")
        given["tokens"] = model(**given).last_hidden_state
        given["passages"] = sentences.encode_document(texts)
        given["queries"] = sentences.encode_query(texts)
    else:
        model = optimum.ORTModelForTokenClassification.from_pretrained(folder)
        given["tokens"] = model(**given).logits
    np.savez(folder.with_name(f"{folder.name}.npz"), **given)


if __name__ == "__main__":
    lines = sys.stdin.read().splitlines()
    for name in sys.argv[1:]:
        opened(Path(name), lines)
