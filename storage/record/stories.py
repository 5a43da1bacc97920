"""Reads candidates, their stories and single items from the record, as far as a caller may see
them, and says why an item is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from core.callers import Caller, folded
from core.items import Item, Passage, PubStatus
from core.retrieval import Exemplar, Ids
from core.standing import Head, Hiding, Sight, Standing, Story, VersionState
from storage.record.holds import FREE, held
from storage.record.item_rows import from_micros
from storage.record.port import RecordOfTruth, RecordReads
from storage.record.visibility import StoryView, VersionRow, story_view

_EARLIER = 10  # versions of an item that are matched with a query
_MOST_VERSIONS = 100  # of one story in an answer; the newest ones


def shown_item(reads: RecordReads, uri: str, caller: Caller, now: int) -> Item | None:
    """Return the item if it is the head of its story and visible to the caller at `now`
    (microseconds). An item that a write-through replaced is in `shown_chain` only.
    """
    shown = _story_of(reads, uri, caller, now, 1)
    return shown[0] if shown and shown[0].uri == uri else None


def shown_chain(reads: RecordReads, uri: str, caller: Caller, now: int) -> tuple[Item, ...]:
    """Return the versions of the item's story that the caller may see at `now` (microseconds),
    newest first; none if the item is not among them.
    """
    shown = _story_of(reads, uri, caller, now, _MOST_VERSIONS)
    return tuple(shown) if any(item.uri == uri for item in shown) else ()


def _story_of(reads: RecordReads, uri: str, caller: Caller, now: int, most: int) -> list[Item]:
    """Return the versions of the story of `uri` that the caller may see, newest first, at most
    `most`; none if the story's head is hidden.
    """
    chain = reads.chain_of(uri)
    if chain is None:
        return []
    seqs = _shown_stories(reads, [chain], caller, now)[chain][:most]
    items = reads.items_by_seq(seqs)
    return [items[seq] for seq in seqs if seq in items]


def _shown_stories(
    reads: RecordReads, chains: Sequence[str], caller: Caller, now: int
) -> dict[str, list[int]]:
    """Return the seqs of each story's shown versions that the caller may see; none if its head is
    hidden. This reads no texts, because a story may have any number of versions.
    """
    views = {chain: view for chain, (view, _) in reads.views_of(chains, now).items()}
    members = sorted({seq for view in views.values() for seq in view.members})
    allowed = _allowed_seqs(reads, members, caller)
    return {
        chain: [seq for seq in view.members if seq in allowed] if view.head in allowed else []
        for chain, view in views.items()
    }


def sights_of(
    reads: RecordReads, named: Mapping[str, Collection[str]], caller: Caller, now: int
) -> dict[str, Sight]:
    """Return what the caller sees of each named uri at `now` (microseconds), as
    `core.ports.engine.Library.sights` says.
    """
    versions = reads.versions_of_each(named)
    stories = reads.views_of([*{rows[0].chain for rows in versions.values()}], now)
    views = {uri: stories[rows[0].chain][0] for uri, rows in versions.items()}
    pairs = {uri: (_shown_of(rows, views[uri]), views[uri].head) for uri, rows in versions.items()}
    items = reads.items_by_seq([shown for shown, head in pairs.values() if shown == head != 0])
    others = {seq for shown, head in pairs.values() if shown for seq in (shown, head)}
    seen = _allowed_seqs(reads, sorted(others - items.keys()), caller)
    held = folded(caller.products)
    seen |= {seq for seq, item in items.items() if held & folded(item.products)}
    found = {
        uri: Sight(items.get(shown), True, shown) if {shown, head} <= seen else Sight()
        for uri, (shown, head) in pairs.items()
    }
    unknown = {uri: products for uri, products in named.items() if uri not in versions}
    return found | dict.fromkeys(_held_back(reads, unknown, now), Sight())


def heads_of(
    reads: RecordReads, uris: Collection[str], caller: Caller, now: int
) -> dict[str, Head]:
    """Return what the caller may see at `now` (microseconds) of each of `uris` that stands for its
    story. This reads no texts.
    """
    versions = reads.versions_of_each(uris)
    stories = reads.views_of([*{rows[0].chain for rows in versions.values()}], now)
    shown = [
        row
        for rows in versions.values()
        for row in rows
        if row.seq == stories[rows[0].chain][0].head
    ]
    facts = reads.facts_by_seq([row.seq for row in shown]) if shown else {}
    held = folded(caller.products)
    return {
        row.uri: _head(row, facts[row.seq].codes)
        for row in shown
        if row.seq in facts and held & facts[row.seq].products
    }


def _head(row: VersionRow, products: tuple[str, ...]) -> Head:
    embargoed = None if row.embargoed is None else from_micros(row.embargoed)
    expires = None if row.expires is None else from_micros(row.expires)
    return Head(row.uri, row.version, row.seq, products, embargoed, expires)


def recorded_versions(reads: RecordReads, named: Mapping[str, int]) -> dict[str, Item]:
    """Return the recorded version of each uri that `named` has, whatever its state."""
    rows = reads.versions_of_each(named)
    seqs = [row.seq for uri, each in rows.items() for row in each if row.version == named[uri]]
    return {item.uri: item for item in reads.items_by_seq(seqs).values()}


def earlier_versions(reads: RecordReads, named: Mapping[str, int]) -> list[Item]:
    """Return the newest recorded versions of each uri that are older than the one that `named` has,
    whatever their state.
    """
    rows = reads.versions_of_each(named)
    older = {
        uri: [row.seq for row in each if row.version < named[uri]] for uri, each in rows.items()
    }
    seqs = [seq for each in older.values() for seq in each[:_EARLIER]]
    return [*reads.items_by_seq(seqs).values()]


def _held_back(reads: RecordReads, named: Mapping[str, Collection[str]], now: int) -> Iterator[str]:
    """Yield the unrecorded uris of `named` that would be hidden if they were recorded with these
    products.
    """
    for uri, holds in reads.holds_of(named).items() if named else ():
        pubstatus, embargoed = held(holds, named[uri], FREE)
        if pubstatus != PubStatus.USABLE or (embargoed is not None and embargoed > now):
            yield uri


def _shown_of(versions: Sequence[VersionRow], view: StoryView) -> int:
    """Return the seq of the item's version that its story shows; 0 if it shows none."""
    return next((row.seq for row in versions if row.seq in view.members), 0)


