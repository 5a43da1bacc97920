"""Rows of tables and documents of other schemas: what a mapping turns into ninjs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import DocumentError


@dataclass(frozen=True, slots=True)
class Row:
    """The values of one row by column, or of one document by path; its line or row, from 1; its
    size in bytes; or why it can't be read. A blank in a table is no value.
    """

    line: int
    values: Mapping[str, Any] = field(default_factory=dict)
    size: int = 0
    error: DocumentError | None = None
    is_table: bool = False
