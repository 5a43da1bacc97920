"""Each kind of graph keeps the promises, and what is particular to some of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.errors import SettingsError
from storage.graphs import builders, faiss_gpu
from storage.graphs.builders import builder_of, builder_of_kind
from storage.graphs.faiss_hnsw import parts_of
from storage.graphs.kept import HalfRows, nearest, widened
from storage.graphs.settings import HnswSettings, Implementation, Precision
from tests.storage.conformance.graphs import ASKED, VECTORS, GraphConformance, K

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8", "pq", "binary")


class TestFaiss(GraphConformance):
    floor = 0.98


class TestFaissHalf(GraphConformance):
    precision = "fp16"
    floor = 0.98


class TestFaissBytes(GraphConformance):
    precision = "int8"
    floor = 0.97


class TestFaissProducts(GraphConformance):
    precision = "pq"
    floor = 0.95


class TestFaissBits(GraphConformance):
    precision = "binary"
    floor = 0.92  # 96 bits a vector: the bundled encoder's have 384
    far_floor = 0.8


class TestFaissLists(GraphConformance):
    implementation = "faiss-ivf"
    precision = "pq"
    floor = 0.95
    far_floor = 0.85


@pytest.mark.hnswlib
class TestHnswlib(GraphConformance):
    implementation = "hnswlib"
    floor = 0.98


class TestCardWithoutACard(GraphConformance):
    """All but the card itself: its copy of the vectors stays on the processor."""

    implementation = "faiss-gpu"
    floor = far_floor = 1.0

    @pytest.fixture(autouse=True)
    def _without_a_card(self, monkeypatch: pytest.MonkeyPatch) -> None:
        if faiss_gpu.problem():
            monkeypatch.setattr(faiss_gpu, "problem", lambda: "")
            monkeypatch.setattr(faiss_gpu, "on_card", lambda index: index)


@pytest.mark.skipif(not faiss_gpu.problem(), reason="there is a card here")
def test_no_card_is_said_with_the_way_out() -> None:
    with pytest.raises(SettingsError, match="can't use an NVIDIA card") as found:
        builder_of(HnswSettings(implementation="faiss-gpu"))
    assert "[gpu]" in found.value.mend
    with pytest.raises(SettingsError, match="no int8 vectors"):
        builder_of(HnswSettings(implementation="faiss-gpu", precision="int8"))


def test_less_precision_takes_less_memory() -> None:
    sizes: dict[Precision, float] = {}
    for precision in PRECISIONS:
        graph = builder_of(HnswSettings(precision=precision)).build(VECTORS[:300], threads=1)
        links = graph.bytes - (0 if precision in ("fp32", "fp16") else 300 * 96 * 2)
        sizes[precision] = links / 300
    per_row: dict[Precision, int] = {"fp32": 4 * 96, "fp16": 2 * 96, "int8": 96, "pq": 24}
    for precision, size in per_row.items():
        assert sizes["fp32"] - sizes[precision] == pytest.approx(4 * 96 - size, abs=1)
    assert sizes["binary"] < sizes["pq"] + 8


@pytest.mark.parametrize(
    "implementation", ["faiss", pytest.param("hnswlib", marks=pytest.mark.hnswlib)]
)
def test_a_build_on_two_threads_leads_everywhere(implementation: Implementation) -> None:
    """Which links there are may depend on who was first; that they lead there does not."""
    settings = HnswSettings(exact_whole=0, implementation=implementation)
    graph = builder_of(settings).build(VECTORS[:1500], threads=2)
    found = graph.search_many(VECTORS[:1500:50], 1, 256)[1][:, 0]
    assert np.count_nonzero(found == np.arange(0, 1500, 50)) >= 29


def test_saving_takes_the_vectors_out_of_memory(tmp_path: Path) -> None:
    graph = builder_of(HnswSettings(precision="int8")).build(VECTORS[:300], threads=1)
    before = graph.bytes
    graph.save(tmp_path)
    assert before - graph.bytes == 300 * 96 * 2
    assert (tmp_path / "vectors.npy").stat().st_size >= 300 * 96 * 2


@pytest.mark.parametrize("precision", ["int8", "pq", "binary"])
def test_more_rescoring_finds_more(precision: Precision) -> None:
    found = []
    for rescore in (1, 16):
        chosen = HnswSettings(16, 60, 160, 0, 0, "faiss", precision, rescore)
        graph = builder_of(chosen).build(VECTORS[:1000], threads=1)
        truth = [nearest(VECTORS[:1000] @ q, np.arange(1000), K)[1] for q in ASKED]
        given_rows = [graph.walk(q[None], K)[1] for q in ASKED]
        pairs = zip(truth, given_rows, strict=True)
        found.append(sum(len(set(t.tolist()) & set(g.tolist())) for t, g in pairs))
    assert found[0] <= found[1]
    assert found[1] >= 0.98 * K * len(ASKED)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_truncated_faiss_file_is_an_error(
    precision: Precision, kept: float, tmp_path: Path
) -> None:
    builder = builder_of(HnswSettings(precision=precision))
    builder.build(VECTORS[:300], threads=1).save(tmp_path)
    for name in builder.files:
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: int(kept * len(whole))])
        with pytest.raises((OSError, RuntimeError, ValueError)):
            builder.load(tmp_path)
        (tmp_path / name).write_bytes(whole)
    assert builder.load(tmp_path).count == 300


@pytest.mark.hnswlib
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_truncated_hnswlib_file_never_answers(kept: float, tmp_path: Path) -> None:
    """In a process of its own: hnswlib may end it. Segments compare checksums first."""
    builder = builder_of(HnswSettings(implementation="hnswlib"))
    builder.build(VECTORS[:300], threads=1).save(tmp_path)
    whole = (tmp_path / "graph.hnswlib").read_bytes()
    (tmp_path / "graph.hnswlib").write_bytes(whole[: int(kept * len(whole))])
    program = (
        "import sys; from pathlib import Path\n"
        "from storage.graphs.builders import builder_of\n"
        "from storage.graphs.settings import HnswSettings\n"
        "builder_of(HnswSettings(implementation='hnswlib')).load(Path(sys.argv[1]))\n"
        "print('opened')"
    )
    root = Path(builders.__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode != 0
    assert "opened" not in ended.stdout


def test_a_graph_of_another_precision_is_refused(tmp_path: Path) -> None:
    builder_of(HnswSettings(precision="int8")).build(VECTORS[:300], threads=1).save(tmp_path)
    others: tuple[Precision, ...] = ("fp32", "fp16", "pq", "binary")
    for other in others:
        with pytest.raises(ValueError, match=f"does not hold {other}"):
            builder_of(HnswSettings(precision=other)).load(tmp_path)


@pytest.mark.hnswlib
def test_hnswlib_has_full_vectors_only() -> None:
    with pytest.raises(SettingsError, match="hnswlib has no int8") as raised:
        builder_of(HnswSettings(implementation="hnswlib", precision="int8"))
    assert raised.value.where == "hnsw_precision"


def test_without_hnswlib_the_setting_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builders, "is_installed", lambda library: False)
    with pytest.raises(SettingsError, match="not installed") as raised:
        builder_of(HnswSettings(implementation="hnswlib"))
    assert "[hnswlib]" in raised.value.mend


def test_a_kind_names_its_builder() -> None:
    base = HnswSettings(m=8)
    for precision in PRECISIONS:
        assert builder_of_kind(f"faiss:{precision}", base).kind == f"faiss:{precision}"
    with pytest.raises(SettingsError, match="no graph of kind 'faiss:fp64'"):
        builder_of_kind("faiss:fp64", base)


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=60))
@hypothesis_settings(max_examples=50, deadline=None)
def test_halves_are_widened_as_numpy_does(bits: list[int]) -> None:
    halves = np.array([bits], np.uint16).view(np.float16)
    halves = np.where(np.isfinite(halves), halves, np.float16(0.5))
    assert np.array_equal(widened(halves), halves.astype(np.float32))


def test_every_half_is_widened_as_numpy_does() -> None:
    halves = np.arange(0x10000, dtype=np.uint16).view(np.float16)[None]
    halves = np.where(np.isfinite(halves), halves, np.float16(0))
    assert np.array_equal(widened(halves), halves.astype(np.float32))


def test_halves_in_blocks_are_as_all_at_once() -> None:
    rows = HalfRows.of(VECTORS[:1500])
    whole = VECTORS[:1500].astype(np.float16).astype(np.float32) @ ASKED[0]
    picked = np.array([1499, 3, 511, 512, 513])
    assert np.allclose(rows.cosines(ASKED[:1]), whole, atol=1e-6)
    assert np.allclose(rows.cosines(ASKED[:1], picked), whole[picked], atol=1e-6)


@pytest.mark.parametrize(("dimension", "parts"), [(384, 96), (96, 24), (50, 10), (7, 1), (3, 1)])
def test_products_divide_the_dimensions(dimension: int, parts: int) -> None:
    assert parts_of(dimension) == parts
    assert dimension % parts == 0


def test_nearest_breaks_ties_by_row() -> None:
    cosines = np.array([0.5, 0.9, 0.1, 0.5, 0.9], np.float32)
    found = nearest(cosines, np.array([7, 3, 4, 2, 1]), 4)
    assert found[1].tolist() == [1, 3, 2, 7]
    assert found[0].tolist() == pytest.approx([0.9, 0.9, 0.5, 0.5])
