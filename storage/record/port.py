"""The port of the record of truth: what an engine asks of it, whatever keeps it.

    ChangeLog       which stories were touched, in order
    VersionReads    recorded versions of items
    StoryReads      which version a story shows
    VectorReads     passage vectors
    SignatureReads  text signatures
    RecordReads     all of these
    RecordOfTruth   the writes, the reads, and an end

Two promises carry everything that follows a record. The numbers of changes rise in the order in
which writes become visible, so that whoever has read up to number n never misses one below it. And
seqs do, too: a version that becomes visible later has a higher seq, and no seq is given twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from core.items import FloatMatrix, Item, Passage, PassageVectors
from core.ports import Writer
from storage.record.facts import FactRow
from storage.record.holds import Hold
from storage.record.unsettled import Unsettled
from storage.record.visibility import StoryView, VersionRow

LogLine = tuple[int, str, int, str, int]  # number, chain, seq, kind, microseconds


VECTORS = "vectors"  # the kind of a change that brings vectors to a version


def vectors_kind(encoder: str, used: bool) -> str:
    """The kind of a change that brings vectors of `encoder`. Who follows the log for another one
    may pass over an encoder that is not in use.
    """
    return VECTORS if used else f"{VECTORS}:{encoder}"


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log: the story it touched and the version (0 where none)."""

    n: int
    chain: str
    seq: int
    kind: str

    @property
    def encoder(self) -> str:
        """The encoder whose vectors alone it brings; "" where it may be anything."""
        return self.kind.partition(":")[2]

    @property
    def brings_vectors(self) -> bool:
        """Whether a recorded version got vectors."""
        return self.kind.partition(":")[0] == VECTORS


class ChangeLog(Protocol):
    """The log of changes."""

    def changes_after(self, n: int, limit: int) -> list[Change]:
        """At most `limit` changes after number `n`, in order."""
        ...

    def line(self, n: int | None) -> LogLine | None:
        """Change number `n` (None: the newest) as it was recorded; None where there is none."""
        ...


class VersionReads(Protocol):
    """Recorded versions of items, by seq or by uri."""

    def facts_from(self, seq: int) -> Iterator[list[FactRow]]:
        """The facts of every version from `seq` on, in order, some thousands at a time."""
        ...

    def facts_by_seq(self, seqs: Sequence[int]) -> dict[int, FactRow]:
        """The facts of the recorded versions among `seqs`."""
        ...

    def items_by_seq(self, seqs: Sequence[int]) -> dict[int, Item]:
        """The recorded versions among `seqs`."""
        ...

    def versions_of(self, uri: str) -> list[VersionRow]:
        """Every version of an item, the newest first."""
        ...

    def versions_of_each(self, uris: Collection[str]) -> dict[str, list[VersionRow]]:
        """The same for those of `uris` that are recorded."""
        ...

    def holds_of(self, uris: Collection[str]) -> dict[str, list[Hold]]:
        """What holds each of `uris`, whether it is recorded or not; only those that something
        holds.
        """
        ...

    def seq_of(self, uri: str, version: int) -> int | None:
        """The seq of a recorded version."""
        ...

    def headlines(self, since: int, until: int) -> Iterator[tuple[int, str]]:
        """(seq, headline) of every version from seq `since` up to `until`, in order."""
        ...

    def all_items(self) -> Iterator[Item]:
        """Every recorded version, in the order of writing."""
        ...

    def count_items(self) -> int:
        """How many versions are recorded."""
        ...


class StoryReads(Protocol):
    """What stories show at a moment, by the rule of `storage.record.visibility`."""

    def chain_of(self, uri: str) -> str | None:
        """The chain that the item's newest version names; None where none is recorded."""
        ...

    def views_of(
        self, chains: Sequence[str], now: int
    ) -> dict[str, tuple[StoryView, tuple[int, ...]]]:
        """Each story's view at `now` (microseconds), and the seqs of all versions of its items. An
        item that has left for another chain is that chain's affair.
        """
        ...

    def stories_of(self, seqs: Sequence[int]) -> dict[int, str]:
        """The chain that each version's item belongs to: what the item's newest version names. None
        for a seq that is not recorded.
        """
        ...

    def all_views(self, now: int) -> Iterator[tuple[str, StoryView]]:
        """The view of every story."""
        ...

    def chains_with_several(self, seqs: Sequence[int]) -> dict[int, str]:
        """Seq to chain (the one that the item's newest version names), for those of `seqs` whose
        story may have more than one recorded version.
        """
        ...


