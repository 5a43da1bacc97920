"""Cuts items into passages and embeds them.

A passage is about 200 tokens on sentence borders, overlapping its neighbour by whole sentences of
up to 40 tokens. The encoder reads the headline, a line break and the passage, so that each passage
has its story's title; both together fit the encoder's input. For a picture or a video, a machine's
words are separate passages, and so is the line of each shot. What is said is cut at the utterances,
half a minute at most in one passage, so that a hit opens near its words; the lines that are read in
one frame are a passage.

A text has at most 200 passages, some 40,000 words; an item at most 2,000 of its shots, 2,000 of its
speech and 500 of frames with text. The rest is found by words only; the passages themselves show
where it begins.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from pathlib import Path

import numpy as np
from semantic_text_splitter import TextSplitter
from tokenizers import Encoding, Tokenizer

from core.items import FloatMatrix, Item, Passage, PassageVectors
from core.ports.models import TextEncoder, TextMeter

TEXT_MEMBERS = ("body", "description", "headline")
_SPECIAL_TOKENS = 2  # [CLS] and [SEP]
_NO_METERS: Mapping[str, TextMeter] = {}
_WINDOW = 20_000  # characters tokenised at once: an encoding takes some 100 bytes a token
MAX_PASSAGES = 200  # of one text
MAX_SHOTS = 2_000  # described ones of one item; a film of two hours has as many
MAX_SPOKEN = 2_000  # passages of speech of one item; sixteen hours have as many
MAX_FRAMES = 500  # of one item, with text that is read in them
_SPOKEN_S = 30.0  # the longest stretch of speech in one passage, unless one utterance is longer
_MAX_CHARACTERS = 400_000  # of one text that is cut: 10 for each token of its passages


@dataclass(frozen=True, slots=True)
class CutItem:
    """The passages of one item: their places, and the encoder's input for each."""

    passages: tuple[Passage, ...]
    texts: tuple[str, ...]
    truncated: int


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    tokens: int


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A text that is cut separately; it starts at character `start` of the member `name`."""

    name: str
    start: int
    text: str


class PassageSplitter:
    """Cuts texts by the tokens of the encoder's own `tokenizer_file`.

    `capacity` is the desired size and `overlap` the most that neighbours share. `max_tokens` is the
    encoder's limit, of which the headline may take `headline_tokens`.
    """

    def __init__(
        self,
        tokenizer_file: Path,
        *,
        capacity: int = 200,
        overlap: int = 40,
        max_tokens: int = 256,
        headline_tokens: int = 32,
    ) -> None:
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._overlap = overlap
        self._headline_tokens = headline_tokens
        self._room = max_tokens - _SPECIAL_TOKENS - headline_tokens
        self._capacity = min(capacity, self._room)
        self._exact = TextSplitter.from_huggingface_tokenizer(
            self._tokenizer, self._capacity, min(overlap, self._capacity - 1)
        )
        self._windows = TextSplitter(_WINDOW)

    def cut(self, items: Sequence[Item]) -> tuple[CutItem, ...]:
        """Return the passages of each item: of its body, else its description, else its headline,
        and of its caption, its shots and the words found in its media; none for an item without a
        text.
        """
        stretches = [_stretches(item) for item in items]
        spans = iter(self._spans([one.text for each in stretches for one in each]))
        headlines = self._short_headlines(items)
        return tuple(
            self._cut_item(headline, each, [next(spans) for _ in each])
            for headline, each in zip(headlines, stretches, strict=True)
        )

    def _cut_item(
        self, headline: str, stretches: Sequence[_Stretch], cuts: Sequence[Sequence[_Span]]
    ) -> CutItem:
        title = f"{headline}\n" if headline else ""
        passages: list[Passage] = []
        texts: list[str] = []
        for one, spans in zip(stretches, cuts, strict=True):
            before = "" if one.name == "headline" else title
            for span in spans:
                passages.append(Passage(one.name, one.start + span.start, one.start + span.end))
                texts.append(before + one.text[span.start : span.end])
        cut_off = sum(span.tokens > self._room for spans in cuts for span in spans)
        return CutItem(tuple(passages), tuple(texts), cut_off)

    def _short_headlines(self, items: Sequence[Item]) -> list[str]:
        """Return headlines, each cut to the tokens that a headline may take."""
        headlines = [item.headline for item in items]
        long = [n for n, text in enumerate(headlines) if len(text) > self._headline_tokens]
        encodings = self._encode([headlines[n][:_WINDOW] for n in long])
        for n, encoding in zip(long, encodings, strict=True):
            if len(encoding.ids) > self._headline_tokens:
                headlines[n] = headlines[n][: encoding.offsets[self._headline_tokens - 1][1]]
        return headlines

    def _spans(self, texts: Sequence[str]) -> list[list[_Span]]:
        """Return the passages of each text, at most MAX_PASSAGES. Most texts are one passage, which
        costs one tokenization; only longer ones are split, window by window until there are enough.
        """
        windows = [self._window(text) for text in texts]
        spans: list[list[_Span]] = [[] for _ in texts]
        turn = 0
        while due := [n for n, own in enumerate(windows) if turn < len(own) and _lacks(spans[n])]:
            encodings = self._encode([windows[n][turn][1] for n in due])
            for n, encoding in zip(due, encodings, strict=True):
                offset, text = windows[n][turn]
                for span in self._split(text, encoding):
                    spans[n].append(_Span(span.start + offset, span.end + offset, span.tokens))
            turn += 1
        return [found[:MAX_PASSAGES] for found in spans]

    def _window(self, text: str) -> list[tuple[int, str]]:
        """Return the beginning of a text in pieces of bounded size, with their offsets; nothing for
        a blank text.
        """
        if len(text) > _WINDOW:
            return list(self._windows.chunk_indices(text[:_MAX_CHARACTERS]))
        return [(0, text)] if text.strip() else []

    def _encode(self, texts: Sequence[str]) -> list[Encoding]:
        return self._tokenizer.encode_batch(list(texts), add_special_tokens=False) if texts else []

    def _split(self, text: str, encoding: Encoding) -> Iterator[_Span]:
        """Split by characters, at this text's own ratio of characters to tokens. The exact splitter
        counts the tokens of every trial, which takes ten times as long; it gets only pieces that
        turn out too large.
        """
        total = len(encoding.ids)
        if total <= self._capacity:
            yield _Span(0, len(text), total)
            return
        ratio = len(text) / total
        size = max(1, int(self._capacity * ratio))
        by_characters = TextSplitter(size, overlap=min(int(self._overlap * ratio), size - 1))
        starts = [start for start, _ in encoding.offsets]
        for start, piece in by_characters.chunk_indices(text):
            end = start + len(piece)
            tokens = bisect.bisect_left(starts, end) - bisect.bisect_left(starts, start)
            if tokens <= self._room:
                yield _Span(start, end, tokens)
            else:
                yield from self._split_exactly(piece, start)

    def _split_exactly(self, piece: str, offset: int) -> Iterator[_Span]:
        parts = self._exact.chunk_indices(piece)
        encodings = self._encode([part for _, part in parts])
        for (start, part), encoding in zip(parts, encodings, strict=True):
            begin = offset + start
            yield _Span(begin, begin + len(part), len(encoding.ids))


class PassageEmbedder:
    """A `core.ports.models.Embedder`: an entry for each of `fields`, a name and its encoder.

    All fields share the splitter's passages. An item without a text has entries without passages,
    so that the record knows that there is nothing to embed. `meters` are for the fields whose
    encoder has another tokenizer: they count how many passages it cuts off.
    """

    def __init__(
        self,
        splitter: PassageSplitter,
        fields: Sequence[tuple[str, TextEncoder]],
        meters: Mapping[str, TextMeter] = _NO_METERS,
    ) -> None:
        self._splitter = splitter
        self._fields = tuple(fields)
        self._meters = meters

    def embed(self, items: Sequence[Item]) -> tuple[tuple[PassageVectors, ...], ...]:
        """Return each item's passages and vectors; each encoder gets all passages in one call."""
        cuts = self._splitter.cut(items)
        texts = [text for cut in cuts for text in cut.texts]
        borders = tuple(accumulate((len(cut.texts) for cut in cuts), initial=0))
        columns = []
        for name, encoder in self._fields:
            matrix = _encode(encoder, texts)
            truncated = self._truncated(name, cuts)
            columns.append(
                [
                    PassageVectors(name, encoder.digest, cut.passages, matrix[start:end], count)
                    for cut, count, (start, end) in zip(
                        cuts, truncated, pairwise(borders), strict=True
                    )
                ]
            )
        return tuple(tuple(column[n] for column in columns) for n in range(len(items)))

    def _truncated(self, name: str, cuts: Sequence[CutItem]) -> list[int]:
        """Return, for each item, how many of its passages the field's encoder does not read to the
        end.
        """
        meter = self._meters.get(name)
        if meter is None:
            return [cut.truncated for cut in cuts]
        return [sum(text.truncated for text in meter.measure(cut.texts)) for cut in cuts]


