"""What an encoder without layers would give: one vector for each token, and a query is their sum.

    python -m benchmarks.models.static_encoder SET... --texts FILE... [--data DIR] [--most N]

The table of vectors is distilled from the first encoder: by least squares it gives the encoder's
own vectors of short texts best, and it begins with the encoder's vector of each token alone. A
frequent token counts less: 1e-3 / (1e-3 + its share). FILE has lines of JSON (.jsonl.gz) whose
sentences are the texts; take no file with queries of a judged set.

Passages keep the vectors that they have, so an archive needs no second index. Each SET is asked by
`lexical`, by `hybrid`, and by `hybrid` with queries encoded by the table. `cosine` is that of the
table's vector with the encoder's, for texts that were left out.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import thread_time
from typing import Any, cast

import numpy as np
import orjson
from scipy import sparse

from benchmarks.machine import arguments, percentile, show, this_machine
from core.items import FloatMatrix
from dateline.build.models.served import Models, load_models
from dateline.measuring.evaluate import RunPlan, run_set
from dateline.settings import configure
from eval.sets.datasets import read_judged_set
from inference.encoder import SentenceEncoder

_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_LENGTHS = (4, 8, 12, 30)  # words of a text, as queries and headlines have
_FEW = 1e-3
_NEARNESS = 0.3  # how much a token's vector is held near its first one
_ROUNDS, _GROUP = 20, 512


@dataclass(frozen=True, slots=True)
class TableEncoder:
    """Encodes queries by a table, float32 [tokens, d], and all else by `encoder`."""

    encoder: SentenceEncoder
    table: FloatMatrix

    @property
    def model(self) -> SentenceEncoder:
        """The encoder whose manifest holds."""
        return self.encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self.encoder, name)

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, d], rows of unit norm."""
        rows = self.encoder.tokens.rows(texts).rows
        found = np.stack([self.table[[*row[1:-1]] or [0]].sum(axis=0) for row in rows])
        unit: FloatMatrix = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)
        return unit


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("sets", nargs="+", help="judged sets")
    parser.add_argument("--texts", nargs="+", type=Path, required=True, help="files to learn from")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where the caches are")
    parser.add_argument("--most", type=int, default=50_000, help="texts")
    chosen = parser.parse_args()
    machine = this_machine()
    settings = configure({"data": str(chosen.data), "tagger": ""}).settings
    models = load_models(settings)
    encoder = cast("SentenceEncoder", models.encoder)
    texts = _texts(chosen.texts, chosen.most)
    table, figures = _table(encoder, texts)
    figures |= _times(encoder, TableEncoder(encoder, table), texts[:500])
    other = replace(models, encoder=cast("Any", TableEncoder(encoder, table)))
    sides: dict[str, tuple[str, Models]] = {
        "lexical": ("lexical", models),
        "hybrid": ("hybrid", models),
        "table": ("hybrid", other),
    }
    means: dict[str, list[float]] = {name: [] for name in sides}
    for each in chosen.sets:
        judged = read_judged_set(each)
        for name, (profile, used) in sides.items():
            found = run_set(settings, judged, RunPlan(profile, measures=("nDCG@10",)), models=used)
            means[name].append(found.mean("nDCG@10"))
            figures[f"{judged.name} {name} nDCG@10"] = means[name][-1]
    for name, values in means.items():
        figures[f"{name}, share of hybrid's mean"] = float(sum(values) / sum(means["hybrid"]))
    show("an encoder without layers", figures, machine, as_json=chosen.json)


def _texts(files: Sequence[Path], most: int) -> list[str]:
    """Return the beginnings of sentences, each once, as many from each file."""
    random = np.random.default_rng(3)
    found: dict[str, None] = {}
    for file in files:
        own = [words for sentence in _sentences(file) if 2 <= len(words := sentence.split()) <= 40]
        for place in random.permutation(len(own))[: most // len(files)]:
            found[" ".join(own[place][: random.choice(_LENGTHS)])] = None
    texts = [*found]
    random.shuffle(texts)
    return texts


def _sentences(file: Path) -> Iterator[str]:
    with gzip.open(file) as lines:
        for line in lines:
            for text in orjson.loads(line).values():
                yield from _SENTENCE.split(text[:4000]) if isinstance(text, str) else ()


def _table(encoder: SentenceEncoder, texts: Sequence[str]) -> tuple[FloatMatrix, dict[str, float]]:
    """Return the table, each row times the weight of its token, and figures of it."""
    vocabulary = encoder.tokens.tokenizer.get_vocab(with_added_tokens=True)
    tokens = [token.removeprefix("##") for token in sorted(vocabulary, key=vocabulary.__getitem__)]
    table, wanted = _encoded(encoder, tokens), _encoded(encoder, texts)
    rows = [row[1:-1] for row in encoder.tokens.rows(texts).rows]
    columns = np.concatenate([np.array(row, np.int64) for row in rows])
    counts = np.bincount(columns, minlength=len(table))
    weights = (_FEW / (_FEW + counts / counts.sum())).astype(np.float32)
    places = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    shape = (len(rows), len(table))
    held = sparse.csr_matrix((weights[columns], (places, columns)), shape=shape, dtype=np.float32)
    held = sparse.diags(1 / np.maximum(np.asarray(held.sum(axis=1)).ravel(), 1e-6)) @ held
    apart = np.arange(len(rows)) % 20 == 0
    table = _solved(held[~apart].astype(np.float32), wanted[~apart], table)
    given = held[apart] @ table
    given /= np.maximum(np.linalg.norm(given, axis=1, keepdims=True), 1e-6)
    cosine = float((given * wanted[apart]).sum(axis=1).mean())
    return weights[:, None] * table, {"texts": len(texts), "cosine": cosine}


def _encoded(encoder: SentenceEncoder, texts: Sequence[str]) -> FloatMatrix:
    parts = [encoder.encode_passages(texts[n : n + _GROUP]) for n in range(0, len(texts), _GROUP)]
    return np.concatenate(parts)


def _solved(held: Any, wanted: FloatMatrix, table: FloatMatrix) -> FloatMatrix:
    """Return the table [tokens, d] for which `held` [texts, tokens] times it is nearest to `wanted`
    [texts, d], and which is near to `table`: conjugate gradients, one for each column.
    """
    turned = held.T.tocsr()
    left = turned @ (wanted - held @ table)
    step, size = left.copy(), (left * left).sum(axis=0)
    for _ in range(_ROUNDS):
        moved = turned @ (held @ step) + _NEARNESS * step
        share = size / np.maximum((step * moved).sum(axis=0), 1e-12)
        table, left = table + share * step, left - share * moved
        before, size = size, (left * left).sum(axis=0)
        step = left + size / np.maximum(before, 1e-12) * step
    return table


def _times(encoder: SentenceEncoder, other: TableEncoder, texts: Sequence[str]) -> dict[str, float]:
    """Return processor time of one query, in turns."""
    times: dict[str, list[float]] = {"encoder": [], "table": []}
    for text in texts:
        for name, one in (("encoder", encoder), ("table", other)):
            began = thread_time()
            one.encode_queries([text])
            times[name].append(thread_time() - began)
    return {f"{name} p50_ms": percentile(seconds, 50) for name, seconds in times.items()}


if __name__ == "__main__":
    main()
