"""What tests of the storage share: a library that may not be here."""

from __future__ import annotations

import pytest

from storage.graphs.builders import is_installed


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("hnswlib") and not is_installed("hnswlib"):
        pytest.skip("needs the extra [hnswlib]")