def _allowed_seqs(reads: RecordReads, seqs: Sequence[int], caller: Caller) -> set[int]:
    """Return the `seqs` that have a product of the caller."""
    held = folded(caller.products)
    rows = reads.facts_by_seq(seqs) if seqs else {}
    return {seq for seq, row in rows.items() if held & row.products}


def chain_sizes(reads: RecordReads, ids: Ids, caller: Caller, now: int) -> list[int]:
    """Return how many versions of each story the caller may see at `now` (microseconds)."""
    several = reads.chains_with_several(ids.tolist())
    stories = _shown_stories(reads, [*{*several.values()}], caller, now)
    return [len(stories[several[seq]]) if seq in several else 1 for seq in ids.tolist()]


def passages_at(
    reads: RecordReads, ids: Ids, field: str, encoder: str, numbers: Sequence[int]
) -> tuple[Passage | None, ...]:
    """Return where each passage lies in its item, or None; `encoder` is the field's."""
    seqs = ids.tolist()
    spans = reads.passages_by_seq(field, encoder, seqs)
    return tuple(_at(spans.get(seq, ()), number) for seq, number in zip(seqs, numbers, strict=True))


def _at(spans: Sequence[Passage], number: int) -> Passage | None:
    return spans[number] if 0 <= number < len(spans) else None


def exemplar_of(
    record: RecordOfTruth, stories: Callable[[Ids], Ids], item: Item, spaces: Mapping[str, str]
) -> Exemplar | None:
    """Return the recorded version `item` with its story's number, from `stories`, and its passages
    and their vectors in `spaces` (encoders by field); None if it is gone.
    """
    seq = record.reads.seq_of(item.uri, item.version)
    if seq is None:
        return None
    story = int(stories(np.array([seq], np.int64))[0])
    vectors = {
        field: matrix
        for field, encoder in spaces.items()
        for _, matrix in record.reads.vectors_by_seq(field, encoder, [seq])
    }
    passages = {
        field: spans
        for field in vectors
        for spans in record.reads.passages_by_seq(field, spaces[field], [seq]).values()
    }
    return Exemplar(item, story, vectors, passages, spaces)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BY_STATUS = {PubStatus.CANCELED: Hiding.CANCELED, PubStatus.WITHHELD: Hiding.WITHHELD}


def standing_of(reads: RecordReads, uri: str, now: int) -> Standing:
    """Return how `uri` stands at `now` (microseconds), for any caller."""
    versions = reads.versions_of(uri)
    if not versions:
        return Standing(Hiding.UNKNOWN)
    chain = versions[0].chain
    view, _ = reads.views_of([chain], now)[chain]
    shown = next((row for row in versions if row.seq in view.members), None)
    if shown is None:
        return _hidden(versions, now)
    items = reads.items_by_seq([shown.seq, view.head])
    products = items[shown.seq].products if shown.seq in items else ()
    if shown.seq == view.head:
        return Standing(Hiding.NOTHING, shown.seq, products=products)
    head = items[view.head].uri if view.head in items else ""
    return Standing(Hiding.SUPERSEDED, head=head, products=products)


def whole_story(reads: RecordReads, uri: str, now: int) -> Story:
    """Return the story of `uri` at `now` (microseconds) in any state, its newest versions first."""
    chain = reads.chain_of(uri)
    if chain is None:
        return Story()
    rows = reads.versions_of_stories([chain])[chain]
    view = story_view(chain, rows, now)
    without = story_view(chain, [row for row in rows if row.uri != uri], now)
    ordered = sorted(rows, key=lambda row: (row.versioncreated, row.seq), reverse=True)
    uris = {row.seq: row.uri for row in rows}
    return Story(
        tuple(_state(row, view) for row in ordered[:_MOST_VERSIONS]),
        uris.get(view.head, ""),
        uris.get(without.head, ""),
    )


def _state(row: VersionRow, view: StoryView) -> VersionState:
    return VersionState(
        row.uri,
        row.version,
        _moment(row.versioncreated),
        PubStatus(row.pubstatus),
        None if row.embargoed is None else _moment(row.embargoed),
        None if row.expires is None else _moment(row.expires),
        row.seq in view.members,
    )


def _hidden(versions: Sequence[VersionRow], now: int) -> Standing:
    """Return what hides an item that has no visible version."""
    embargoes: list[int] = []
    for row in versions:
        if row.pubstatus != PubStatus.USABLE:
            return Standing(_BY_STATUS.get(PubStatus(row.pubstatus), Hiding.WITHHELD))
        if row.expires is not None and row.expires <= now:
            return Standing(Hiding.EXPIRED, moment=_moment(row.expires))
        if row.embargoed is not None and row.embargoed > now:
            embargoes.append(row.embargoed)
    return Standing(Hiding.EMBARGOED, moment=_moment(min(embargoes, default=now)))


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
