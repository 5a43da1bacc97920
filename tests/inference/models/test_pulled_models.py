"""The catalogue's models, each as a small one of its architecture: pulled from a hub with the
catalogue's own manifest, opened, and compared with transformers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the [torch] extra")
pytest.importorskip("transformers", reason="needs the [torch] extra")
pytest.importorskip("onnxscript", reason="needs the [torch] extra")

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from inference.cross_encoder import CrossEncoder
from inference.encoder import SentenceEncoder
from inference.models.catalogue import Catalogue, in_formats
from inference.models.hub import HubSource, repository
from inference.models.install import install
from inference.models.manifest import ModelManifest
from inference.models.package_source import comes_from_a_package
from inference.models.store import ModelFolder, ModelStore
from inference.runtimes.onnx import OnnxRuntime
from inference.runtimes.torch import TorchRuntime
from inference.tagger import NameTagger
from tests.inference.models.hub_server import COMMIT, REPOSITORY, serving
from tests.small_checkpoints import TEXTS, small_tokenizer
from training.public_models.checkpoint_folder import ExportPlan
from training.public_models.export import export

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

WIDTH, LONGEST = 32, 48
CLASSES = {
    "encode": transformers.AutoModel,
    "tag": transformers.AutoModelForTokenClassification,
    "score": transformers.AutoModelForSequenceClassification,
}
CASED = "Obama meets Merkel in Berlin"


class Silent:
    """An observer that looks away."""

    def begin(self, total: int) -> None:
        pass

    def advance(self, path: str, count: int) -> None:
        pass


def cased(tokenizer: Tokenizer) -> Tokenizer:
    """The small tokenizer, telling capitals apart as distilbert-NER's does."""
    fields = json.loads(tokenizer.to_str())
    vocabulary = fields["model"]["vocab"]
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        vocabulary[letter] = len(vocabulary)
    changed = Tokenizer.from_str(json.dumps(fields))
    changed.normalizer = normalizers.BertNormalizer(lowercase=False)
    return changed


def xlm_roberta() -> Tokenizer:
    """Its kind: word pieces by a unigram model, <s> text </s> </s> text </s>, padding at 1."""
    words = sorted({f"▁{word}" for text in TEXTS for word in text.split()})
    pieces = [*words, *"▁abcdefghijklmnopqrstuvwxyz0123456789"]
    vocabulary = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary += [(piece, -1.0 - 5.0 * (len(piece) == 1)) for piece in pieces]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    return tokenizer


def architecture(manifest: ModelManifest) -> str:
    kind = manifest.architecture.partition(",")[0]
    return {"BERT": "bert", "DistilBERT": "distilbert", "XLM-RoBERTa": "xlm-roberta"}[kind]


def tokenizer_of(manifest: ModelManifest) -> Tokenizer:
    if "XLM-RoBERTa" in manifest.architecture:
        return xlm_roberta()
    plain = small_tokenizer()
    return cased(plain) if manifest.name == "distilbert-NER" else plain


def write_checkpoint(folder: Path, manifest: ModelManifest) -> Path:
    """A small checkpoint with random weights, as its makers save theirs."""
    torch.manual_seed(7)
    kind = architecture(manifest)
    tokenizer = tokenizer_of(manifest)
    names = ("dim", "n_layers", "n_heads", "hidden_dim")
    if kind != "distilbert":
        names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    sizes: dict[str, Any] = dict(zip(names, (WIDTH, 2, 4, 64), strict=True))
    sizes |= {"max_position_embeddings": 64, "initializer_range": 0.4}
    if manifest.task == "tag":
        sizes["id2label"] = dict(enumerate(manifest.labels))
    elif manifest.task == "score":
        sizes["num_labels"] = 1
    config = transformers.AutoConfig.for_model(kind, vocab_size=tokenizer.get_vocab_size(), **sizes)
    CLASSES[manifest.task].from_config(config).eval().save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def repository_files(folder: Path, manifest: ModelManifest) -> dict[str, bytes]:
    """What the makers' repository would hold: the checkpoint, and its graph where they have one."""
    source = write_checkpoint(folder / "checkpoint", manifest)
    names = ("config.json", "model.safetensors", "tokenizer.json")
    files = {name: (source / name).read_bytes() for name in names}
    if "onnx" in manifest.graphs:
        export(source, folder / "exported", ExportPlan(manifest.task, ("onnx",)), TEXTS)
        files["onnx/model.onnx"] = (folder / "exported" / "model.onnx").read_bytes()
    return {**files, "pytorch_model.bin": b"\x80\x02."}


