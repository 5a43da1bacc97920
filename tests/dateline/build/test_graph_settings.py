"""Which graph the settings ask for, through to the segments of an archive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import SettingsError
from dateline.build.engine import build_graphs, opensearch_settings
from dateline.settings import Settings, configure
from storage.graphs import builders
from storage.opensearch.query.retrieval import SearchSettings


def test_the_default_is_faiss_with_full_vectors() -> None:
    assert build_graphs(Settings()).kind == "faiss:fp32"


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "pq", "binary"])
def test_the_file_chooses_the_precision(precision: str, tmp_path: Path) -> None:
    (tmp_path / "dateline.toml").write_text(f'hnsw_precision = "{precision}"\n')
    builder = build_graphs(configure(folder=tmp_path).settings)
    assert builder.kind == f"faiss:{precision}"


def test_build_parameters_reach_the_graph() -> None:
    vectors = np.eye(40, dtype=np.float32)
    sizes = [build_graphs(Settings(hnsw_m=m)).build(vectors, 1).bytes for m in (8, 32)]
    assert sizes[1] - sizes[0] > 40 * 4 * 2 * 20


def test_each_engine_searches_its_graphs_as_wide_as_it_was_told(tmp_path: Path) -> None:
    """Lucene's graphs and faiss's find other shares of what is near at one width."""
    (tmp_path / "dateline.toml").write_text("opensearch_ef_search = 64\nhnsw_ef_search = 300\n")
    settings = configure(folder=tmp_path).settings
    assert opensearch_settings(settings, {}).search.ef_search == 64
    assert opensearch_settings(Settings(hnsw_ef_search=8), {}).search == SearchSettings()


@pytest.mark.parametrize(
    ("name", "value"), [("hnsw_precision", "fp8"), ("hnsw_implementation", "annoy")]
)
def test_what_there_is_not(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        configure({name: value})


def test_hnswlib_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builders, "is_installed", lambda library: False)
    with pytest.raises(SettingsError, match="hnswlib is not installed"):
        build_graphs(Settings(hnsw_implementation="hnswlib"))
