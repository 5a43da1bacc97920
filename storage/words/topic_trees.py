"""Expands filters by subject with a vocabulary: a topic stands for every topic below it.

Before retrieval, the codes that items may have for a filter's value are added to it. So a new
vocabulary needs no rebuild.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from core.query_tree import Bool, Keyword, Node
from core.retrieval import Retrieval
from storage.words.topics import Topics

Narrower = Callable[[tuple[str, ...]], tuple[str, ...]]
_FIELD = "subject"


class WrittenTopics:
    """The codes at and below each topic, in every spelling that the vocabulary knows. It is for an
    index that can't say which of these spellings its items have.
    """

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self._below: dict[str, tuple[str, ...]] = {}
        for code in topics.broader:
            for topic in topics.line(code):
                self._below[topic] = (*self._below.get(topic, ()), *topics.spellings(code))

    def retrieval(self, request: Retrieval) -> Retrieval:
        """Return the request with its query and its filters expanded."""
        return expanded_request(request, self._narrower)

    def expanded(self, node: Node) -> Node:
        """Return the tree with narrower topics added to every subject, if there are any."""
        return expanded(node, self._narrower)

    def _narrower(self, values: tuple[str, ...]) -> tuple[str, ...]:
        topics = (topic for value in values for topic in self.topics.meant(value))
        found = dict.fromkeys(code for topic in topics for code in self._below.get(topic, ()))
        return tuple(code for code in found if code not in values)


def expanded_request(request: Retrieval, narrower: Narrower) -> Retrieval:
    """Return the request with its query and its filters expanded."""
    query, filters = expanded(request.query, narrower), expanded(request.filters, narrower)
    if query is request.query and filters is request.filters:
        return request
    return replace(request, query=query, filters=filters)


def expanded(node: Node, narrower: Narrower) -> Node:
    """Return the tree with the codes of `narrower` added to every subject; the same tree if there
    are none.
    """
    match node:
        case Keyword(field, values) if field == _FIELD:
            more = narrower(values)
            return replace(node, values=(*values, *more)) if more else node
        case Bool(must, should, must_not):
            parts = tuple(
                tuple(expanded(child, narrower) for child in children)
                for children in (must, should, must_not)
            )
            same = all(
                new is old
                for fresh, children in zip(parts, (must, should, must_not), strict=True)
                for new, old in zip(fresh, children, strict=True)
            )
            return node if same else Bool(*parts)
        case _:
            return node
