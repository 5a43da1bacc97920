"""Fields of a profile that are tried out, and what a result tells of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import SecretStr

from core.errors import SettingsError
from dateline.build.service import profiles
from dateline.measuring.profile_changes import PREFIX, changed_profile, profile_settings
from dateline.measuring.provenance import told_settings
from dateline.measuring.run_sets import read_changes, system_name
from dateline.settings import KeySetting, Settings
from search.profiles import Fusion, Profile

HYBRID = Profile("hybrid", 0.5, {"text": 0.5})


def test_text_becomes_what_the_field_is() -> None:
    changes = {
        "lexical_weight": "0.4",
        "vector_weights.text": ".7",
        "fusion": "rrf",
        "rerank_depth": "30",
    }
    changed = changed_profile(HYBRID, changes)
    assert (changed.lexical_weight, dict(changed.vector_weights)) == (0.4, {"text": 0.7})
    assert (changed.fusion, changed.rerank_depth) == (Fusion.RRF, 30)
    assert changed_profile(HYBRID, {}) == HYBRID


def test_what_is_told_can_be_set_again() -> None:
    told = profile_settings(HYBRID)
    again = {name.removeprefix(PREFIX): str(value) for name, value in told.items()}
    assert changed_profile(HYBRID, again) == HYBRID


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lexical_wieght", "1"),
        ("name", "mine"),
        ("vector_weights", "1"),
        ("vector_weights.image", "1"),
        ("field_weights", "1"),
        ("field_weights.slugline", "1"),
        ("field_weights.body", "-1"),
        ("field_weights.body", "much"),
        ("lexical_weight", "much"),
        ("lexical_weight", "nan"),
        ("lexical_weight", "-1"),
        ("phrase_boost", "-0.1"),
        ("proximity_boost", "nan"),
        ("proximity_slop", "1.5"),
        ("proximity_slop", "101"),
        ("recency_half_life_days", "-1"),
        ("recency_half_life_days", "inf"),
        ("recency_floor", "1.5"),
        ("rerank_weight", "1.1"),
        ("rerank_depth", "2.5"),
        ("rerank_depth", "1000000"),
        ("fusion", "sum"),
        ("deadline_ms", "0"),
    ],
)
def test_what_does_not_fit_is_an_error_with_its_place(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        changed_profile(HYBRID, {name: value})
    assert caught.value.where.startswith(f"profile.{name}")
    assert caught.value.mend


def test_a_profile_that_ranks_by_nothing_is_an_error() -> None:
    with pytest.raises(SettingsError, match="nothing would rank"):
        changed_profile(HYBRID, {"lexical_weight": "0", "vector_weights.text": "0"})


def test_only_the_profile_of_the_settings_is_changed() -> None:
    found = profiles(Settings(profile="lexical"), {"lexical_depth": "50"})
    assert found["lexical"].lexical_depth == 50
    assert found["hybrid"] == profiles(Settings())["hybrid"]


def test_pairs_are_told_apart() -> None:
    found = read_changes(["entity_boost=0", "profile.lexical_weight = .4", "runtimes.mini=torch"])
    assert found.settings == {"entity_boost": "0", "runtimes": {"mini": "torch"}}
    assert found.profile == {"lexical_weight": ".4"}


@pytest.mark.parametrize("pairs", [["entity_boost"], ["=1"], ["threads=1", "threads=2"]])
def test_what_is_no_pair(pairs: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        read_changes(pairs)
    assert caught.value.where == "--set"


def test_no_secret_and_no_place_is_told() -> None:
    settings = Settings(
        keys=(KeySetting(name="desk", key=SecretStr("open sesame")),),
        remote_key=SecretStr("open sesame"),
        data=Path("/srv/wire"),
        host="0.0.0.0",
        runtimes={"mini": "openvino"},
        entity_boost=0.3,
    )
    told = told_settings(settings)
    assert told["entity_boost"] == 0.3
    assert told["runtimes.mini"] == "openvino"
    assert told["hnsw_m"] == 32  # shapes an answer even by its default
    assert "lexical_weight" not in told
    assert not {"keys", "remote_key", "data", "host"} & set(told)
    assert "sesame" not in str(told)


@pytest.mark.parametrize(
    ("engine", "width", "others"),
    [
        ("embedded", "hnsw_ef_search", "opensearch_ef_search"),
        ("opensearch", "opensearch_ef_search", "hnsw_ef_search"),
    ],
)
def test_the_width_of_the_engine_that_answers_is_told(
    engine: Literal["embedded", "opensearch"], width: str, others: str
) -> None:
    told = told_settings(Settings(engine=engine))
    assert told[width] == getattr(Settings(), width)
    assert others not in told


def test_a_system_is_called_by_what_is_special_about_it() -> None:
    changes = read_changes(["profile.lexical_weight=.4", "remote_key=sesame", "threads=1"])
    name = system_name("hybrid", Path("/etc/candidate.toml"), changes)
    assert name == "hybrid@candidate,lexical_weight=.4,threads=1"
