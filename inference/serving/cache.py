"""A bounded memory of answers by text, with counts: people page, refine and repeat."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from core.observation import UNWATCHED, Event, ModelWatch

Value = TypeVar("Value")

LONGEST_CACHED = 1000  # characters; longer texts are not what people repeat


@dataclass(slots=True)
class AnswerCache(Generic[Value]):
    """The `size` most recently used answers by text. Texts of more than 1,000 characters are
    neither kept nor counted. Safe to use from several threads; values are shared, so callers
    must not change them.
    """

    size: int
    watch: ModelWatch = UNWATCHED
    hits: int = 0
    misses: int = 0
    evicted: int = 0
    _answers: OrderedDict[str, Value] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, text: str) -> Value | None:
        """Return the answer that is kept for `text`, or None; both are counted."""
        if len(text) > LONGEST_CACHED:
            return None
        with self._lock:
            answer = self._answers.get(text)
            if answer is None:
                self.misses += 1
            else:
                self.hits += 1
                self._answers.move_to_end(text)
        self.watch.counted(Event.CACHE_MISS if answer is None else Event.CACHE_HIT, 1)
        return answer

    def put(self, text: str, answer: Value) -> None:
        """Keep an answer; if there are too many, drop the one that was not used for longest."""
        if self.size <= 0 or len(text) > LONGEST_CACHED:
            return
        with self._lock:
            self._answers[text] = answer
            self._answers.move_to_end(text)
            dropped = len(self._answers) > self.size
            if dropped:
                self._answers.popitem(last=False)
                self.evicted += 1
        if dropped:
            self.watch.counted(Event.CACHE_EVICTED, 1)

    def __len__(self) -> int:
        with self._lock:
            return len(self._answers)
