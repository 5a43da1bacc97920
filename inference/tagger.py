"""Names in texts, by a token classifier in any runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite
from time import perf_counter

import numpy as np

from core.entities import Entity, EntityLabel
from core.errors import ModelError
from core.observation import UNWATCHED, Event, ModelWatch, Stage, Watching
from inference.loaded import LoadedModel
from inference.models.store import ModelFolder
from inference.runtime import Runtime
from inference.serving.batch_queue import BatchQueue
from inference.serving.batches import BatchLimits, cut_texts
from inference.serving.cache import AnswerCache
from inference.texts.feeding import Feeding
from inference.texts.labels import Transitions, bio_labels
from inference.texts.tokens import TextTokens
from inference.texts.words import Window, WordTokens, places, split_words, windows

LOGITS = "logits"
LONGEST_TEXT = 20_000  # characters; names after that are not looked for
CACHE_SIZE = 4096  # texts
GROUP = 256  # texts whose tokens are held at once; the rest wait as text, so memory stays constant
Names = tuple[Entity, ...]
_TYPES = {label.value: label for label in EntityLabel}  # calling the enum takes microseconds


@dataclass(frozen=True, slots=True)
class WordTags:
    """The labels of a text's words, and how sure each is, 0 to 1."""

    labels: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class WindowTags:
    """The classes of a window's words, and the probability of each."""

    classes: list[int]
    scores: list[float]


@dataclass(frozen=True, slots=True)
class _Classes:
    """The queue's work: windows [n] to their words' classes, or the window's error."""

    feeding: Feeding
    transitions: Transitions

    def __call__(self, batch: Sequence[Window]) -> list[WindowTags | Exception]:
        (output,), _ = self.feeding.run([window.tokens for window in batch], (LOGITS,))
        if output.ndim != 3 or output.shape[2] != len(self.transitions.start):
            raise self.feeding.failed(f"logits have shape {output.shape[1:]}")
        logits: list[list[list[float]]] = output.astype(np.float32, copy=False).tolist()
        return [self._tags(window, rows) for window, rows in zip(batch, logits, strict=True)]

    # A word has only a few numbers. For a query, plain Python takes a third less time than NumPy's
    # calls, which are out of the processor's caches after each run of a graph.

    def _tags(self, window: Window, logits: Sequence[list[float]]) -> WindowTags | Exception:
        """Return the window's words from its tokens' logits [tokens][labels]."""
        rows = [logits[head] for head in window.heads]
        if not isfinite(sum(map(sum, rows))):  # rows of other tokens may have any numbers
            return self.feeding.failed("a text's logits hold no numbers (NaN)")
        greatest = list(map(max, rows))
        classes = [row.index(most) for row, most in zip(rows, greatest, strict=True)]
        if not self.transitions.well_formed(classes):
            classes = self.transitions.best(rows)
        scores = [
            exp(row[label] - most) / sum([exp(each - most) for each in row])
            for row, label, most in zip(rows, classes, greatest, strict=True)
        ]
        return WindowTags(classes, scores)


