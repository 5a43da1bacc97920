"""Facts of every recorded version as columns: filters become masks, facets become counts.

Row numbers are seqs. A version's facts never change. So columns only grow, and a mask for the first
n rows stays right for them. Only `visible` is replaced, as a whole, when a story changes. A `View`
is one consistent moment of all columns.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from core.query_fields import FACT, ID
from core.query_tree import Bool, DateRange, Everything, Keyword, Node, Recorded
from core.retrieval import FacetCount, Ids
from storage.embedded.columns.date_order import DateOrder
from storage.embedded.vectors.growing import GrowingArray
from storage.record.facts import (
    CODE_FIELDS,
    LINK_FIELDS,
    VALUE_FIELDS,
    FactRow,
    chain_number,
    values_of,
)
from storage.record.item_rows import to_micros

Mask = npt.NDArray[np.bool_]
Saved = Mapping[str, npt.NDArray[Any]]
Evaluate = Callable[[Node, int, int], Mask]
_MANY = 20_000  # rows
_IDS, _CHAINS = "ids", "chains"
_CACHED_BYTES = 64 * 2**20


class ValueColumn:
    """A field with any number of values per row: `codes` with `offsets` (CSR), and for each code
    its casefolded key and the first label. Half the memory of a process that searches is here, so
    numbers are of 32 bits: two billion versions, and two billion values in a column.
    """

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.labels: list[str] = []
        self._codes: GrowingArray[np.int32] = GrowingArray(np.int32)
        self._rows: GrowingArray[np.int32] = GrowingArray(np.int32)
        self._offsets: GrowingArray[np.int32] = GrowingArray(np.int32)
        self._offsets.append([0])

    def extend(self, rows: Sequence[int], values: Sequence[Sequence[str]]) -> None:
        """Add the values of `rows`, which ascend and are above all earlier rows."""
        codes: list[int] = []
        owners: list[int] = []
        offsets: list[int] = []
        start, following = self._codes.size, self._offsets.size - 1
        if not rows:
            return
        if not any(values):  # most columns have nothing of most rows
            self._offsets.append(np.full(rows[-1] + 1 - following, start))
            return
        for row, names in zip(rows, values, strict=True):
            if row != following:
                offsets.extend([start + len(codes)] * (row - following))
            if names:
                numbers = self._numbers(names)
                codes.extend(numbers)
                owners.extend([row] * len(numbers))
            offsets.append(start + len(codes))
            following = row + 1
        self._codes.append(codes)
        self._rows.append(owners)
        self._offsets.append(offsets)

    def _numbers(self, names: Sequence[str]) -> list[int]:
        if len(names) == 1:
            return [self._number(names[0])] if names[0] else []
        return sorted({self._number(name) for name in names if name})

    def _number(self, value: str) -> int:
        key = value.casefold()
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self.labels)
            self.labels.append(value)
        return number

    def saved(self) -> dict[str, npt.NDArray[Any]]:
        """Return the column as arrays, for `restore` and `labels_in`."""
        rows = self._rows.view()  # rows are written after their codes
        return {
            "codes": self._codes.view()[: len(rows)],
            "rows": rows,
            "labels": np.frombuffer(orjson.dumps(self.labels), np.uint8),
        }

    def restore(self, arrays: Saved, size: int) -> None:
        """Fill an empty column with what `saved` returned when it had `size` rows."""
        self._codes.append(arrays["codes"])
        self._rows.append(arrays["rows"])
        counts = np.bincount(self._rows.view(), minlength=size)
        self._offsets.append(np.cumsum(counts))
        self.labels += orjson.loads(arrays["labels"].tobytes())
        self.numbers |= {label.casefold(): code for code, label in enumerate(self.labels)}

    def mask(self, keys: Sequence[str], start: int, stop: int) -> Mask:
        """Return which rows have one of the casefolded `keys`: bool [stop - start]."""
        found = np.zeros(stop - start, np.bool_)
        wanted = [self.numbers[key] for key in keys if key in self.numbers]
        if wanted:
            offsets = self._offsets.view()
            low, high = offsets[start], offsets[min(stop, len(offsets) - 1)]
            codes, rows = self._codes.view()[low:high], self._rows.view()[low:high]
            hits = codes == wanted[0] if len(wanted) == 1 else np.isin(codes, wanted)
            found[rows[hits] - start] = True
        return found

    def pairs(self, start: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return the codes and rows of every value from number `start` on, as they were added."""
        rows = self._rows.view()[start:]  # rows are written after their codes
        return self._codes.view()[start : start + len(rows)], rows

    def holding(self, rows: Ids, values: Sequence[str]) -> Mask:
        """Return which of a few rows have one of the values, casefolded: bool [len(rows)]."""
        keys = (value.casefold() for value in values)
        wanted = [self.numbers[key] for key in keys if key in self.numbers]
        offsets = self._offsets.view()
        starts, ends = offsets[rows], offsets[rows + 1]
        codes = self._codes.view()
        held = np.zeros(len(rows), np.bool_)
        for step in range(int((ends - starts).max(initial=0))):
            here = starts + step < ends
            held[here] |= np.isin(codes[starts[here] + step], wanted)
        return held

    def first_of(self, rows: Ids) -> list[str]:
        """Return the first value of each of `rows`, casefolded; "" for a row without one."""
        offsets = self._offsets.view()
        starts, ends = offsets[rows], offsets[rows + 1]
        keys = list(self.numbers)  # in the order of their codes
        codes = self._codes.view()[np.minimum(starts, self._codes.size - 1)] if keys else starts
        held = (ends > starts).tolist()
        return [keys[code] if has else "" for code, has in zip(codes.tolist(), held, strict=True)]

    def codes_of(self, rows: Ids) -> npt.NDArray[np.int32]:
        """Return the codes of every value of `rows`, row after row."""
        offsets = self._offsets.view()
        starts, ends = offsets[rows], offsets[rows + 1]
        lengths = ends - starts
        shift = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
        codes: npt.NDArray[np.int32] = self._codes.view()[np.arange(len(shift)) + shift]
        return codes

    def _codes_of_many(self, rows: Ids) -> npt.NDArray[np.int32]:
        """Return the codes of every value of `rows`, in the order of the column: for a large part
        of all rows this takes a fifth of the time.
        """
        codes, owners = self.pairs(0)
        held = np.zeros(int(owners.max(initial=-1)) + 1, np.bool_)
        held[rows[rows < len(held)]] = True
        found: npt.NDArray[np.int32] = codes[held[owners]]
        return found

    def numbers_of(self, rows: Ids) -> list[list[int]]:
        """Return a list of codes for each of `rows`."""
        offsets = self._offsets.view()
        ends = np.cumsum(offsets[rows + 1] - offsets[rows]).tolist()
        codes = self.codes_of(rows).tolist()
        return [codes[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def totals(self) -> dict[str, int]:
        """Return each value with its number of rows."""
        counts = np.bincount(self._codes.view(), minlength=len(self.labels))
        return {label: int(counts[code]) for code, label in enumerate(list(self.labels))}

    def counts(self, rows: Ids, limit: int) -> tuple[FacetCount, ...]:
        """Return the most frequent values among `rows`, by count and then by label."""
        codes = self.codes_of(rows) if len(rows) < _MANY else self._codes_of_many(rows)
        if not len(codes):
            return ()
        counts = np.bincount(codes)
        kept = np.flatnonzero(counts)
        ranked = sorted(kept, key=lambda code: (-counts[code], self.labels[code]))
        return tuple(FacetCount(self.labels[code], int(counts[code])) for code in ranked[:limit])


def labels_in(arrays: Saved, rows: Sequence[int]) -> list[set[str]]:
    """Return the values of each of `rows` in what `ValueColumn.saved` returned, casefolded."""
    labels = orjson.loads(arrays["labels"].tobytes())
    owners, codes = arrays["rows"], arrays["codes"]
    ends = np.array([(row, row + 1) for row in rows], owners.dtype).reshape(-1, 2)
    bounds = np.searchsorted(owners, ends).tolist()
    return [{labels[code].casefold() for code in codes[low:high]} for low, high in bounds]


class IdColumn:
    """Identifiers, which are too many to keep as texts: a digest of each value, with its row."""

    def __init__(self) -> None:
        self._digests: GrowingArray[np.int64] = GrowingArray(np.int64)
        self._rows: GrowingArray[np.int32] = GrowingArray(np.int32)

    def extend(self, rows: Sequence[int], values: Sequence[Sequence[str]]) -> None:
        """Add the values of `rows`, which ascend and are above all earlier rows."""
        pairs = [
            (row, chain_number(value.casefold()))
            for row, named in zip(rows, values, strict=True)
            for value in named
        ]
        self._digests.append([digest for _, digest in pairs])
        self._rows.append([row for row, _ in pairs])

    def saved(self) -> dict[str, npt.NDArray[Any]]:
        """Return the column as arrays, for `restore`."""
        rows = self._rows.view()  # rows are written after their digests
        return {"digests": self._digests.view()[: len(rows)], "rows": rows}

    def restore(self, arrays: Saved) -> None:
        """Fill an empty column with what `saved` returned."""
        self._digests.append(arrays["digests"])
        self._rows.append(arrays["rows"])

    def mask(self, keys: Sequence[str], start: int, stop: int) -> Mask:
        """Return which rows have one of the casefolded `keys`: bool [stop - start]."""
        every = self._rows.view()  # rows are written after their digests
        low, high = np.searchsorted(every, np.array((start, stop), every.dtype))
        hits = np.isin(self._digests.view()[low:high], [chain_number(key) for key in keys])
        found = np.zeros(stop - start, np.bool_)
        found[every[low:high][hits] - start] = True
        return found


class Columns:
    """All columns and the visibility bitmap. One thread at a time writes (under the engine's
    refresh lock); any thread reads through `view()`.
    """

    def __init__(self) -> None:
        # Links come after names, so that a reader of a link finds its name.
        fields = (*VALUE_FIELDS, *CODE_FIELDS.values(), "urgency", FACT, *LINK_FIELDS.values())
        self.values = {name: ValueColumn() for name in fields}
        self.ids = IdColumn()
        self.ties: GrowingArray[np.int64] = GrowingArray(np.int64)  # a number for each uri
        self.dates = {
            "versioncreated": GrowingArray[np.int64](np.int64),
            "firstcreated": GrowingArray[np.int64](np.int64),
        }
        self.chains: GrowingArray[np.int64] = GrowingArray(np.int64)
        self.by_date = DateOrder(self.dates["versioncreated"], self.ties)
        self._moved: dict[int, int] = {}  # heads whose story is not the chain of their version
        # The bitmap and its number change together, so that readers get both at once.
        self._shown: tuple[Mask, int] = (np.zeros(0, np.bool_), 0)
        self._masks = MaskCache()

    @property
    def size(self) -> int:
        """One more than the largest seq."""
        return self.chains.size

    def append(self, rows: Sequence[FactRow]) -> None:
        """Add versions in the order of their seqs; skip those that are here already."""
        fresh = [row for row in rows if row.seq >= self.size]
        if not fresh:
            return
        seqs = [row.seq for row in fresh]
        values = [values_of(row) for row in fresh]
        for name, column in self.values.items():
            column.extend(seqs, [of_row[name] for of_row in values])
        self.ids.extend(seqs, [of_row[ID] for of_row in values])
        first, count = self.size, seqs[-1] + 1 - self.size
        for name, times in (
            ("versioncreated", [row.versioncreated for row in fresh]),
            ("firstcreated", [row.facts["firstcreated"] for row in fresh]),
        ):
            self.dates[name].append(_block(seqs, times, first, count))
        ties = [chain_number(row.uri) for row in fresh]
        self.ties.append(_block(seqs, ties, first, count))
        numbers = [
            tie if row.chain == row.uri else chain_number(row.chain)
            for tie, row in zip(ties, fresh, strict=True)
        ]
        self.chains.append(_block(seqs, numbers, first, count))

    def saved(self) -> dict[str, npt.NDArray[Any]]:
        """Return every version's facts as arrays, for `restore`; without what is visible. They are
        views, which stay as they are while the columns grow.
        """
        parts = {name: column.saved() for name, column in self.values.items()}
        parts[_IDS] = self.ids.saved()
        return {
            **{name: numbers.view() for name, numbers in self._numbers().items()},
            **{f"{name}.{key}": one for name, part in parts.items() for key, one in part.items()},
        }

    def restore(self, arrays: Saved) -> None:
        """Fill empty columns with what `saved` returned."""
        size = len(arrays[_CHAINS])
        for name, column in self.values.items():
            column.restore(_part(arrays, name), size)
        self.ids.restore(_part(arrays, _IDS))
        for name, numbers in self._numbers().items():  # the size of all columns comes last
            numbers.append(arrays[name])

    def would_hold(self, arrays: Saved, rows: Sequence[FactRow]) -> bool:
        """Return whether `restore` would give these versions the facts that they have."""
        if arrays.keys() != self.saved().keys():
            return False
        seqs = [row.seq for row in rows]
        chains = [chain_number(row.chain) for row in rows]
        values = [values_of(row) for row in rows]
        return arrays[_CHAINS][seqs].tolist() == chains and all(
            labels_in(_part(arrays, name), seqs)
            == [{value.casefold() for value in of_row[name] if value} for of_row in values]
            for name in self.values
        )

    def _numbers(self) -> dict[str, GrowingArray[np.int64]]:
        """Return the columns with one number for each version; that of `size` is the last."""
        return {**self.dates, "ties": self.ties, _CHAINS: self.chains}

    def moved(self) -> list[tuple[int, int]]:
        """Return the heads whose story is not the chain of their version, with its number."""
        return list(self._moved.items())

    def restore_visible(self, visible: Mask, moved: Iterable[tuple[int, int]]) -> None:
        """Set what is visible (bool by seq), and the stories of `moved` heads."""
        self.set_visible(np.flatnonzero(visible), [])
        self._moved.update(moved)

    def set_visible(self, shown: Sequence[int] | Ids, hidden: Sequence[int] | Ids) -> None:
        """Replace the visibility bitmap: apply `hidden`, then `shown`."""
        before, generation = self._shown
        fresh = np.zeros(self.size, np.bool_)
        fresh[: len(before)] = before
        fresh[np.asarray(hidden, np.int64)] = False
        fresh[np.asarray(shown, np.int64)] = True
        fresh.flags.writeable = False
        self._shown = (fresh, generation + 1)

    def set_story(self, head: int, chain: str) -> None:
        """Note the story of `head` if it is not the chain that this version names."""
        number = chain_number(chain)
        if int(self.chains.view()[head]) != number:
            self._moved[head] = number
        else:
            self._moved.pop(head, None)

    def stories(self, ids: Ids) -> Ids:
        """Return a number for each version; equal numbers are one story."""
        numbers: Ids = self.chains.view()[ids]
        for place, seq in enumerate(ids.tolist() if self._moved else ()):
            numbers[place] = self._moved.get(seq, numbers[place])
        return numbers

    def view(self) -> View:
        """Return the columns as they are now, for one search."""
        visible, generation = self._shown
        if len(visible) < self.size:  # the visibility of new rows is not known yet
            visible = np.concatenate([visible, np.zeros(self.size - len(visible), np.bool_)])
        return View(self, visible, generation)

    def facts_mask(self, node: Node, size: int) -> Mask:
        """Return the mask of a tree of facts, from the cache if possible: bool [size]."""
        return self._masks.get(node, size, self._evaluate)

    def satisfies(self, row: int, node: Node) -> bool:
        """Return whether one row matches a tree of facts."""
        return bool(self._evaluate(node, row, row + 1)[0])

    def _evaluate(self, node: Node, start: int, stop: int) -> Mask:
        match node:
            case Everything():
                return np.ones(stop - start, np.bool_)
            case Keyword(field, values):
                keys = [value.casefold() for value in values]
                column = self.ids if field == ID else self.values[field]
                mask = column.mask(keys, start, stop)
                if field in CODE_FIELDS:
                    mask |= self.values[CODE_FIELDS[field]].mask(keys, start, stop)
                return mask
            case Recorded(after, upto):
                seqs = np.arange(start, stop)
                return (seqs > (after or 0)) & (seqs <= (stop if upto is None else upto))
            case DateRange(field, since, until):
                return _between(self.dates[field].view()[start:stop], since, until)
            case Bool(must, should, must_not):
                parts = [self._evaluate(child, start, stop) for child in must]
                if should and not must:
                    either = [self._evaluate(child, start, stop) for child in should]
                    parts.append(np.logical_or.reduce(either))
                parts.extend(~self._evaluate(child, start, stop) for child in must_not)
                empty = np.ones(stop - start, np.bool_)
                return np.logical_and.reduce(parts) if parts else empty
            case _:
                raise TypeError(f"not a fact: {node}")


class MaskCache:
    """Masks by node, extended when rows are added; the least recently used are dropped first."""

    def __init__(self) -> None:
        self._masks: OrderedDict[Node, Mask] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, node: Node, size: int, evaluate: Evaluate) -> Mask:
        """Return the mask of `node`, bool [size]; compute only the rows that the cache lacks."""
        with self._lock:
            known = self._masks.get(node)
        have = 0 if known is None else min(len(known), size)
        if known is not None and have == size:
            return known[:size]
        fresh = evaluate(node, have, size)
        mask = fresh if known is None else np.concatenate([known[:have], fresh])
        with self._lock:
            replaced = self._masks.pop(node, None)
            self._masks[node] = mask
            self._bytes += len(mask) - (0 if replaced is None else len(replaced))
            while self._bytes > _CACHED_BYTES and len(self._masks) > 1:
                _, dropped = self._masks.popitem(last=False)
                self._bytes -= len(dropped)
        return mask


@dataclass(frozen=True, slots=True)
class View:
    """The columns at one moment: rows below `len(visible)`, and which of them are visible."""

    columns: Columns
    visible: Mask
    generation: int

    def allowed(self, products: frozenset[str], filters: Node) -> Mask:
        """Return the rows that are visible, in the caller's products and within the filters (facts
        only): bool [n].
        """
        size = len(self.visible)
        if not products:
            return np.zeros(size, np.bool_)
        held = Keyword("product", tuple(sorted(products)))
        mask = self.visible & self.columns.facts_mask(held, size)
        if not isinstance(filters, Everything):
            mask &= self.columns.facts_mask(filters, size)
        return mask


def _part(arrays: Saved, name: str) -> Saved:
    """Return the arrays of one column. Their keys are without the column's name."""
    start = f"{name}."
    return {
        key.removeprefix(start): array for key, array in arrays.items() if key.startswith(start)
    }


def _between(times: npt.NDArray[np.int64], since: datetime | None, until: datetime | None) -> Mask:
    mask = np.ones(len(times), np.bool_)
    if since is not None:
        mask &= times >= to_micros(since)
    if until is not None:
        mask &= times < to_micros(until)
    return mask


def _block(
    seqs: Sequence[int], values: Sequence[object], first: int, count: int
) -> npt.NDArray[np.int64]:
    """Return values for the rows from `first` on, int64 [count], 0 if no seq has a value."""
    block = np.zeros(count, np.int64)
    block[np.asarray(seqs) - first] = np.asarray(values, np.int64)
    return block
