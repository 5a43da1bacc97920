"""Names in texts, by a token classifier in any runtime."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from time import perf_counter

import numpy as np

from core.entities import Entity, EntityLabel
from core.errors import ModelError
from core.items import FloatMatrix
from core.observation import UNWATCHED, Event, ModelWatch, Stage, Watching
from inference.batch_queue import BatchQueue
from inference.batches import BatchLimits, cut_texts
from inference.cache import AnswerCache
from inference.feeding import Feeding
from inference.labels import bio_labels
from inference.pooling import finite
from inference.runtime import Runtime
from inference.runtimes.onnx import OnnxRuntime
from inference.store import ModelFolder, ModelStore
from inference.tokens import TextTokens
from inference.transitions import Transitions
from inference.words import Window, Word, split_words, windows

LOGITS = "logits"
LONGEST_TEXT = 20_000  # characters; names after that are not looked for
CACHE_SIZE = 4096  # texts
GROUP = 256  # texts whose tokens are held at once: the rest wait as text, so memory is flat
Names = tuple[Entity, ...]


@dataclass(frozen=True, slots=True)
class WordTags:
    """A text's words: their labels and how sure each is, 0 to 1, equally many."""

    labels: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class WindowTags:
    """A window's words: the class of each and its probability, equally many."""

    classes: list[int]
    scores: list[float]


@dataclass(frozen=True, slots=True)
class _Classes:
    """The queue's work: windows [n] to their words' classes, or the window's error."""

    feeding: Feeding
    transitions: Transitions

    def __call__(self, batch: Sequence[Window]) -> list[WindowTags | Exception]:
        (output,), _ = self.feeding.run([window.tokens for window in batch], (LOGITS,))
        logits: FloatMatrix = output.astype(np.float32, copy=False)
        if logits.ndim != 3 or logits.shape[2] != len(self.transitions.start):
            raise self.feeding.failed(f"logits have shape {logits.shape[1:]}")
        whole = finite(logits)  # hardly ever not; then it matters whose words have no numbers
        rows = zip(batch, logits, *_likeliest(logits), strict=True)
        return [
            self._tags(window, row, classes, chances)
            if whole or finite(row[list(window.heads)])
            else self.feeding.failed("a text's logits hold no numbers (NaN)")
            for window, row, classes, chances in rows
        ]

    def _tags(
        self,
        window: Window,
        logits: FloatMatrix,
        classes: Sequence[int],
        chances: Sequence[float],
    ) -> WindowTags:
        """The window's words from its tokens' logits, likeliest classes and their probabilities."""
        heads = window.heads
        own = [classes[head] for head in heads]
        if self.transitions.well_formed(own):
            return WindowTags(own, [chances[head] for head in heads])
        rows = logits[list(heads)].tolist()
        best = self.transitions.best(rows)
        shares = (exp(row[label] - max(row)) for row, label in zip(rows, best, strict=True))
        return WindowTags(
            best, [chances[head] * share for head, share in zip(heads, shares, strict=True)]
        )


@dataclass(frozen=True, slots=True)
class NameTagger:
    """The Tagger port over one loaded model. Safe to use from several threads.

    A word's label is that of its first token; of all sequences of labels that are well-formed, the
    likeliest is taken (see `Transitions`). A name is a run of words of one type.
    """

    folder: ModelFolder
    runtime: Runtime
    tokens: TextTokens
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
    ) -> "NameTagger":
        """A tagger over a loaded graph; `threads` is how many batches run at once.

        Raises ModelError for a model that is no tagger, or knows none of our types of names.
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
        return cls(folder, runtime, tokens, labels, cache, queue, watch)

    @classmethod
    def open(cls, store: ModelStore, name: str, *, threads: int = 1) -> "NameTagger":
        """Check and load the model `name` in ONNX Runtime, one thread to a call; see `over`.

        Raises ModelError for a model that is missing, changed, or no tagger.
        """
        folder = store.open(name)
        return cls.over(folder, OnnxRuntime.open(folder, threads=1), threads=threads)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.folder.manifest.name

    @property
    def digest(self) -> str:
        """sha256 over the model's files."""
        return self.folder.manifest.digest

    def tag(self, texts: Sequence[str]) -> tuple[tuple[Entity, ...], ...]:
        """The names in each text in reading order, none overlapping.

        Only a text's first 20,000 characters are read. Raises BusyError where too much waits
        already, ModelError where the model fails.
        """
        found = {text: self.cache.get(text) for text in dict.fromkeys(texts)}
        unknown = [text for text, names in found.items() if names is None]
        for group in cut_texts(unknown, most=GROUP):
            for text, names in zip(unknown[group], self._looked_for(unknown[group]), strict=True):
                self.cache.put(text, names)
                found[text] = names
        return tuple(found[text] or () for text in texts)

    def tag_words(self, texts: Sequence[Sequence[str]]) -> tuple[WordTags, ...]:
        """A label for each word of each text; `O` at 0 for words that the model can't see."""
        began = perf_counter()
        cut = windows(self.tokens.tokenizer, texts, limit=self.folder.manifest.max_tokens)
        self._watch.timed(Stage.TOKENISE, began, perf_counter())
        labels = [["O"] * len(words) for words in texts]
        scores = [[0.0] * len(words) for words in texts]
        for window, tags in zip(cut, self.queue.run(cut), strict=True):
            for word, label, score in zip(window.words, tags.classes, tags.scores, strict=True):
                labels[window.text][word] = self.labels[label]
                scores[window.text][word] = score
        return tuple(
            WordTags(tuple(one), tuple(sure)) for one, sure in zip(labels, scores, strict=True)
        )

    def close(self) -> None:
        """Free the graph; tagging afterwards fails."""
        self.queue.close()
        self.runtime.close()

    def _looked_for(self, texts: Sequence[str]) -> list[Names]:
        """The names in each of `texts`, by the model."""
        split = [split_words(text[:LONGEST_TEXT]) for text in texts]
        if longer := sum(len(text) > LONGEST_TEXT for text in texts):
            self._watch.counted(Event.TRUNCATED, longer)
        tagged = self.tag_words([[word.text for word in words] for words in split])
        return [
            entities(text, words, tags)
            for text, words, tags in zip(texts, split, tagged, strict=True)
        ]


def _likeliest(logits: FloatMatrix) -> tuple[list[list[int]], list[list[float]]]:
    """The likeliest class of each token from logits [texts, tokens, labels], and how likely it is:
    of all texts at once, since a call of NumPy costs more than a text's few numbers.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # padding may hold anything
        greatest = logits.max(axis=2, keepdims=True)
        chances = 1 / np.exp(logits - greatest).sum(axis=2)
    return logits.argmax(axis=2).tolist(), chances.tolist()


def entities(text: str, words: Sequence[Word], tags: WordTags) -> tuple[Entity, ...]:
    """The runs of labelled words in `text` as entities; a score is its words' mean."""
    found: list[Entity] = []
    run: list[int] = []

    def close() -> None:
        if run:
            start, end = words[run[0]].start, words[run[-1]].end
            score = sum(tags.scores[number] for number in run) / len(run)
            label = EntityLabel(tags.labels[run[0]][2:])
            found.append(Entity(text[start:end], label, start, end, score))
            run.clear()

    for number, label in enumerate(tags.labels):
        goes_on = label.startswith("I-") and run and tags.labels[run[0]][2:] == label[2:]
        if not goes_on:
            close()
        if label != "O":
            run.append(number)
    close()
    return tuple(found)