@dataclass(frozen=True, slots=True)
class NameTagger(LoadedModel):
    """The Tagger port over one loaded model. Safe to use from several threads.

    A word has the label of its first token. Of all well-formed sequences of labels the likeliest is
    taken (`Transitions`). A name is a run of words of one type.
    """

    tokens: TextTokens
    words: WordTokens
    labels: tuple[str, ...]
    cache: AnswerCache[Names]
    queue: BatchQueue[Window, WindowTags]
    _watch: ModelWatch

    @classmethod
    def over(
        cls,
        folder: ModelFolder,
        runtime: Runtime,
        *,
        threads: int = 1,
        cache_size: int = CACHE_SIZE,
        limits: BatchLimits | None = None,
        watching: Watching = UNWATCHED,
    ) -> NameTagger:
        """Return a tagger over a loaded graph; `threads` batches run at once.

        Raises ModelError for a model that is not a tagger, has none of our types of names, or does
        not put a text between two tokens.
        """
        manifest = folder.manifest
        labels = bio_labels(manifest.labels)
        if manifest.task != "tag" or not set(labels) - {"O"}:
            what = f"{manifest.name} does not tag {', '.join(EntityLabel)}"
            raise ModelError(what, where=str(folder.path), mend="name a tagger in the settings")
        tokens = TextTokens.open(folder)
        work = _Classes(Feeding.of(folder, runtime, tokens, (LOGITS,)), Transitions.of(labels))
        watch = watching.of(manifest.name, "tag")
        queue = BatchQueue(work, limits or BatchLimits(lanes=max(1, threads)), watch=watch)
        cache: AnswerCache[Names] = AnswerCache(cache_size, watch)
        words = WordTokens.over(tokens.tokenizer)
        return cls(folder, runtime, (queue,), tokens, words, labels, cache, queue, watch)

    def tag(self, texts: Sequence[str]) -> tuple[tuple[Entity, ...], ...]:
        """Return the names in each text in reading order, none overlapping.

        Only a text's first 20,000 characters are read. Raises BusyError if too much waits already,
        ModelError if the model fails.
        """
        found = {text: self.cache.get(text) for text in dict.fromkeys(texts)}
        unknown = [text for text, names in found.items() if names is None]
        for group in cut_texts(unknown, most=GROUP):
            for text, names in zip(unknown[group], self._looked_for(unknown[group]), strict=True):
                self.cache.put(text, names)
                found[text] = names
        return tuple(found[text] or () for text in texts)

    def tag_words(self, texts: Sequence[Sequence[str]]) -> tuple[WordTags, ...]:
        """Return a label for each word of each text; `O` at 0 for words that have no tokens."""
        began = perf_counter()
        cut = windows(self.words, texts, limit=self.folder.manifest.max_tokens)
        self._watch.timed(Stage.TOKENISE, began, perf_counter())
        labels = [["O"] * len(words) for words in texts]
        scores = [[0.0] * len(words) for words in texts]
        for window, tags in zip(cut, self.queue.run(cut), strict=True):
            named, sure = labels[window.text], scores[window.text]
            for word, label, score in zip(window.words, tags.classes, tags.scores, strict=True):
                named[word] = self.labels[label]
                sure[word] = score
        return tuple(
            [
                WordTags(tuple(named), tuple(sure))
                for named, sure in zip(labels, scores, strict=True)
            ]
        )

    def _looked_for(self, texts: Sequence[str]) -> list[Names]:
        """Return the names in each of `texts`, by the model."""
        split = [split_words(text[:LONGEST_TEXT]) for text in texts]
        if longer := sum(len(text) > LONGEST_TEXT for text in texts):
            self._watch.counted(Event.TRUNCATED, longer)
        tagged = self.tag_words(split)
        return [
            entities(text, words, tags)
            for text, words, tags in zip(texts, split, tagged, strict=True)
        ]


def entities(text: str, words: Sequence[str], tags: WordTags) -> Names:
    """Return the runs of labelled words in `text` as entities; a score is its words' mean."""
    found = _runs(tags.labels)
    if not found:
        return ()
    where = places(text, words)
    return tuple([_entity(text, where, run, tags) for run in found])


def _runs(labels: Sequence[str]) -> list[list[int]]:
    """Return the numbers of the words of each name."""
    found: list[list[int]] = []
    kind = ""  # type of the name that the word before belongs to
    for number, label in enumerate(labels):
        if label == "O":
            kind = ""
            continue
        if label.startswith("B-") or label[2:] != kind:
            found.append([])
            kind = label[2:]
        found[-1].append(number)
    return found


def _entity(
    text: str, where: Sequence[tuple[int, int]], run: Sequence[int], tags: WordTags
) -> Entity:
    start, end = where[run[0]][0], where[run[-1]][1]
    score = sum([tags.scores[number] for number in run]) / len(run)
    return Entity(text[start:end], _TYPES[tags.labels[run[0]][2:]], start, end, score)