@dataclass(frozen=True)
class Pulled:
    """A model that was pulled, and the checkpoint that it came from."""

    store: ModelStore
    folder: ModelFolder
    checkpoint: Path

    def expected(self, ids: list[int], types: list[int]) -> Any:
        """The answer that transformers gives for one row."""
        task = self.folder.manifest.task
        model = CLASSES[task].from_pretrained(self.checkpoint).eval()
        given = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids)).long()}
        if getattr(model.config, "type_vocab_size", 0) > 1:
            given["token_type_ids"] = torch.tensor([types])
        with torch.inference_mode():
            answer = model(**given)
        return (answer.last_hidden_state if task == "encode" else answer.logits)[0].numpy()

    def runtime(self) -> OnnxRuntime | TorchRuntime:
        kind = OnnxRuntime if "onnx" in self.folder.manifest.graphs else TorchRuntime
        return kind.open(self.folder, threads=1)


# The one that captions has a test of its own.
TEXT_MODELS = [
    name
    for name in Catalogue().names()
    if Catalogue().find(name).task in CLASSES and not comes_from_a_package(Catalogue().find(name))
]
QUICK = ("all-MiniLM-L6-v2-fp32", "distilbert-NER", "ms-marco-MiniLM-L6-v2")  # one of each task


@pytest.fixture(
    scope="module",
    params=[
        name if name in QUICK else pytest.param(name, marks=pytest.mark.deep)
        for name in TEXT_MODELS
    ],
)
def pulled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pulled:
    manifest = Catalogue().find(str(request.param))
    folder = tmp_path_factory.mktemp(manifest.name)
    files = repository_files(folder, manifest)
    small = replace(
        in_formats(manifest),
        source=f"https://huggingface.co/{REPOSITORY}",
        revision=COMMIT,
        dimension=WIDTH,
        max_tokens=LONGEST,
        files=dict.fromkeys(in_formats(manifest).files, ""),
    )
    with serving(files, large=frozenset({"onnx/model.onnx", "model.safetensors"})) as hub:
        source = HubSource.of(repository(small), COMMIT, hub.endpoint)
        install(small, source, folder / "pulled", Silent())
        assert set(hub.asked()) == set(small.files)
    store = ModelStore(folder / "nowhere", (folder / "pulled",))
    return Pulled(store, store.open(manifest.name), folder / "checkpoint")


def only(pulled: Pulled, task: str) -> ModelManifest:
    if pulled.folder.manifest.task != task:
        pytest.skip(f"a model to {pulled.folder.manifest.task}")
    return pulled.folder.manifest


def test_an_encoder_gives_the_vectors_of_its_makers(pulled: Pulled) -> None:
    manifest = only(pulled, "encode")
    encoder = SentenceEncoder.over(pulled.folder, pulled.runtime())
    tokenizer = tokenizer_of(manifest)
    for prefix, encode in (
        (manifest.query_prefix, encoder.encode_queries),
        (manifest.passage_prefix, encoder.encode_passages),
    ):
        for text, vector in zip(TEXTS, encode(TEXTS), strict=True):
            encoding = tokenizer.encode(prefix + text)
            ids = encoding.ids
            if len(ids) > LONGEST:
                ids = [*ids[: LONGEST - 1], ids[-1]]
            hidden = pulled.expected(ids, [0] * len(ids))
            right = hidden[0] if manifest.pooling == "cls" else hidden.mean(axis=0)
            assert float(vector @ right) / float(np.linalg.norm(right)) > 0.9999
    encoder.close()


def test_a_tagger_gives_the_labels_of_its_makers(pulled: Pulled) -> None:
    manifest = only(pulled, "tag")
    tagger = NameTagger.over(pulled.folder, pulled.runtime())
    words = CASED.split()
    encoding = tokenizer_of(manifest).encode(words, is_pretokenized=True)
    logits = pulled.expected(encoding.ids, encoding.type_ids)
    first = [encoding.word_ids.index(number) for number in range(len(words))]
    right = [manifest.labels[int(logits[place].argmax())] for place in first]
    (found,) = tagger.tag_words([words])
    assert list(found.labels) == right
    lower = tokenizer_of(manifest).encode(CASED.lower())
    assert lower.ids != tokenizer_of(manifest).encode(CASED).ids  # it is cased


def test_a_scorer_gives_the_scores_of_its_makers(pulled: Pulled) -> None:
    manifest = only(pulled, "score")
    scorer = CrossEncoder.over(pulled.folder, pulled.runtime())
    tokenizer = tokenizer_of(manifest)
    queries, passages = ["obama in berlin"] * len(TEXTS), list(TEXTS)
    scores = scorer.score(queries, passages)[:, 0]
    for query, passage, score in zip(queries, passages, scores, strict=True):
        encoding = tokenizer.encode(query, passage)
        assert float(score) == pytest.approx(
            float(pulled.expected(encoding.ids, encoding.type_ids)[0]), abs=1e-3
        )
    assert np.ptp(scores) > 0.01
    scorer.close()
