"""The stock path of benchmarks/models/stock.py: encoding, tagging and reranking as in the tutorials
of sentence-transformers and transformers, on torch in fp32.

    PYTHON -P benchmarks/models/stock_path.py MODEL LABELS

Prints its versions in a JSON line, then does each work, a JSON object a line with `work`, texts and
`threads` (0: torch's default), and answers with `{"seconds"}`. It imports nothing of Dateline's.
The tagger and the cross-encoder are MODEL with an untrained layer on top, which takes as long as a
trained one.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

import torch
import transformers
from sentence_transformers import CrossEncoder, SentenceTransformer
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

Work = Mapping[str, Any]


def stock_works(model: str, labels: int) -> dict[str, Callable[[Work], object]]:
    """Return the function for each kind of work, by its name."""
    encoder = SentenceTransformer(model, device="cpu")
    tokenizer = AutoTokenizer.from_pretrained(model)
    head = AutoModelForTokenClassification.from_pretrained(model, num_labels=labels).eval()
    tagger = pipeline(
        "token-classification",
        model=head,
        tokenizer=tokenizer,
        aggregation_strategy="simple",
        device="cpu",
    )
    scorer = CrossEncoder(model, num_labels=1, device="cpu")

    def encode(work: Work) -> object:
        return encoder.encode(
            work["texts"], normalize_embeddings=True, show_progress_bar=False, batch_size=32
        )

    def tag(work: Work) -> object:
        return tagger(work["texts"], batch_size=len(work["texts"]))

    def score(work: Work) -> object:
        pairs = list(zip(work["queries"], work["passages"], strict=True))
        return scorer.predict(pairs, show_progress_bar=False)

    return {"encode": encode, "tag": tag, "score": score}


def main() -> None:
    """Work until its input ends."""
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    works = stock_works(sys.argv[1], int(sys.argv[2]))
    found = {name: version(name) for name in ("sentence-transformers", "transformers", "torch")}
    default = torch.get_num_threads()
    print(json.dumps({**found, "threads by default": str(default)}), flush=True)
    for line in sys.stdin:
        work = json.loads(line)
        torch.set_num_threads(work["threads"] or default)
        started = time.perf_counter()
        works[work["work"]](work)
        print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)


if __name__ == "__main__":
    main()
