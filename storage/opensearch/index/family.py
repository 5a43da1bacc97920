"""The indexes of one archive: an alias on the index in use, and for each index a note of how far it
has followed the record of truth.

    NAME            the alias that searches use
    NAME-000001     an index; the next one replaces it when the alias moves
    NAME-meta       holds a note for each index, under the index's name
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import StorageError
from storage.opensearch.index.body import (
    FORMAT,
    HOLDS_ITEM,
    IndexSettings,
    VectorSpace,
    format_of,
    index_body,
    mapping_with,
    spaces_of,
)
from storage.opensearch.index.vector_sums import Sum, added, decoded, encoded
from storage.opensearch.nodes.connection import Cluster, MissingError, Reply, StaleError

_REBUILD = "`dateline migration start` makes one beside it, to move over without a pause"
# With this flag the cluster refuses the alias for a second index. Nobody writes by this alias.
ONLY_ONE: Mapping[str, bool] = {"is_write_index": True}
_WAS_FASTER = ("resource_already_exists", "more than one write index")  # another process made it
_NOTHING: Mapping[str, VectorSpace] = {}


class MovedError(StorageError):
    """The alias points to another index than before: the archive has moved."""


@dataclass(frozen=True, slots=True)
class Note:
    """How far an index is. `applied` is the number of the last change that it has, `seen` the line
    of that change in the log, `record` the identity of the record, `sums` the sums of the vectors
    by field.
    """

    applied: int = 0
    seen: tuple[Any, ...] = ()
    record: str = ""
    sums: Mapping[str, Sum] = field(default_factory=dict)


class IndexFamily:
    """One index of the family `name` on a cluster: the one that the alias points to, or `concrete`
    if that is given. Each vector field must have its space in `spaces` or the one in `beside`. Once
    the index is open, `spaces` are the index's own.
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        settings: IndexSettings,
        spaces: Mapping[str, VectorSpace],
        beside: Mapping[str, VectorSpace] = _NOTHING,
        concrete: str = "",
    ) -> None:
        self.cluster = cluster
        self.name = name
        self.meta = f"{name}-meta"
        self.settings = settings
        self.spaces = dict(spaces)
        self.concrete = concrete
        self._accepted = (dict(spaces), dict(beside))
        self._is_fixed = bool(concrete)
        self._any_space = False
        self._read_only = False
        self._uuid = ""
        self._shards = 1
        self._mapping: Mapping[str, Any] = {}

    @property
    def writes_to(self) -> str:
        """The alias of this one index for writes. Writes must not follow the other alias when it
        moves, and must not make a lost index without its mapping.
        """
        return f"{self.concrete}-write"

    @property
    def uuid(self) -> str:
        """The cluster's identifier of this index; another index of that name has another one."""
        return self._uuid

    def open(self, *, any_space: bool = False, read_only: bool = False) -> None:
        """Find the index behind the alias, or make it. Raises StorageError if it has another format
        or, unless `any_space`, vectors of other encoders; MovedError if the alias points to another
        index than before. With `read_only` nothing on the cluster changes, and a missing index
        raises MissingError. Once set, either option stays set for later calls.
        """
        self._any_space = self._any_space or any_space
        self._read_only = self._read_only or read_only
        if not self._read_only:
            self.make_notes()
        try:
            self._find()
        except MissingError:
            if self._is_fixed or self._read_only:
                raise
            self._make(self.concrete or first_index(self.name))
            self._find()
        self._add_fields()
        self._check()
        self.spaces = spaces_of(self._mapping)

    def moved_to(self) -> str:
        """Return the index that the alias points to now, "" if it is this one or none."""
        served = "" if self._is_fixed else served_index(self.cluster, self.name)
        return "" if served == self.concrete else served

    def _find(self) -> None:
        found = self.cluster.ask("GET", f"/{self.concrete if self._is_fixed else self.name}")
        if self._is_fixed:
            self._take(self.concrete, found[self.concrete])
            return
        if len(found) != 1 or self.name in found:
            raise StorageError(
                f"{self.name} is no alias of one index: {', '.join(sorted(found))}",
                where=self.cluster.where,
                mend="choose another name in the setting opensearch_index",
            )
        ((concrete, body),) = found.items()
        if self.concrete not in ("", concrete):
            what = f"{self.name} has moved from {self.concrete} to {concrete}"
            raise MovedError(what, where=self.cluster.where, mend="start this process again")
        self._take(concrete, body)

    def _take(self, concrete: str, body: Mapping[str, Any]) -> None:
        self.concrete = concrete
        self._uuid = body["settings"]["index"]["uuid"]
        self._shards = int(body["settings"]["index"]["number_of_shards"])
        self._mapping = body["mappings"]
        if self.writes_to not in body["aliases"] and not self._read_only:
            add = {"add": {"index": concrete, "alias": self.writes_to}}
            self.cluster.ask("POST", "/_aliases", {"actions": [add]})

    def _make(self, concrete: str) -> None:
        make_index(self.cluster, concrete, self.settings, self.spaces, served_as=self.name)

    def make_notes(self) -> None:
        """Make the index that keeps the notes, unless it exists."""
        settings = {"number_of_shards": 1, "number_of_replicas": self.settings.replicas}
        body = {
            "settings": {"index": {**settings, "hidden": True}},
            "mappings": {"enabled": False},
        }
        try:
            self.cluster.ask("PUT", f"/{self.meta}", body, timeout_s=60)
        except StorageError as error:
            if "resource_already_exists" not in error.what:
                raise

    def _add_fields(self) -> None:
        """Add the vector fields that the index has no place for. OpenSearch takes new fields while
        an index is in use; items get their vectors by `dateline embed`.
        """
        held = spaces_of(self._mapping) if format_of(self._mapping) == FORMAT else {}
        new = [name for name in self._accepted[0] if name not in held]
        if not held or not new or self._any_space or self._read_only:
            return
        spaces = {**held, **{name: self._accepted[0][name] for name in new}}
        body = mapping_with(self.settings, spaces, new)
        self.cluster.ask("PUT", f"/{self.concrete}/_mapping", body, timeout_s=60)
        self._find()

    def _check(self) -> None:
        if format_of(self._mapping) != FORMAT:
            what = f"index {self.concrete} is not one of format {FORMAT}"
            raise StorageError(what, where=self.cluster.where, mend=_REBUILD)
        held = spaces_of(self._mapping)
        wanted, beside = self._accepted
        for name, space in wanted.items() if not self._any_space else ():
            if held.get(name) not in (space, beside.get(name, space)):
                raise StorageError(
                    f"index {self.concrete} does not hold the vectors of field {name} that the"
                    " settings' encoder makes",
                    where=self.cluster.where,
                    mend=_REBUILD,
                )

    def note(self) -> Note:
        """Return how far the index is; an empty note for an index that was made again."""
        return self._read()[0]

    def advance(
        self,
        since: int,
        applied: int,
        seen: Sequence[Any],
        record: str,
        sums: Mapping[str, Sum],
    ) -> Note:
        """Note that the index has the changes after `since` up to `applied`, add `sums` to its
        sums, and return the note. If another process has noted some of these changes, change
        nothing and return its note.
        """
        before, place = self._read()
        if before.applied != since:
            return before
        after = Note(applied, tuple(seen), record, added(before.sums, sums))
        try:
            self._write(after, place)
        except StaleError:
            return self._read()[0]
        return after

    def note_sums(self, sums: Mapping[str, Sum], applied: int) -> bool:
        """Replace the note's sums, if it is still at change `applied`; return whether it was."""
        before, place = self._read()
        with suppress(StaleError):
            if before.applied == applied:
                self._write(replace(before, sums=sums), place)
                return True
        return False

    def _read(self) -> tuple[Note, dict[str, int]]:
        """Return the note, and the parameters that let a write replace only this note."""
        try:
            found = self.cluster.ask("GET", f"/{self.meta}/_doc/{self.concrete}")
        except MissingError:
            return Note(), {}
        place = {"if_seq_no": found["_seq_no"], "if_primary_term": found["_primary_term"]}
        body = found["_source"]
        if body.get("uuid") != self._uuid:
            self._find()  # another process may have made the index again
        if body.get("uuid") != self._uuid:  # the note of a lost index of this name
            return Note(), place
        sums = {name: decoded(value) for name, value in body["fields"].items()}
        return Note(body["applied"], tuple(body["seen"]), body["record"], sums), place

    def _write(self, note: Note, place: Mapping[str, int]) -> None:
        body = {
            "applied": note.applied,
            "seen": list(note.seen),
            "record": note.record,
            "uuid": self._uuid,
            "spaces": {name: space.encoder for name, space in self.spaces.items()},
            "fields": {name: encoded(value) for name, value in note.sums.items()},
        }
        params: dict[str, Any] = dict(place) or {"op_type": "create"}
        self.cluster.ask("PUT", f"/{self.meta}/_doc/{self.concrete}", body, **params)

    def sources(self, seqs: Sequence[int]) -> dict[int, Mapping[str, Any]]:
        """Return the stored sources of the documents of `seqs`, even if not yet searchable."""
        body = {"ids": [str(seq) for seq in seqs]}
        reply = self.cluster.ask("POST", f"/{self.concrete}/_mget", body) if seqs else {"docs": ()}
        return {int(each["_id"]): each["_source"] for each in reply["docs"] if each.get("found")}

    def search_type(self) -> str:
        """Return the search type: with several shards, terms are counted over all of them."""
        return "dfs_query_then_fetch" if self._shards > 1 else "query_then_fetch"

    def merge(self) -> None:
        """Merge each shard into one segment; it may take long."""
        self.cluster.ask(
            "POST", f"/{self.concrete}/_forcemerge", timeout_s=3600, max_num_segments=1
        )

    def refresh(self) -> None:
        """Make everything that was written searchable."""
        self.cluster.ask("POST", f"/{self.concrete}/_refresh")

    def count(self) -> int:
        """Return the number of searchable documents that hold an item."""
        body = {"query": HOLDS_ITEM}
        found: Reply = self.cluster.ask("POST", f"/{self.concrete}/_count", body)
        return int(found["count"])


def served_index(cluster: Cluster, name: str) -> str:
    """Return the index that the alias `name` points to, "" if there is none."""
    try:
        found = cluster.ask("GET", f"/_alias/{name}", local="true")  # does not wait for the manager
    except MissingError:
        return ""
    return next(iter(found), "")


def first_index(name: str) -> str:
    """Return the name of the first index of a family."""
    return f"{name}-000001"


def make_index(
    cluster: Cluster,
    concrete: str,
    settings: IndexSettings,
    spaces: Mapping[str, VectorSpace],
    *,
    served_as: str = "",
) -> None:
    """Make an index, unless it exists, with its alias for writes and the alias `served_as`. Make
    none if `served_as` points to another index by now.
    """
    aliases: dict[str, Any] = {f"{concrete}-write": {}}
    if served_as:
        aliases[served_as] = ONLY_ONE
    body = {**index_body(settings, spaces), "aliases": aliases}
    try:
        cluster.ask("PUT", f"/{concrete}", body, timeout_s=60)
    except StorageError as error:
        if not any(sign in error.what for sign in _WAS_FASTER):
            raise
