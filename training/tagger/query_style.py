"""Makes test queries from test sentences by a fixed rule.

People type names with few words around them, in lower case and without signs. So, for sentence i of
a corpus and name j in it (both from 0):

1. `(i + j) % 3` words before the name and `(i + 2 * j) % 4` words after it are kept, as far as the
   sentence has them;
2. an edge that would cut another name is moved outwards until that name is whole;
3. words of only signs are dropped, the rest is put in lower case;
4. a result of more than eight words is left out, and so is a repeated one.

A sentence without a name gives its first `2 + i % 5` words under 3 and 4, so that names found if
there are none cost. Nothing is random: the same corpus gives the same queries.
"""

from collections.abc import Iterator, Sequence

from training.tagger.conll import Sentence, without_punctuation

MOST_WORDS = 8


def query_style(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Return the queries made of `sentences`, in order, each once."""
    made = (_typed(piece) for n, each in enumerate(sentences) for piece in _pieces(n, each))
    return list(dict.fromkeys(query for query in made if query.words))


def _pieces(number: int, sentence: Sentence) -> Iterator[Sentence]:
    """Yield the pieces of one sentence: one around each name, or its beginning if it has none."""
    names = [place for place, tag in enumerate(sentence.tags) if tag.startswith("B-")]
    if not names:
        yield _cut(sentence, 0, 2 + number % 5)
    for count, first in enumerate(names):
        end = _name_end(sentence, first)
        before, after = (number + count) % 3, (number + 2 * count) % 4
        yield _cut(sentence, first - before, end + after)


def _cut(sentence: Sentence, begin: int, end: int) -> Sentence:
    """Return words `begin` to `end`, widened to whole names."""
    begin, end = max(0, begin), min(end, len(sentence.words))
    while begin > 0 and sentence.tags[begin].startswith("I-"):
        begin -= 1
    end = _name_end(sentence, end - 1)
    return Sentence(sentence.words[begin:end], sentence.tags[begin:end])


def _name_end(sentence: Sentence, place: int) -> int:
    """Return the first place after `place` that is outside its name."""
    end = place + 1
    while end < len(sentence.words) and sentence.tags[end].startswith("I-"):
        end += 1
    return end


def _typed(piece: Sentence) -> Sentence:
    """Return the piece as people type it; empty if it is not a query."""
    bare = without_punctuation(piece)
    says_something = any(character.isalnum() for word in bare.words for character in word)
    if len(bare.words) > MOST_WORDS or not says_something:
        return Sentence((), ())
    return Sentence(tuple(word.lower() for word in bare.words), bare.tags)
