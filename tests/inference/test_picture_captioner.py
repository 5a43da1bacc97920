"""The captioning model of the catalogue, as a small one of its architecture with random weights:
pulled from a hub with the catalogue's own manifest, opened, and compared with transformers.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the [torch] extra")
pytest.importorskip("transformers", reason="needs the [torch] extra")

import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from core.errors import ModelError
from core.media import Caption, ToCaption, Uncaptioned
from dateline.build.media.captions import captioner_of
from dateline.settings import Settings
from inference.models.catalogue import Catalogue, in_formats
from inference.models.hub import HubSource, repository
from inference.models.install import install
from inference.models.store import ModelFolder, ModelStore
from inference.picture_captioner import (
    BEAMS,
    MOST_NEW_TOKENS,
    PictureCaptioner,
)
from inference.preparation import LARGEST_EDGE, PREPARATION, Preparation
from tests.inference.models.hub_server import COMMIT, REPOSITORY, serving
from tests.inference.small_models import write_model
from tests.small_checkpoints import small_tokenizer

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

NAME = "blip-image-captioning-large"
EDGE = 32
# What the makers' config has beside the sizes: a library of 2022 wrote all that it knew.
OLD_TEXT = {
    "_name_or_path": "",
    "add_cross_attention": False,
    "bad_words_ids": None,
    "do_sample": False,
    "max_length": 20,
    "min_length": 0,
    "num_beams": 1,
    "return_dict": True,
    "torch_dtype": None,
    "torchscript": False,
    "transformers_version": "4.26.0.dev0",
    "use_bfloat16": False,
}


class Silent:
    """An observer that looks away."""

    def begin(self, total: int) -> None:
        pass

    def advance(self, path: str, count: int) -> None:
        pass


def checkpoint(folder: Path) -> Path:
    """A small BLIP with weights large enough that pictures get different captions."""
    torch.manual_seed(7)
    tokenizer = small_tokenizer()
    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "projection_dim": 16,
    }
    text = {
        "vocab_size": tokenizer.get_vocab_size(),
        "encoder_hidden_size": 32,
        "max_position_embeddings": 64,
        "bos_token_id": 2,
        "sep_token_id": 3,
        "eos_token_id": 3,
        "pad_token_id": 0,
        "initializer_range": 0.9,
    }
    config = transformers.BlipConfig(
        text_config={**sizes, **text},
        vision_config={**sizes, "image_size": EDGE, "patch_size": 8, "initializer_range": 0.5},
        projection_dim=16,
        image_text_hidden_size=16,
    )
    transformers.BlipForConditionalGeneration(config).eval().save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    as_its_makers(folder)
    return folder


def as_its_makers(folder: Path) -> None:
    """What the makers' files have and today's library no longer writes."""
    place = folder / "config.json"
    fields = json.loads(place.read_text())
    fields["text_config"] |= OLD_TEXT
    fields |= {"torch_dtype": "float32", "_commit_hash": None}
    place.write_text(json.dumps(fields))
    weights = load_file(folder / "model.safetensors")
    words = weights["text_decoder.bert.embeddings.word_embeddings.weight"]
    weights["text_decoder.cls.predictions.decoder.weight"] = words.clone()
    weights["text_decoder.bert.embeddings.position_ids"] = torch.arange(64)[None]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    prepared = {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_processor_type": "BlipImageProcessor",
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "processor_class": "BlipProcessor",
        "resample": 3,
        "rescale_factor": 0.00392156862745098,
        "size": {"height": EDGE, "width": EDGE},
    }
    (folder / PREPARATION).write_text(json.dumps(prepared))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def pulled(made: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """The model as a pull brings it; the repository has a pickle too, which is not asked for."""
    manifest = in_formats(Catalogue().find(NAME))
    files = {name: (made / name).read_bytes() for name in manifest.files}
    small = replace(
        manifest,
        source=f"https://huggingface.co/{REPOSITORY}",
        revision=COMMIT,
        files=dict.fromkeys(manifest.files, ""),
    )
    root = tmp_path_factory.mktemp("pulled")
    offered = {**files, "pytorch_model.bin": b"\x80\x02."}
    with serving(offered, large=frozenset({"model.safetensors"})) as hub:
        install(small, HubSource.of(repository(small), COMMIT, hub.endpoint), root, Silent())
        assert set(hub.asked()) == set(small.files)
    return ModelStore(root / "nowhere", (root,)).open(NAME)


def pictures(count: int) -> list[bytes]:
    """JPEGs of noise, no two alike and each of another size."""
    random = np.random.default_rng(5)
    found = []
    for number in range(count):
        stream = io.BytesIO()
        shape = (40 + 8 * number, 64, 3)
        Image.fromarray(random.integers(0, 256, shape, np.uint8)).save(stream, "JPEG")
        found.append(stream.getvalue())
    return found


def stills(jpegs: list[bytes], *, may_leave: bool = False) -> list[ToCaption]:
    return [ToCaption(jpeg, "", may_leave) for jpeg in jpegs]


def reference(made: Path, jpeg: bytes) -> str:
    """What transformers says of a picture, by its own reading of it."""
    model = transformers.BlipForConditionalGeneration.from_pretrained(made).eval()
    processor = transformers.BlipImageProcessor.from_pretrained(made)
    pixels = processor(Image.open(io.BytesIO(jpeg)), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        (row,) = model.generate(
            pixel_values=pixels, num_beams=BEAMS, max_new_tokens=MOST_NEW_TOKENS
        )
    return small_tokenizer().decode(row.tolist(), skip_special_tokens=True)


def test_it_says_what_its_makers_library_says(pulled: ModelFolder, made: Path) -> None:
    jpegs = pictures(11)  # more than go in at once
    captioner = PictureCaptioner.open(pulled)
    found = captioner.caption(stills(jpegs))
    right = [" ".join(reference(made, jpeg).split()) for jpeg in jpegs]
    assert len(set(right)) > 3
    assert all(isinstance(one, Caption) for one in found)
    assert [one.text.casefold() for one in found if isinstance(one, Caption)] == right
    made_by = {one.made_by for one in found if isinstance(one, Caption)}
    assert made_by == {f"{NAME}@{captioner.digest[:12]}"}


def test_a_picture_is_put_as_its_makers_put_it(made: Path) -> None:
    content = (made / PREPARATION).read_bytes()
    processor = transformers.BlipImageProcessor.from_pretrained(made)
    for jpeg in pictures(3):
        right = processor(Image.open(io.BytesIO(jpeg)), return_tensors="np")["pixel_values"][0]
        assert Preparation.read(content, "x").pixels(jpeg) == pytest.approx(right, abs=1e-5)


def test_it_needs_no_leave_and_reports_what_it_can_not_read(pulled: ModelFolder) -> None:
    captioner = PictureCaptioner.open(pulled)
    assert not captioner.leaves
    good = pictures(1)[0]
    wide = io.BytesIO()
    Image.new("RGB", (LARGEST_EDGE + 1, 8)).save(wide, "JPEG")
    png = io.BytesIO()
    Image.new("RGB", (8, 8)).save(png, "PNG")
    bad = [b"", b"\xff\xd8\xff", good[: len(good) // 2], wide.getvalue(), png.getvalue()]
    found = captioner.caption(stills([good, *bad, good]))
    assert isinstance(found[0], Caption)
    assert found[0] == found[-1]
    for one in found[1:-1]:
        assert isinstance(one, Uncaptioned)
        assert not one.again
    assert captioner.caption([]) == ()


def test_the_setting_opens_it(pulled: ModelFolder, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, captioner=NAME, pulled_models=pulled.path.parent)
    captioner = captioner_of(settings)
    assert captioner is not None
    assert not captioner.leaves
    (found,) = captioner.caption(stills(pictures(1)))
    assert isinstance(found, Caption)
    captioner.close()


def test_another_preparation_is_another_digest(pulled: ModelFolder, tmp_path: Path) -> None:
    folder = tmp_path / NAME
    folder.mkdir()
    contents = {name: pulled.read(name) for name in pulled.manifest.files}
    contents[PREPARATION] = contents[PREPARATION].replace(b'"height": 32', b'"height": 16')
    fields = {"graphs": {"safetensors": "model.safetensors"}, "task": "caption", "pooling": ""}
    write_model(folder, contents, **fields)
    changed = ModelStore(tmp_path).open(NAME)
    assert PictureCaptioner.open(pulled).digest != PictureCaptioner.open(changed).digest


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"{}",
        b'{"size": {"height": 32}, "image_mean": [0, 0], "image_std": [1, 1, 1]}',
        b'{"size": {"height": 99999}, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}',
        b'{"size": {"height": 32}, "image_mean": [0, 0, 0], "image_std": [0, 1, 1]}',
        b'{"size": {"height": 32}, "image_mean": "abc", "image_std": [1, 1, 1]}',
    ],
)
def test_a_preparation_that_can_not_be_right(content: bytes) -> None:
    with pytest.raises(ModelError, match="can't be loaded"):
        Preparation.read(content, "x")


def test_weights_that_do_not_fill_the_model(pulled: ModelFolder, tmp_path: Path) -> None:
    folder = tmp_path / "hollow"
    folder.mkdir()
    contents = {name: pulled.read(name) for name in pulled.manifest.files}
    (tmp_path / "w").write_bytes(contents["model.safetensors"])
    weights = load_file(tmp_path / "w")
    del weights["vision_model.post_layernorm.weight"]
    save_file(weights, tmp_path / "w")
    contents["model.safetensors"] = (tmp_path / "w").read_bytes()
    fields = {"graphs": {"safetensors": "model.safetensors"}, "task": "caption", "pooling": ""}
    write_model(folder, contents, **fields)
    with pytest.raises(ModelError, match="do not fill"):
        PictureCaptioner.open(ModelStore(tmp_path).open("hollow"))


def test_a_model_of_another_task_is_refused(models: ModelStore) -> None:
    with pytest.raises(ModelError, match="for caption"):
        PictureCaptioner.open(models.describe("all-MiniLM-L6-v2"))
