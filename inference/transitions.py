"""Which labels may follow which: the best sequence of labels that says something.

A token classifier labels each word by itself and may answer B-PER I-ORG, which is no name. Of the
sequences that are well-formed (I- only after B- or I- of its type), the one with the greatest
product of probabilities is found by Viterbi's algorithm (1967). Where the words' own best labels
are well-formed already, they are that sequence, and nothing is computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.items import FloatMatrix

_NEVER = np.float32(-1e6)


@dataclass(frozen=True, slots=True)
class Transitions:
    """Penalties, 0 or very low: `start` [labels] for a first label, `step` [labels, labels] from
    the one to the next.
    """

    start: npt.NDArray[np.float32]
    step: FloatMatrix

    @classmethod
    def of(cls, labels: Sequence[str]) -> "Transitions":
        """What BIO allows among `labels`. A type that has no B- label may start with I-."""
        count = len(labels)
        start = np.zeros(count, np.float32)
        step = np.zeros((count, count), np.float32)
        marked = {label[2:] for label in labels if label.startswith("B-")}
        for place, label in enumerate(labels):
            if label.startswith("I-") and label[2:] in marked:
                start[place] = _NEVER
                step[[before[2:] != label[2:] for before in labels], place] = _NEVER
        return cls(start, step)

    def best(self, logits: FloatMatrix) -> npt.NDArray[np.int64]:
        """The best well-formed classes [words] for logits [words, labels]."""
        classes: npt.NDArray[np.int64] = logits.argmax(axis=1)
        if not len(classes) or self._well_formed(classes):
            return classes
        scores = logits[0] + self.start
        backward = np.zeros(logits.shape, np.int64)
        for place in range(1, len(logits)):
            paths = scores[:, None] + self.step
            backward[place] = paths.argmax(axis=0)
            scores = paths.max(axis=0) + logits[place]
        classes[-1] = scores.argmax()
        for place in range(len(logits) - 1, 0, -1):
            classes[place - 1] = backward[place, classes[place]]
        return classes

    def _well_formed(self, classes: npt.NDArray[np.int64]) -> bool:
        steps = self.step[classes[:-1], classes[1:]]
        return not (self.start[classes[0]] or bool(steps.any()))
