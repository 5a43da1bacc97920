"""How many texts go through a model at once: batches are cut by tokens, not by count.

A batch is padded to its longest text, so its cost is longest x rows. Taking the longest texts first
keeps the padding small. Answers are put back by index, so their order is that of the texts.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.serving.even_batches import EvenCut

Rows = npt.NDArray[np.int64]

# Tokens of padded input that one batch may have. More, and intermediate results leave the
# processor's cache. Measured with MiniLM-L6 in int8 on two cores, thousand tokens a second and
# thread: 9.5 at 512, 8.8 at 1024, 7.7 at 2048, 6.6 at 8192.
TOKEN_BUDGET = 512

# The least work that a free lane is woken for: a few milliseconds, where waking a thread takes less
# than a tenth of one. Half a batch takes half of its time: 10 x 48 tokens 40 ms, 5 x 48 20.
LEAST_SHARED = 64

# Batches for each free lane up to which a request is cut evenly. With more, one batch too many at
# the end is a small part of the whole, and to compare cuts takes time for each batch: for 20,000
# rows longer than a query to its answer.
MOST_EVEN = 16

# of text that is tokenised at once: a tokenizer holds about a hundred bytes for each token
CHARACTERS_AT_ONCE = 2**21


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How rows share a batch, and how much may wait.

    - `tokens`: of padded input in one batch; a longer row goes alone
    - `lanes`: batches that run at the same time
    - `wait_ms`: how long a batch that is not full waits for more rows; 0 starts it at once
    - `waiting_tokens`: tokens that may wait in all; a caller that would exceed it is refused at
      once
    - `alike`: rows share a batch if the shorter has at least this share of the longer's tokens; 1
      keeps lengths apart, so that nothing is padded
    """

    tokens: int = TOKEN_BUDGET
    lanes: int = 1
    wait_ms: float = 0.0
    waiting_tokens: int = 256 * 1024
    alike: float = 0.5

    def cut(self, lengths: Sequence[int], free: int, *, headed: bool = False) -> tuple[int, ...]:
        """Return the number of rows of each batch where a caller has `free` lanes to itself.
        `lengths` are the rows' tokens, longest first. The lanes end together, and each has at least
        64 tokens. With `headed`, the first row is a batch of its own.

        Empty where one lane takes all, and where each lane has so many batches that their end
        hardly matters: then a batch takes what fits.
        """
        lanes = self.shared(lengths, free)
        if lanes < 2 or self.needed(lengths) > MOST_EVEN * lanes:
            return ()
        head, rest = lengths[: int(headed)], lengths[int(headed) :]
        longest = max(1, rest[0])
        equal = math.ceil(sum(rest) / max(self.needed(rest), lanes))
        most = min(self.tokens, math.ceil(equal / longest) * longest)
        cut = EvenCut(self.tokens, lanes, self.alike, sum(head))
        return (*[1] * len(head), *cut.sizes(rest, most))

    def shared(self, lengths: Sequence[int], free: int) -> int:
        """Return how many of `free` lanes are worth using for rows of these lengths."""
        worth = max(self.needed(lengths), sum(lengths) // LEAST_SHARED)
        return max(1, min(free, worth, len(lengths)))

    def needed(self, lengths: Sequence[int]) -> int:
        """Return the least number of batches for rows of these lengths."""
        return max(1, math.ceil(sum(lengths) / self.tokens))

    def fit(self, shortest: int, longest: int, rows: int) -> bool:
        """Return whether `rows` rows of lengths between these fit in a batch; a single row always
        does.
        """
        return rows == 1 or (rows * longest <= self.tokens and shortest >= self.alike * longest)


def longest_first(lengths: Sequence[int]) -> list[int]:
    """Return indexes into `lengths`, longest first, equal ones in order. A caller with several
    batches waits for the largest first, and not last.
    """
    if len(lengths) < 2:
        return list(range(len(lengths)))
    order: list[int] = np.argsort(-np.asarray(lengths, np.int64), kind="stable").tolist()
    return order


def cut_texts(
    texts: Sequence[str], *, most: int, characters: int = CHARACTERS_AT_ONCE
) -> Iterator[slice]:
    """Yield slices of `texts` to tokenise and hold at once, in order and without gaps. Each has at
    most `most` texts and about `characters`; a longer text is alone. So memory does not grow with
    the input.
    """
    start = held = 0
    for end, text in enumerate(texts):
        if end > start and (end - start >= most or held + len(text) > characters):
            yield slice(start, end)
            start, held = end, 0
        held += len(text)
    if start < len(texts):
        yield slice(start, len(texts))


def cut_batches(lengths: Sequence[int], *, budget: int = TOKEN_BUDGET) -> list[Rows]:
    """Return indexes into `lengths`, grouped so that longest x rows stays within `budget`.

    Each index is in exactly one group, [rows]; a text longer than the budget is alone.
    """
    order = np.array(longest_first(lengths), np.int64)
    groups: list[Rows] = []
    start = 0
    while start < len(order):
        longest = max(1, lengths[order[start]])
        end = start + max(1, budget // longest)
        groups.append(order[start:end])
        start = end
    return groups
