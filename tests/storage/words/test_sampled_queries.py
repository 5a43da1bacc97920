"""Sampled queries: never more than the setting says, the words alone, and no harm to a search."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.callers import Caller
from core.errors import StorageError
from search.answers import SearchRequest
from search.sampled import SampledSearch
from storage.words.sampled_queries import FILE, SampledQueries, sampled_queries
from tests.conftest import new_folder


@settings(max_examples=20)
@given(words=st.lists(st.text(min_size=1, max_size=20), max_size=30), most=st.integers(1, 5))
def test_at_most_so_many_are_kept(words: list[str], most: int) -> None:
    folder = new_folder()
    asked = [word for word in words if word.strip() and word.isprintable()]
    with closing(SampledQueries(folder, most)) as samples:
        for word in asked:
            samples.keep(word)
    kept = sampled_queries(folder)
    assert len(kept) <= most
    assert set(kept) <= set(asked)
    assert bool(kept) == bool(asked)
    shutil.rmtree(folder)


def test_fewer_are_kept_where_the_setting_falls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = iter((0, 1, 2, 0))
    for most, words in ((3, ("a", "b", "c")), (1, ("d",))):
        with closing(SampledQueries(tmp_path, most, lambda _: next(places))) as samples:
            for word in words:
                samples.keep(word)
    monkeypatch.chdir(tmp_path)
    assert sampled_queries(Path()) == ["d"]


def test_a_file_that_can_not_be_written_harms_no_search(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    samples = SampledQueries(tmp_path, 3)
    samples.keep("flood")
    samples.close()
    assert samples.failure
    with pytest.raises(StorageError, match="can't be read"):
        sampled_queries(tmp_path)


def test_a_query_is_kept_once_and_without_its_caller(tmp_path: Path) -> None:
    class Answers:
        def search(self, request: SearchRequest, caller: Caller) -> SearchRequest:
            return request

    with closing(SampledQueries(tmp_path, 9)) as samples:
        search = SampledSearch(Answers(), samples.keep)  # type: ignore[arg-type] - what it asks is told
        for cursor in ("", "the next page"):
            request = SearchRequest("dam overflow", cursor=cursor)
            assert search.search(request, Caller("secret", frozenset({"secret"}))) == request
    assert sampled_queries(tmp_path) == ["dam overflow"]
    assert b"secret" not in (tmp_path / FILE).read_bytes()
