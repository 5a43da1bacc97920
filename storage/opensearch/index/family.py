"""The indexes of one archive: an alias over the one in use, and for each a note of how far it has
followed the record of truth.

    NAME            the alias that everybody reads and writes
    NAME-000001     an index; the next one takes its place by a move of the alias
    NAME-meta       a document for each index, by its name
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
    spaces_of,
)
from storage.opensearch.index.vector_sums import Sum, added, decoded, encoded
from storage.opensearch.nodes.connection import Cluster, MissingError, Reply, StaleError

_REBUILD = "`dateline migration start` makes one beside it, to move over without a pause"
# Nobody writes by the alias that is served: the cluster refuses a second index that has it so.
ONLY_ONE: Mapping[str, bool] = {"is_write_index": True}
_WAS_FASTER = ("resource_already_exists", "more than one write index")  # another process
_NOTHING: Mapping[str, VectorSpace] = {}


class MovedError(StorageError):
    """The alias is on another index than it was: the archive has moved."""


@dataclass(frozen=True, slots=True)
class Note:
    """How far an index is. `applied` is the number of the last change that it has, `seen` that line
    of the log, `record` whose log it is, `sums` those of the vectors by field.
    """

    applied: int = 0
    seen: tuple[Any, ...] = ()
    record: str = ""
    sums: Mapping[str, Sum] = field(default_factory=dict)


class IndexFamily:
    """The indexes called `name` on a cluster, and of those the one behind the alias, or `concrete`
    where that is named. Its vectors are to be of `spaces`, or field by field of those `beside`;
    once it is open, `spaces` are its own.
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
        """An alias of this one index, for writes: they must not follow the other alias, nor make an
        index that is lost, without its mapping.
        """
        return f"{self.concrete}-write"

    @property
    def uuid(self) -> str:
        """What the cluster tells this index by from another one of the same name."""
        return self._uuid

    def open(self, *, any_space: bool = False, read_only: bool = False) -> None:
        """Finds the index behind the alias, or makes it. Raises StorageError where that is of
        another format or, unless `any_space`, holds vectors of other encoders; MovedError where the
        alias is on another index than it was. With `read_only` nothing on the cluster is changed,
        and MissingError is raised where there is none. What was opened once with either is so for
        good.
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
        self._check()
        self.spaces = spaces_of(self._mapping)

    def moved_to(self) -> str:
        """The index that the alias is on by now, "" where it is still this one or is nowhere."""
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
        """Makes the index that keeps notes of the others, unless it is there."""
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
        """How far the index is; nothing is known of one that was made anew."""
        return self._read()[0]

    def advance(
        self,
        since: int,
        applied: int,
        seen: Sequence[Any],
        record: str,
        sums: Mapping[str, Sum],
    ) -> Note:
        """Notes that the changes beyond `since`, up to `applied`, are in the index, and adds what
        they add to the sums. Where another process has noted any of them, nothing is changed: what
        is noted by then is given back.
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
        """Notes `sums` in place of those of change `applied`, unless a later one is noted by then.
        Gives whether it has.
        """
        before, place = self._read()
        with suppress(StaleError):
            if before.applied == applied:
                self._write(replace(before, sums=sums), place)
                return True
        return False

    def _read(self) -> tuple[Note, dict[str, int]]:
        """The note, and what a write in its place needs to be sure of that."""
        try:
            found = self.cluster.ask("GET", f"/{self.meta}/_doc/{self.concrete}")
        except MissingError:
            return Note(), {}
        place = {"if_seq_no": found["_seq_no"], "if_primary_term": found["_primary_term"]}
        body = found["_source"]
        if body.get("uuid") != self._uuid:
            self._find()  # another process may have made the index anew
        if body.get("uuid") != self._uuid:  # of an index by this name that is lost
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
        """What is kept of the documents among `seqs`, whether searches see them yet or not."""
        body = {"ids": [str(seq) for seq in seqs]}
        reply = self.cluster.ask("POST", f"/{self.concrete}/_mget", body) if seqs else {"docs": ()}
        return {int(each["_id"]): each["_source"] for each in reply["docs"] if each.get("found")}

    def search_type(self) -> str:
        """How searches count terms: over all parts of the index together, where it has several."""
        return "dfs_query_then_fetch" if self._shards > 1 else "query_then_fetch"

    def merge(self) -> None:
        """Makes one segment of each part of the index; it may take long."""
        self.cluster.ask(
            "POST", f"/{self.concrete}/_forcemerge", timeout_s=3600, max_num_segments=1
        )

    def refresh(self) -> None:
        """Makes everything that was written searchable."""
        self.cluster.ask("POST", f"/{self.concrete}/_refresh")

    def count(self) -> int:
        """How many documents with items searches see."""
        body = {"query": HOLDS_ITEM}
        found: Reply = self.cluster.ask("POST", f"/{self.concrete}/_count", body)
        return int(found["count"])


def served_index(cluster: Cluster, name: str) -> str:
    """The index that the alias `name` is on, "" where there is none."""
    try:
        found = cluster.ask("GET", f"/_alias/{name}", local="true")  # no wait for the manager
    except MissingError:
        return ""
    return next(iter(found), "")


def first_index(name: str) -> str:
    """What the first index of a family is called."""
    return f"{name}-000001"


def make_index(
    cluster: Cluster,
    concrete: str,
    settings: IndexSettings,
    spaces: Mapping[str, VectorSpace],
    *,
    served_as: str = "",
) -> None:
    """Makes an index, unless it is there, with its alias for writes and the alias `served_as`; none
    where that is on another index by then.
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
