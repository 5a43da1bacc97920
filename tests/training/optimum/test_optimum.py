"""optimum and sentence-transformers' ONNX backend open a converted model and give our numbers. They
want an older transformers than ours, and so live in an environment of their own.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the [torch] extra")
pytest.importorskip("onnx", reason="needs the [torch] extra")

from dateline.default_folders import default_models
from dateline.measuring.model_texts import read_texts
from inference.encoder import SentenceEncoder
from inference.models.store import ModelStore
from inference.runtimes.onnx import OnnxRuntime
from training.public_models.hub_folder import write_hub_folder

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-optimum/bin/python"
CLOSE = 1e-5  # the graph and the library that runs it are the same

pytestmark = [
    pytest.mark.torch,
    pytest.mark.deep,
    pytest.mark.skipif(not PYTHON.exists(), reason="make .venv-optimum/.installed"),
]


NAMES = ("all-MiniLM-L6-v2", "bge-small-en-v1.5", "distilbert-ner-news")
STORE = ModelStore(default_models())


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [" ".join(text.split()) for text in ("rates", "ferry " * 400, *read_texts(None, 8))]


@pytest.fixture(scope="module")
def converted(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the other libraries make of the texts with each model."""
    root = tmp_path_factory.mktemp("hub")
    for name in NAMES:
        write_hub_folder(STORE.find(name), root / name)
    subprocess.run(
        [PYTHON, "-P", Path(__file__).with_name("opened.py"), *(root / name for name in NAMES)],
        input="\n".join(texts),
        text=True,
        timeout=500,
        check=True,
    )
    return root


@pytest.mark.parametrize("name", NAMES)
def test_optimum_and_sentence_transformers_give_our_numbers(
    converted: Path, texts: list[str], name: str
) -> None:
    got = np.load(converted / f"{name}.npz")
    runtime = OnnxRuntime.open(STORE.find(name), threads=1)
    output = next(one for one in ("logits", "token_embeddings") if one in runtime.outputs)
    given = {key: got[key].astype(np.int32) for key in ("input_ids", "attention_mask")}
    (tokens,) = runtime.run(given, [output])
    runtime.close()
    read = got["attention_mask"].astype(bool)
    assert np.abs(tokens[read] - got["tokens"][read]).max() < CLOSE
    if output == "logits":
        return
    encoder = SentenceEncoder.open(STORE, name, threads=1)
    assert np.abs(encoder.encode_passages(texts) - got["passages"]).max() < CLOSE
    assert np.abs(encoder.encode_queries(texts) - got["queries"]).max() < CLOSE
