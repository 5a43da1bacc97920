from __future__ import annotations

from tests.indexing.conftest import tokenizer_file  # noqa: F401 - a fixture
