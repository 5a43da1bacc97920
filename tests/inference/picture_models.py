"""Small models that look at pictures: one with colours for classes, and one with texts and pictures
in one space.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

from inference.converting.onnx_writer import FLOAT, INT32, OnnxWriter
from tests.inference.small_models import small_manifest

EDGE = 32
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
LABELS = ("red; warm", "green", "blue; cold")
PREPARATION = {"size": EDGE, "image_mean": [0.0] * 3, "image_std": [1.0] * 3}
CALIBRATION = {"slope": 1.0, "start": 0.0, "threshold": 0.5}


def painted(*parts: tuple[int, int, int], size: tuple[int, int] = (60, 40)) -> bytes:
    """A JPEG with vertical stripes of these colours."""
    image = Image.new("RGB", size)
    wide = size[0] // len(parts)
    for number, colour in enumerate(parts):
        image.paste(colour, (number * wide, 0, size[0], size[1]))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95)
    return stream.getvalue()


def _of_pictures(writer: OnnxWriter, output: str) -> str:
    """The mean colour of a picture: [n, 3, e, e] to [n, 3]."""
    mean = writer.node("GlobalAveragePool", ["pixel_values"], ["mean"])
    return writer.node("Flatten", [mean], [output], axis=1)


def classifier_graph() -> bytes:
    """Features are the mean colour, and each class is a colour."""
    writer = OnnxWriter()
    features = _of_pictures(writer, "features")
    scale = writer.constant("scale", np.eye(3, dtype=np.float32) * 8)
    writer.node("MatMul", [features, scale], ["logits"])
    inputs = {"pixel_values": (FLOAT, ("n", 3, EDGE, EDGE))}
    outputs = {"features": (FLOAT, ("n", 3)), "logits": (FLOAT, ("n", len(LABELS)))}
    return writer.model(inputs, outputs)


def vision_graph() -> bytes:
    """A picture's vector is its mean colour."""
    writer = OnnxWriter()
    _of_pictures(writer, "image_embeds")
    inputs = {"pixel_values": (FLOAT, ("n", 3, EDGE, EDGE))}
    return writer.model(inputs, {"image_embeds": (FLOAT, ("n", 3))})


def text_graph() -> bytes:
    """A text's vector is the mean of its words' colours: the graph has no mask."""
    writer = OnnxWriter()
    colours = np.array([(0, 0, 0), *COLOURS.values(), (60, 60, 60)], np.float32) / 255
    table = writer.constant("table", colours)
    words = writer.node("Gather", [table, "input_ids"], ["words"])
    axis = writer.constant("axis", np.array([1], np.int64))
    writer.node("ReduceMean", [words, axis], ["text_embeds"], keepdims=0)
    return writer.model({"input_ids": (INT32, ("n", "t"))}, {"text_embeds": (FLOAT, ("n", 3))})


def colour_tokenizer() -> str:
    """Knows the colours; any other word is a dark grey."""
    vocabulary = {"[PAD]": 0, **{name: n for n, name in enumerate(COLOURS, 1)}, "[UNK]": 4}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return str(tokenizer.to_str())


def write_classifier(root: Path, name: str = "colours", **preparation: Any) -> Path:
    """The folder of a classifier below `root`."""
    told = {**PREPARATION, "calibration": CALIBRATION, **preparation}
    files = {
        "graph.onnx": classifier_graph(),
        "preprocessor_config.json": json.dumps(told).encode(),
    }
    return _written(root, name, files, labels=list(LABELS), tokenizer="", max_tokens=2)


def write_joint(root: Path, name: str = "joint") -> Path:
    """The folder of a model with texts and pictures in one space below `root`."""
    files = {
        "vision_model.onnx": vision_graph(),
        "text_model.onnx": text_graph(),
        "tokenizer.json": colour_tokenizer().encode(),
        "preprocessor_config.json": json.dumps(PREPARATION).encode(),
    }
    return _written(root, name, files, graphs={"onnx": "vision_model.onnx"}, max_tokens=6)


def _written(root: Path, name: str, files: dict[str, bytes], **fields: Any) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    for path, content in files.items():
        (folder / path).write_bytes(content)
    told = {"task": "look", "pooling": "", "dimension": 3, "optimized": False, **fields}
    manifest = {**small_manifest(name, files), **told}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder


def digest_of(content: bytes) -> str:
    """sha256 in hex."""
    return hashlib.sha256(content).hexdigest()