def _lacks(spans: Sequence[_Span]) -> bool:
    return len(spans) < MAX_PASSAGES


def _encode(encoder: TextEncoder, texts: Sequence[str]) -> FloatMatrix:
    if not texts:
        return np.zeros((0, encoder.dimension), np.float32)
    return encoder.encode_passages(texts)


def _stretches(item: Item) -> list[_Stretch]:
    """Return the texts of an item that passages come from; a passage never covers two of them."""
    members = [next((name for name in TEXT_MEMBERS if getattr(item, name).strip()), ""), "caption"]
    found = [_Stretch(name, 0, getattr(item, name)) for name in members if name]
    return [
        *(one for one in found if one.text.strip()),
        *islice(_described(item), MAX_SHOTS),
        *islice(_together("speech", item.speech_text, _spoken(item)), MAX_SPOKEN),
        *islice(_together("seen", item.seen_text, _read(item)), MAX_FRAMES),
    ]


def _described(item: Item) -> Iterator[_Stretch]:
    """Yield the lines of the described shots."""
    start = 0
    for line in (shot.description for shot in item.shots):
        if line.strip():
            yield _Stretch("shotlist", start, line)
        start += len(line) + 1


def _together(name: str, text: str, lines: Sequence[bool]) -> Iterator[_Stretch]:
    """Yield stretches of whole lines of a text; `lines` says of each whether a stretch begins."""
    start = end = 0
    for begins, line in zip(lines, text.split("\n"), strict=False):
        if begins and text[start:end].strip():
            yield _Stretch(name, start, text[start : end - 1])
        start, end = end if begins else start, end + len(line) + 1
    if text[start:].strip():
        yield _Stretch(name, start, text[start:])


def _spoken(item: Item) -> list[bool]:
    """Return of each utterance whether a passage begins with it."""
    begins: list[bool] = []
    first = 0.0
    for one in item.speech:
        begins.append(not begins or one.end_s > first + _SPOKEN_S)
        first = one.start_s if begins[-1] else first
    return begins


def _read(item: Item) -> list[bool]:
    """Return of each line that was read whether it is the first of its frame."""
    seconds = [None, *(one.at_s for one in item.seen)]
    return [before != now for before, now in pairwise(seconds)]