class VectorReads(Protocol):
    """Passage vectors of recorded versions."""

    def vectors_by_seq(
        self, field: str, encoder: str, seqs: Sequence[int]
    ) -> Iterator[tuple[int, FloatMatrix]]:
        """(seq, float32 [n, d]) for those of `seqs` that were embedded for this field by this
        encoder; [0, 0] for an item without passages.
        """
        ...

    def passages_by_seq(
        self, field: str, encoder: str, seqs: Sequence[int]
    ) -> dict[int, tuple[Passage, ...]]:
        """The passages that this encoder was given of each of `seqs` under a vector field."""
        ...

    def items_lacking(self, field: str, encoder: str, after: int, limit: int) -> dict[int, Item]:
        """At most `limit` recorded versions by seq, above `after` and in order, that were not
        embedded for this field by this encoder.
        """
        ...

    def count_lacking(self, field: str, encoder: str) -> int:
        """How many recorded versions were not embedded for this field by this encoder."""
        ...


class SignatureReads(Protocol):
    """Text signatures of recorded versions."""

    def signatures_by_seq(self, scheme: int, seqs: Sequence[int]) -> dict[int, bytes]:
        """The recorded signatures of a scheme; empty bytes for an item that has none by nature."""
        ...

    def without_signature(self, scheme: int, after: int, limit: int) -> list[int]:
        """At most `limit` seqs above `after`, in order, of versions that have none of it."""
        ...


class RecordReads(ChangeLog, VersionReads, StoryReads, VectorReads, SignatureReads, Protocol):
    """Everything that is read of a record. Each method is one look at it, with the batch as the
    unit, so that a record on another host is asked once.
    """


class RecordOfTruth(Writer, Protocol):
    """Every version of every item, its state and its vectors. Writes are durable when they return,
    and seen by every process at its next look. None holds the record for longer than some 50 ms:
    many are several transactions, and changes of state go before the next of these. Thread-safe.
    """

    @property
    def spaces(self) -> Mapping[str, str]:
        """Each vector field in use with its encoder's digest: vectors of another count as
        missing.
        """
        ...

    @property
    def beside(self) -> Mapping[str, str]:
        """Fields with the encoder whose vectors are kept beside those in use, while an archive
        moves from the one to the other. Any further encoder's make room for those of these two.
        """
        ...

    @property
    def where(self) -> str:
        """Where the record lies, for people; never with a password."""
        ...

    @property
    def identity(self) -> str:
        """Tells this record from any other that projections could have been made from; "" for the
        one that lies beside its projections.
        """
        ...

    @property
    def reads(self) -> RecordReads:
        """Reads, each of the newest acknowledged state."""
        ...

    @property
    def unsettled(self) -> Unsettled:
        """Changes of state that are in force, in every read too, and not in the log yet."""
        ...

    def settle(self) -> None:
        """Records what is unsettled, where that can be done again; called by and by. Raises
        nothing: what can't be recorded stays in force.
        """
        ...

    def moment(self) -> AbstractContextManager[RecordReads]:
        """Reads of one single state of the record."""
        ...

    def last_change(self) -> int:
        """The number of the newest acknowledged change, 0 in an empty record."""
        ...

    def add_vectors(self, vectors: Mapping[int, PassageVectors]) -> int:
        """See `core.ports.VectorKeeper`, by seq. In the log it is a change of the kind
        `vectors`, for an encoder that is not in use one of the kind `vectors_kind` gives.
        """
        ...

    def forget_vectors(
        self, field: str, keep: Collection[str], after: int, limit: int
    ) -> Sequence[int]:
        """Deletes the vectors of a field by other encoders than `keep`, of the first `limit`
        versions that have some and whose seq is above `after`, in one transaction; their seqs, in
        order. Whoever goes through all of them begins with 0 and goes on after the last one.
        """
        ...

    def add_signatures(self, signatures: Mapping[int, bytes]) -> None:
        """Records text signatures of versions, by seq; what is gone by now is passed over."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """What is to be known of it, ready for JSON: `durable` says whether nothing acknowledged is
        lost with the power, `schema` which tables it has.
        """
        ...

    def follow(self, changed: Callable[[], None]) -> None:
        """Calls `changed`, from any thread, when another process has written: as a hint to look
        sooner, not as a promise.
        """
        ...

    def close(self) -> None:
        """Ends every connection; the record can be opened again."""
        ...
