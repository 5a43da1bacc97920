"""Index settings wanted and live, on a real node: each difference is seen, and changed or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from core.errors import StorageError
from storage.opensearch.index.body import IndexSettings, VectorSpace, index_body
from storage.opensearch.index.family import IndexFamily
from storage.opensearch.index.live_settings import ABSENT, Difference, change_in_place, differences
from storage.opensearch.nodes.connection import Cluster, ClusterSettings, MissingError
from tests.opensearch_node import new_name

WANTED = IndexSettings(shards=1, replicas=0, refresh_s=30)
SPACES = {"text": VectorSpace("e" * 64, 8)}


@dataclass(frozen=True)
class Index:
    cluster: Cluster
    name: str

    def differences(
        self, settings: IndexSettings = WANTED, spaces: dict[str, VectorSpace] = SPACES
    ) -> list[Difference]:
        return differences(self.cluster, self.name, settings, spaces)

    def set(self, **values: Any) -> None:
        named = {f"index.{name.replace('__', '.')}": value for name, value in values.items()}
        self.cluster.ask("PUT", f"/{self.name}/_settings", named)


@pytest.fixture
def index(opensearch: str) -> Iterator[Index]:
    cluster = Cluster(ClusterSettings((opensearch,)))
    made = Index(cluster, new_name())
    IndexFamily(cluster, made.name, WANTED, SPACES).open()
    yield made
    cluster.ask("DELETE", f"/{made.name}-000001,{made.name}-meta")
    cluster.close()


def seen(found: list[Difference]) -> dict[str, tuple[str, str, bool]]:
    return {each.name: (each.wanted, each.live, each.in_place) for each in found}


def test_an_index_just_made_is_as_wanted(index: Index) -> None:
    assert index.differences() == []


def test_what_someone_changed_is_seen_and_set_back(index: Index) -> None:
    index.set(
        refresh_interval="-1", blocks__write=True, search__slowlog__threshold__query__warn="1s"
    )
    found = index.differences()
    assert seen(found) == {
        "index.blocks.write": (ABSENT, "true", True),
        "index.refresh_interval": ("30000ms", "-1", True),
        "index.search.slowlog.threshold.query.warn": (ABSENT, "1000ms", True),
    }
    assert change_in_place(index.cluster, found) == []
    assert index.differences() == []


def test_another_notation_of_the_same_is_no_difference(index: Index) -> None:
    index.set(refresh_interval="30s", gc_deletes="600s")
    assert index.differences() == []


def test_replicas_are_changed_of_the_notes_too(index: Index) -> None:
    wanted = replace(WANTED, replicas=1)
    found = index.differences(wanted)
    assert [each.index for each in found] == [f"{index.name}-000001", f"{index.name}-meta"]
    assert change_in_place(index.cluster, found) == []
    assert index.differences(wanted) == []


@pytest.mark.parametrize(
    ("settings", "spaces", "name"),
    [
        (replace(WANTED, shards=3), SPACES, "index.number_of_shards"),
        (replace(WANTED, m=48), SPACES, "parameters.m"),
        (replace(WANTED, ef_construction=100), SPACES, "parameters.ef_construction"),
        (WANTED, {"text": VectorSpace("f" * 64, 8)}, "mapping._meta.spaces.text.encoder"),
        (WANTED, SPACES | {"image": VectorSpace("e" * 64, 4)}, "passages_image"),
    ],
)
def test_what_is_fixed_takes_another_index(
    index: Index, settings: IndexSettings, spaces: dict[str, VectorSpace], name: str
) -> None:
    found = index.differences(settings, spaces)
    assert any(name in each.name for each in found)
    assert not any(each.in_place for each in found)
    assert change_in_place(index.cluster, found) == found
    assert index.differences(settings, spaces) == found


def test_who_only_reads_makes_nothing(index: Index) -> None:
    concrete, meta = f"{index.name}-000001", f"{index.name}-meta"
    index.cluster.ask("DELETE", f"/{concrete}/_alias/{concrete}-write")
    index.cluster.ask("DELETE", f"/{meta}")
    family = IndexFamily(index.cluster, index.name, WANTED, SPACES)
    family.open(read_only=True)
    assert family.note().applied == 0
    assert [*index.cluster.ask("GET", f"/{concrete}")[concrete]["aliases"]] == [index.name]
    with pytest.raises(MissingError):
        index.cluster.ask("GET", f"/{meta}")
    with pytest.raises(MissingError):
        IndexFamily(index.cluster, new_name(), WANTED, SPACES).open(read_only=True)
    family.make_notes()  # for whoever clears up


def test_a_second_copy_of_the_vectors_is_no_difference(opensearch: str) -> None:
    """An index of before has one: nothing in place takes it away, and searches are the same."""
    cluster, name = Cluster(ClusterSettings((opensearch,))), new_name()
    body = index_body(WANTED, SPACES)
    vector = body["mappings"]["properties"]["passages_text"]["properties"]["vector"]
    assert vector.pop("doc_values") is False
    cluster.ask("PUT", f"/{name}-000001", {**body, "aliases": {name: {}}}, timeout_s=60)
    IndexFamily(cluster, name, WANTED, SPACES).open()
    assert differences(cluster, name, WANTED, SPACES) == []
    cluster.ask("DELETE", f"/{name}-000001,{name}-meta")
    cluster.close()


def test_opensearch_agrees_what_is_fixed(index: Index) -> None:
    """What we call fixed is refused by the node, so that nobody waits for another index in vain."""
    for name, value in (("number_of_shards", 3), ("knn", False), ("similarity.default.b", 0.5)):
        with pytest.raises(StorageError):
            index.cluster.ask("PUT", f"/{index.name}/_settings", {f"index.{name}": value})


def test_a_value_that_the_node_refuses_is_told(index: Index) -> None:
    wrong = Difference(f"{index.name}-000001", "index.refresh_interval", "soon", "30000ms", True)
    with pytest.raises(StorageError, match="soon"):
        change_in_place(index.cluster, [wrong])
