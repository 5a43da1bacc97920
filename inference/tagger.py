"""Names in texts, by a token classifier in ONNX with BIO labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.entities import Entity, EntityLabel
from core.errors import ModelError
from core.items import FloatMatrix
from inference.batches import cut_batches
from inference.onnx_runtime import OnnxModel
from inference.store import ModelFolder, ModelStore
from inference.tokens import TextTokens, padded
from inference.words import Window, Word, split_words, windows

INPUTS, LOGITS = ("input_ids", "attention_mask"), "logits"
LONGEST_TEXT = 20_000  # characters; names after that are not looked for


@dataclass(frozen=True, slots=True)
class WordTags:
    """A text's words: their labels and how sure each is, 0 to 1, equally many."""

    labels: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class OnnxTagger:
    """The Tagger port over a bundled model. Safe to use from several threads.

    A word's label is that of its first token. A name is a run of words of one type; I- after
    anything but its own type starts a name, since a misread beginning is still a name.
    """

    folder: ModelFolder
    model: OnnxModel
    tokens: TextTokens

    @classmethod
    def open(cls, store: ModelStore, name: str, *, threads: int) -> "OnnxTagger":
        """Check and load the model `name`; `threads` work on one call.

        Raises ModelError for a model that is missing, changed, or no tagger of our four types.
        """
        folder = store.open(name)
        known = {"O"} | {f"{edge}-{label}" for edge in "BI" for label in EntityLabel}
        if folder.manifest.task != "tag" or not set(folder.manifest.labels) <= known:
            what = f"{name} does not tag {', '.join(EntityLabel)}"
            raise ModelError(what, where=str(folder.path), mend="name a tagger in the settings")
        model = OnnxModel.open(folder, threads=threads)
        model.require(INPUTS, (LOGITS,))
        return cls(folder, model, TextTokens.open(folder))

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

        Only a text's first 20,000 characters are read.
        """
        split = [split_words(text[:LONGEST_TEXT]) for text in texts]
        tagged = self.tag_words([[word.text for word in words] for words in split])
        return tuple(
            entities(text, words, tags)
            for text, words, tags in zip(texts, split, tagged, strict=True)
        )

    def tag_words(self, texts: Sequence[Sequence[str]]) -> tuple[WordTags, ...]:
        """A label for each word of each text; `O` at 0 for words that the model can't see."""
        limit = self.folder.manifest.max_tokens
        cut = windows(self.tokens.tokenizer, texts, limit=limit)
        labels = [["O"] * len(words) for words in texts]
        scores = [[0.0] * len(words) for words in texts]
        for batch in cut_batches([len(window.tokens) for window in cut]):
            chosen = [cut[number] for number in batch]
            for window, (classes, sure) in zip(chosen, self._classes(chosen), strict=True):
                for word, label, score in zip(window.words, classes, sure, strict=True):
                    labels[window.text][word] = self.folder.manifest.labels[label]
                    scores[window.text][word] = score
        return tuple(
            WordTags(tuple(one), tuple(sure)) for one, sure in zip(labels, scores, strict=True)
        )

    def _classes(self, batch: Sequence[Window]) -> list[tuple[list[int], list[float]]]:
        """For each window: each word's class and its probability."""
        (logits,) = self.model.run(padded([window.tokens for window in batch]), (LOGITS,))
        chances = softmax(logits.astype(np.float32, copy=False))
        picked = [row[list(window.heads)] for row, window in zip(chances, batch, strict=True)]
        return [(rows.argmax(axis=1).tolist(), rows.max(axis=1).tolist()) for rows in picked]


def softmax(logits: FloatMatrix) -> FloatMatrix:
    """Probabilities over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: FloatMatrix = powers / powers.sum(axis=-1, keepdims=True)
    return shares


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
