"""The counts of an ingest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import DatelineError, DocumentError
from core.writes import REFUSED, Outcome, PutItem, Written
from indexing.formats.advice import advice_for
from indexing.sources import Accepted, Reading, Rejected

MAX_REJECTED = 1_000
MAX_NAMES = 1_000
OTHERS = "(others)"
WITHOUT_PRODUCT = "without product"  # nobody may see such an item
LONG = "too long to embed whole, its rest is found by words"
_PUT_OUTCOMES = (
    Outcome.CREATED,
    Outcome.SUPERSEDED,
    Outcome.UPDATED,
    Outcome.UNCHANGED,
    Outcome.STALE,
    Outcome.CONFLICT,
)


@dataclass(frozen=True, slots=True)
class IngestReport:
    """The counts of one ingest. `outcomes` counts acknowledged writes only.

    `read` counts documents, `bytes` what was read from disk, `ignored` by kind the skipped files of
    folders. `rejected` is the number of documents that can't be indexed, `rejections` the first
    1,000 of them, `refused` the writes that were stale or conflicting (at most 1,000 as well).
    `stopped_by` is the error that ended the ingest early, `interrupted` says that a person did.
    """

    read: int
    outcomes: Mapping[Outcome, int]
    rejected: int
    rejected_by_reason: Mapping[str, int]
    rejections: tuple[Rejected, ...]
    refused: tuple[Written, ...]
    unknown_members: Mapping[str, int]
    warnings: Mapping[str, int]
    passages: int
    truncated: int
    ignored: Mapping[str, int]
    bytes: int
    seconds: float
    embedding_seconds: float
    stopped_by: DatelineError | None = None
    interrupted: bool = False

    @property
    def acknowledged(self) -> int:
        """Writes that the record of truth has answered, refusals included."""
        return sum(self.outcomes.values())

    @property
    def ok(self) -> bool:
        """Whether all documents were read and none was rejected or refused."""
        ended_early = self.interrupted or self.stopped_by is not None
        return not (ended_early or self.rejected or self.refused)

    def as_dict(self) -> dict[str, Any]:
        """Return values for JSON: counts, rates and up to 1,000 rejected documents with their
        places.
        """
        stopped = self.stopped_by
        return {
            "read": self.read,
            "acknowledged": self.acknowledged,
            **{str(outcome): self.outcomes.get(outcome, 0) for outcome in _PUT_OUTCOMES},
            "rejected": self.rejected,
            "rejected_by_reason": dict(self.rejected_by_reason),
            "rejections": [_rejection(entry) for entry in self.rejections],
            "refused": [
                {"uri": entry.uri, "version": entry.version, "outcome": str(entry.outcome)}
                for entry in self.refused
            ],
            "unknown_members": dict(self.unknown_members),
            "warnings": dict(self.warnings),
            "passages": self.passages,
            "truncated": self.truncated,
            "ignored_files": sum(self.ignored.values()),
            "ignored_by_kind": dict(self.ignored),
            "ignored_advice": advice_for(self.ignored),
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "embedding_seconds": round(self.embedding_seconds, 3),
            "documents_per_second": _rate(self.read, self.seconds),
            "passages_per_second": _rate(self.passages, self.seconds),
            "interrupted": self.interrupted,
            "error": stopped and {"code": stopped.code, "message": str(stopped)},
        }


class Tally:
    """Counts while an ingest runs. Only acknowledged writes count as done."""

    def __init__(self) -> None:
        self.read = 0
        self.passages = 0
        self.truncated = 0
        self.embedding_seconds = 0.0
        self.stopped_by: DatelineError | None = None
        self.interrupted = False
        self._outcomes: Counter[Outcome] = Counter()
        self.rejected = 0
        self._reasons: Counter[str] = Counter()
        self._rejections: list[Rejected] = []
        self._refused: list[Written] = []
        self._unknown: Counter[str] = Counter()
        self._warnings: Counter[str] = Counter()

    def add_readings(self, readings: Iterable[Reading]) -> None:
        """Count documents that were read or rejected."""
        for reading in readings:
            self.read += 1
            if isinstance(reading, Accepted):
                _count(self._unknown, reading.unknown)
                _count(self._warnings, reading.warnings)
                continue
            self.rejected += 1
            _count(self._reasons, (reading.reason.partition(":")[0],))
            if len(self._rejections) < MAX_REJECTED:
                self._rejections.append(reading)

    def add_written(self, written: Iterable[Written], writes: Iterable[PutItem]) -> None:
        """Count the outcomes of `writes`, and their new passages."""
        for answer, write in zip(written, writes, strict=True):
            self._add_answer(answer)
            if not write.item.products:
                _count(self._warnings, (WITHOUT_PRODUCT,))
            for entry in write.vectors[:1]:
                self.passages += len(entry.passages)
                self.truncated += entry.truncated

    def _add_answer(self, answer: Written) -> None:
        outcome = Outcome.UNCHANGED if answer.known else answer.outcome
        self._outcomes[outcome] += 1
        _count(self._warnings, (f"{name}: {LONG}" for name in answer.words_only))
        if answer.held:
            _count(self._warnings, (f"{answer.held} by an earlier change of status",))
        if outcome in REFUSED and len(self._refused) < MAX_REJECTED:
            self._refused.append(answer)

    def stop_at(self, entry: Rejected) -> None:
        """Count the document that ends a strict ingest, and take it as the error."""
        self.add_readings((entry,))
        place = f"{entry.file}:{entry.line}"
        self.stopped_by = DocumentError(entry.reason, where=place, field=entry.field)

    def report(
        self, *, ignored: Mapping[str, int], done_bytes: int, seconds: float
    ) -> IngestReport:
        """Return the counts so far, frozen."""
        return IngestReport(
            read=self.read,
            outcomes=dict(self._outcomes),
            rejected=self.rejected,
            rejected_by_reason=dict(self._reasons.most_common()),
            rejections=tuple(self._rejections),
            refused=tuple(self._refused),
            unknown_members=dict(self._unknown.most_common()),
            warnings=dict(self._warnings.most_common()),
            passages=self.passages,
            truncated=self.truncated,
            ignored=dict(ignored),
            bytes=done_bytes,
            seconds=seconds,
            embedding_seconds=self.embedding_seconds,
            stopped_by=self.stopped_by,
            interrupted=self.interrupted,
        )


def _count(counter: Counter[str], names: Iterable[str]) -> None:
    """Count names, up to the number of different ones that a report can hold."""
    for name in names:
        known = name in counter or len(counter) < MAX_NAMES
        counter[name if known else OTHERS] += 1


def _rejection(entry: Rejected) -> dict[str, Any]:
    return {
        "file": entry.file,
        "line": entry.line,
        "field": entry.field,
        "reason": entry.reason,
    }


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 1) if seconds > 0 else 0.0
