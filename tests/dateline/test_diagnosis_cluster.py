"""What `dateline doctor` makes of nodes that are not as they should be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dateline import diagnosis as diagnosis_cluster
from dateline.diagnosis import _Look
from storage.opensearch.index.coverage import Coverage
from storage.opensearch.index.live_settings import Difference
from storage.opensearch.nodes.node_health import NodeHealth, passed

GIBI = 2**30
WELL = NodeHealth(
    "node-1", "2.19.1", frozenset({"opensearch-knn"}), True, GIBI, 4 * GIBI, 40 * GIBI, 100 * GIBI
)
MANAGER = replace(WELL, name="manager", plugins=frozenset(), holds_data=False)


@pytest.mark.parametrize(
    ("free", "level"), [(20, ""), (14, "low"), (9, "high"), (4, "flood_stage")]
)
@pytest.mark.parametrize(
    "watermarks",
    [
        {"low": "85%", "high": "90%", "flood_stage": "95%"},
        {"low": "0.85", "high": "0.9", "flood_stage": "0.95"},
        {"low": "15gb", "high": "10gb", "flood_stage": "5120mb"},
    ],
)
def test_a_disk_is_judged_by_the_watermarks_in_force(
    free: int, level: str, watermarks: dict[str, str]
) -> None:
    node = replace(WELL, disk_free=free * GIBI)
    assert passed(watermarks, node) == level
    assert passed({}, node) == "", "they are switched off"


def test_the_plugin_is_missed_on_nodes_with_data() -> None:
    assert diagnosis_cluster._plugin([WELL, MANAGER]).ok
    found = diagnosis_cluster._plugin([WELL, replace(WELL, name="node-2", plugins=frozenset())])
    assert not found.ok
    assert found.says == "missing on node-2"
    assert "opensearch-plugin install opensearch-knn" in found.mend


@pytest.mark.parametrize(
    ("versions", "ok"),
    [(("2.19.1",), True), (("2.19.1", "2.19.2"), False), (("2.11.0",), False), (("3.0.0",), False)],
)
def test_a_version_that_is_not_tested_is_told(versions: tuple[str, ...], ok: bool) -> None:
    found = diagnosis_cluster._versions([replace(WELL, version=each) for each in versions])
    assert found.ok is ok
    assert all(version in found.says for version in versions)


def test_a_full_heap_is_told_with_its_node() -> None:
    full = replace(WELL, name="node-2", heap_used=39 * GIBI // 10)
    found = diagnosis_cluster._heap([WELL, full])
    assert not found.ok
    assert found.says == "node-1 25% of 4.0 GB, node-2 97% of 4.0 GB"
    assert "heap" in found.mend


def look(applied: int, newest: int, held: int, *, behind: int = 0) -> _Look:
    """Of a record that shows ten items."""
    return _Look(Coverage(10, held, {}, behind), applied, newest)


@pytest.mark.parametrize(
    ("looks", "mend"),
    [
        ([look(20, 20, 10)], ""),
        ([look(20, 22, 9), look(25, 26, 9)], ""),  # counted while writes came
        ([look(20, 24, 8, behind=4), look(25, 27, 9, behind=2)], ""),  # a service follows
        ([look(20, 20, 9), look(20, 20, 10)], ""),  # made searchable meanwhile
        ([look(20, 24, 8, behind=4)] * 2, "start the service"),
        ([look(0, 24, 0, behind=24)] * 2, "start the service"),  # all of it is to come
        ([look(20, 20, 9)] * 2, "index check --repair"),
        ([look(20, 21, 4), look(22, 23, 4)], "index check --repair"),  # by more than came
        ([look(20, 20, 11)] * 2, "index check --repair"),
    ],
)
def test_an_index_that_is_written_to_does_not_drift(looks: list[_Look], mend: str) -> None:
    found = diagnosis_cluster._judged("dateline-000001", [], looks)
    assert found.ok is not bool(mend)
    assert mend in found.mend


def test_other_settings_are_told_beside_whatever_the_counts_say() -> None:
    other = [Difference("dateline-000001", "index.refresh_interval", "1s", "-1", True)]
    for looks in ([], [look(20, 20, 10)]):
        found = diagnosis_cluster._judged("dateline-000001", other, looks)
        assert not found.ok
        assert "index apply" in found.mend
