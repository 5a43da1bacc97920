"""Finds names in machines' descriptions and transcripts with a tagger, in any case."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from core.items import Item
from core.languages import primary_subtag
from core.made_up_names import Spans, heard_texts, machine_texts
from core.ports.models import Tagger

LEAST_SCORE = 0.5
MANY = "mul"  # a model of many languages, by ISO 639-2


@dataclass(frozen=True, slots=True)
class TaggedNames:
    """`core.made_up_names.FoundNames` by a tagger that reads `languages` (ISO 639-1)."""

    tagger: Tagger
    languages: Collection[str]

    def __call__(self, item: Item) -> Spans:
        """Return the names found, by text; none in a language that the tagger does not read."""
        texts = tuple(dict.fromkeys((*machine_texts(item), *heard_texts(item))))
        language = primary_subtag(item.language)
        if not texts or not {language, MANY} & {*self.languages}:
            return {}
        return {
            text: [(name.start, name.end) for name in names if name.score >= LEAST_SCORE]
            for text, names in zip(texts, self.tagger.tag(texts), strict=True)
        }
