"""What the words of a query are to BM25, whichever engine reckons it."""

from __future__ import annotations

from core.query_tree import Bool, Node, Word
from core.retrieval import LexicalWeights
from storage.stop_words import is_stop_word

K1 = 1.2  # tantivy's and Lucene's
PLAIN = LexicalWeights()


def without_stop_words(node: Node, languages: tuple[str, ...]) -> Node:
    """Leaves common words out of a list of optional words, unless it holds nothing else."""
    if not isinstance(node, Bool) or not node.should:
        return node
    kept = tuple(
        child
        for child in node.should
        if not (isinstance(child, Word) and not child.field and is_stop_word(child.text, languages))
    )
    return Bool(node.must, kept or node.should, node.must_not)
