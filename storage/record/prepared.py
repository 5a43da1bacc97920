"""A put with all that can be computed before the record is locked."""

from __future__ import annotations

from dataclasses import dataclass

from core.writes import PutItem
from storage.record import item_rows
from storage.record.near_duplicates import signature_of
from storage.record.vector_rows import VectorRow, vector_row
from storage.record.write_rules import digest_of


@dataclass(frozen=True, slots=True)
class Prepared:
    """A write and its rows; `facts` and `document` are the item's, in their recorded form."""

    write: PutItem
    digest: bytes
    signature: bytes
    facts: bytes
    document: bytes
    vectors: tuple[VectorRow, ...]

    @property
    def uri(self) -> str:
        """The item's uri."""
        return self.write.item.uri


def prepared(write: PutItem) -> Prepared:
    """Return the rows of a write. Raises DocumentError or StorageError for bad values."""
    item = write.item
    return Prepared(
        write,
        digest_of(item),
        signature_of(item),
        item_rows.encode_facts(item),
        item_rows.encode_document(item),
        tuple(vector_row(entry) for entry in write.vectors),
    )
