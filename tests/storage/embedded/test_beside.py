"""Where the lexical half of a search runs, by how many searches there are."""

from __future__ import annotations

from collections.abc import Iterator
from threading import current_thread

import pytest

from storage.embedded.beside import Beside


@pytest.fixture
def beside() -> Iterator[Beside]:
    two_cores = Beside(2)
    yield two_cores
    two_cores.close()


def name() -> str:
    return current_thread().name


def test_a_search_alone_has_a_thread_beside_its_own(beside: Beside) -> None:
    with beside.search():
        begun = beside.begin(name)
        assert begun is not None
        assert begun().startswith("lexical")


def test_as_many_searches_as_cores_do_their_own_work(beside: Beside) -> None:
    with beside.search():
        with beside.search():
            assert beside.begin(name) is None
        assert beside.begin(name) is not None


def test_a_failure_comes_where_the_result_is_asked_for(beside: Beside) -> None:
    with beside.search():
        failing = beside.begin(lambda: 1 // 0)
        assert failing is not None
        with pytest.raises(ZeroDivisionError):
            failing()
