"""Finds completions of typed text in the index: `core.ports.engine.Suggestions`.

Names and subjects are found by keywords that begin with one of their words (`name_fields.py`),
headlines by their words. Labels are counted over the newest _SAMPLED matching items of each shard,
so that one letter costs no more in a large archive. If more items match, a second request counts
the best labels over all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.callers import Caller
from core.retrieval import Suggestion, SuggestionKind
from storage.opensearch.query.name_fields import FIRST, WHOLE
from storage.opensearch.query.statistics import Term, total
from storage.opensearch.seen import (
    Ask,
    Clause,
    Now,
    all_of,
    beginning_with,
    count_of,
    literal,
    newest_first,
    seen_by,
    values_like,
)
from storage.record.facts import LINK
from storage.words.names import plain_words

SHORTEST_OF_HEADLINE = 2  # letters: one letter begins a tenth of all headlines
_LOOKED_AT = 100  # of the labels that match one pattern, the commonest
_SAMPLED = 10_000
_RECOUNTED = 20  # labels of each kind, or the wanted number if that is more
_LABELS = tuple(kind for kind in SuggestionKind if kind is not SuggestionKind.HEADLINE)
_PLACES = {kind: place for place, kind in enumerate(SuggestionKind)}
_LONGEST_TYPED = 400  # bytes; a pattern may have 1,000 signs, and Lucene's automata 1,000 states


@dataclass(frozen=True, slots=True)
class _Label:
    """A label with the number of items for each case variant, the seq of the newest item (0: not
    asked), and whether only some items were counted.
    """

    kind: SuggestionKind
    counts: Mapping[str, int]
    newest: int
    sampled: bool

    @property
    def text(self) -> str:
        """The commonest case variant."""
        return max(self.counts, key=lambda text: (self.counts[text], text))

    @property
    def count(self) -> int:
        """The number of items with any variant."""
        return sum(self.counts.values())


class IndexSuggestions:
    """`core.ports.engine.Suggestions` by one or two requests of a few searches. It keeps no
    state.
    """

    def __init__(self, ask: Ask, now: Now) -> None:
        self._ask = ask
        self._now = now

    def suggest(self, text: str, limit: int, caller: Caller) -> tuple[Suggestion, ...]:
        """Return the best completions of `text`."""
        words = plain_words(text[:_LONGEST_TYPED])
        if not words or limit < 1 or len(" ".join(words).encode()) > _LONGEST_TYPED:
            return ()
        seen = seen_by(caller, self._now())
        best: list[_Label] = []
        for labels in self._found(words, seen):
            mine = [label for label in labels if _has(plain_words(label.text), words)]
            mine.sort(key=lambda label: _rank(label, words))
            best += mine[: max(limit, _RECOUNTED)]
        best = self._recounted(best, seen)
        best.sort(key=lambda label: _rank(label, words))
        return tuple(Suggestion(one.text, one.kind, one.count) for one in best[:limit])

    def _found(self, words: Sequence[str], seen: Sequence[Clause]) -> list[list[_Label]]:
        """Return the labels of each kind."""
        asked: list[tuple[SuggestionKind, Clause]] = [
            (kind, search) for kind in _LABELS for search in _label_searches(kind, words, seen)
        ]
        if sum(map(len, words)) >= SHORTEST_OF_HEADLINE:
            headline = SuggestionKind.HEADLINE
            asked += [(headline, search) for search in _headline_searches(words, seen)]
        replies = self._ask([search for _, search in asked])
        by_kind: dict[SuggestionKind, list[dict[str, Any]]] = {}
        for (kind, _), reply in zip(asked, replies, strict=True):
            by_kind.setdefault(kind, []).append(reply)
        return [_labels_of(kind, found) for kind, found in by_kind.items()]

    def _recounted(self, labels: Sequence[_Label], seen: Sequence[Clause]) -> list[_Label]:
        """Return the labels; those that were counted over some items now count all."""
        terms = {
            (label.kind, text): _term(label.kind, text)
            for label in labels
            if label.sampled
            for text in label.counts
        }
        replies = self._ask([count_of(*term, seen) for term in terms.values()]) if terms else []
        counts = dict(zip(terms, map(total, replies), strict=True))
        return [
            replace(label, counts={text: counts[label.kind, text] for text in label.counts})
            if label.sampled
            else label
            for label in labels
        ]


def _label_searches(
    kind: SuggestionKind, words: Sequence[str], seen: Sequence[Clause]
) -> list[Clause]:
    """Return the searches for labels of one kind: those equal to the typed words, and those that
    begin with them or contain them.
    """
    field, last, whole = f"{kind}_begins", words[-1], _whole(words) + LINK
    others = [beginning_with(field, word + LINK) for word in words[:-1]]
    rest = f"[^{LINK}]*{LINK}.*"
    first = f"{literal(FIRST + words[0] + LINK)}.*" if others else literal(FIRST + last) + rest
    patterns = {"first": first, "held": literal(last) + rest}
    aggs = {name: values_like(field, pattern, _LOOKED_AT) for name, pattern in patterns.items()}
    same = {"whole": values_like(field, literal(whole) + ".*", _LOOKED_AT)}
    return [
        newest_first(all_of(*seen, beginning_with(field, whole)), same, _SAMPLED),
        newest_first(all_of(*seen, beginning_with(field, last), *others), aggs, _SAMPLED),
    ]


def _headline_searches(words: Sequence[str], seen: Sequence[Clause]) -> list[Clause]:
    """Return the searches for headlines equal to the typed words, and for those that contain them;
    of equally common ones the newest.
    """
    field = "headline_typed"
    whole = [{"term": {field: word}} for word in dict.fromkeys(words)]
    length = {"term": {"headline_length": len(whole)}}
    begun: Clause = {"prefix": {field: {"value": words[-1]}}}
    held = [{"term": {field: word}} for word in words[:-1]]
    labels = {
        "terms": {
            "field": "headline_label",
            "size": _LOOKED_AT,
            "order": [{"_count": "desc"}, {"latest": "desc"}],
            "execution_hint": "map",
        },
        "aggs": {"latest": {"max": {"field": "seq"}}},
    }
    return [
        newest_first(all_of(*seen, *clauses), {"labels": labels}, _SAMPLED)
        for clauses in ([*whole, length], [*held, begun])
    ]


def _labels_of(kind: SuggestionKind, replies: Sequence[dict[str, Any]]) -> list[_Label]:
    """Return the labels that the searches for one kind found; case variants are one label."""
    counts: dict[str, dict[str, int]] = {}
    newest: dict[str, int] = {}
    sampled: dict[str, bool] = {}
    for reply in replies:
        some = total(reply) > _SAMPLED
        found = reply["aggregations"]["newest"]
        for name in found.keys() - {"doc_count"}:
            for bucket in found[name]["buckets"]:
                text = bucket["key"].rpartition(LINK)[2]
                folded = text.casefold()
                known = counts.setdefault(folded, {})
                # A search that counted only some items counts less: the larger number is right.
                known[text] = max(known.get(text, 0), bucket["doc_count"])
                latest = int(bucket.get("latest", {}).get("value") or 0)
                newest[folded] = max(newest.get(folded, 0), latest)
                sampled[folded] = sampled.get(folded, False) or some
    return [_Label(kind, counts[key], newest[key], sampled[key]) for key in counts]


def _rank(label: _Label, words: Sequence[str]) -> tuple[bool, int, bool, int, int, str]:
    """Return the sort key of a label, the best first: labels equal to the typed words, then those
    of most items, then those that begin so; ties by kind, headlines newest first, other labels
    alphabetically.
    """
    own = plain_words(label.text)
    tie = "" if label.kind is SuggestionKind.HEADLINE else label.text.casefold()
    return (
        {*own} != {*words},
        -label.count,
        not _begins(own, words),
        _PLACES[label.kind],
        -label.newest,
        tie,
    )


def _term(kind: SuggestionKind, text: str) -> Term:
    """Return the keyword that an item with this label has."""
    if kind is SuggestionKind.HEADLINE:
        return "headline_label", text
    return f"{kind}_begins", LINK.join((_whole(plain_words(text)), text))


def _has(own: Sequence[str], words: Sequence[str]) -> bool:
    """Return whether a label has all of `words`, the last one as the beginning of a word."""
    return {*own}.issuperset(words[:-1]) and any(word.startswith(words[-1]) for word in own)


def _begins(own: Sequence[str], words: Sequence[str]) -> bool:
    """Return whether a label begins with the first of `words`, as a whole word if others follow."""
    return own[0] == words[0] if len(words) > 1 else own[0].startswith(words[0])


def _whole(words: Sequence[str]) -> str:
    return WHOLE + " ".join(sorted({*words}))
