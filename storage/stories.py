"""What the record tells of candidates and their stories, as a caller may see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from core.callers import Caller
from core.items import Item, Passage
from core.retrieval import Ids
from storage.record_port import RecordReads
from storage.visibility import StoryView


def story_of(reads: RecordReads, uri: str, caller: Caller, now: int) -> list[Item]:
    """The versions of the story that `uri` belongs to, newest first; `now` in microseconds."""
    chain = reads.chain_of(uri)
    return [] if chain is None else shown_stories(reads, [chain], caller, now)[chain]


def shown_stories(
    reads: RecordReads, chains: Sequence[str], caller: Caller, now: int
) -> dict[str, list[Item]]:
    """Of each story the shown versions that the caller may see; none where its head is hidden."""
    views = {chain: view for chain, (view, _) in reads.views_of(chains, now).items()}
    items = reads.items_by_seq([seq for view in views.values() for seq in view.members])
    held = _codes(caller.products)
    return {chain: _allowed(view, items, held) for chain, view in views.items()}


def chain_sizes(reads: RecordReads, ids: Ids, caller: Caller, now: int) -> list[int]:
    """See `core.ports.Catalogue`; `now` in microseconds."""
    several = reads.chains_with_several(ids.tolist())
    stories = shown_stories(reads, [*{*several.values()}], caller, now)
    return [len(stories[several[seq]]) if seq in several else 1 for seq in ids.tolist()]


def passages_at(
    reads: RecordReads, ids: Ids, field: str, encoder: str, numbers: Sequence[int]
) -> tuple[Passage | None, ...]:
    """See `core.ports.Catalogue.passages`; `encoder` is the field's."""
    seqs = ids.tolist()
    spans = reads.passages_by_seq(field, encoder, seqs)
    return tuple(_at(spans.get(seq, ()), number) for seq, number in zip(seqs, numbers, strict=True))


def _at(spans: Sequence[Passage], number: int) -> Passage | None:
    return spans[number] if 0 <= number < len(spans) else None


def _allowed(view: StoryView, items: Mapping[int, Item], held: frozenset[str]) -> list[Item]:
    members = [items[seq] for seq in view.members if seq in items]
    allowed = [item for item in members if held & _codes(item.products)]
    return allowed if view.head in items and items[view.head] in allowed else []


def _codes(products: Iterable[str]) -> frozenset[str]:
    """Product codes as the columns compare them."""
    return frozenset(code.casefold() for code in products if code)
