"""A model's quality on judged data, kept by query, sentence or window, so that two runtimes can be
compared on the same ones.

Every measure here is a ratio of two sums over such rows: nDCG@10 has ones below, entity F1 and F1
of changes have twice what is right over what is found and what is there.

- an encoder: nDCG@10 on a judged set by exact cosine
- a scorer: nDCG@10 of the 20 documents that the bundled encoder finds nearest, in its own order
- a tagger: entity F1 on a CoNLL file, exact span and type
- what finds shots: F1 of the transitions in a folder of composed clips (`benchmarks.media.clips`,
  the split `test`; `benchmarks.media.cut_scoring` has the convention), else in made windows
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.items import FloatMatrix
from core.media import FrameBatch
from dateline.build.models.runtimes import batch_limits, open_encoder
from dateline.measuring.model_judge import entity_counts
from dateline.measuring.model_texts import strings
from dateline.settings import Settings
from eval.compare.significance import Matrix, ratio_interval
from eval.runs.measures import parse_measures, per_query, ranked
from eval.sets.datasets import read_judged_set
from eval.sets.judged import JudgedSet
from eval.sets.lines import read_lines
from indexing.media.shots.finding import ShotFinder, ShotSettings
from indexing.media.shots.windows import FILE_WINDOW, WindowLayout
from inference.cross_encoder import CrossEncoder
from inference.encoder import SentenceEncoder
from inference.measuring.sample_windows import windows_with_changes
from inference.models.store import ModelFolder
from inference.runtime import Runtime
from inference.shot_detector import TransitionDetector
from inference.tagger import NameTagger
from training.tagger.conll import read_conll

MADE = "made windows"
_NDCG, _F1, _SHOTS_F1, _CUTS_F1 = "nDCG@10", "entity F1", "F1 of changes", "F1 of transitions"
_GROUP, _DEPTH, _CANDIDATES = 64, 100, 20
_WINDOWS, _LIKELY = 24, 0.5
_FIRST = "all-MiniLM-L6-v2"  # finds a scorer's candidates


@dataclass(frozen=True, slots=True)
class Quality:
    """A measure, and a row for each query, sentence or window: numerator, denominator, [n, 2]."""

    measure: str
    rows: Matrix

    @property
    def value(self) -> float:
        """The figure over all rows."""
        above, below = self.rows.sum(axis=0)
        return float(above / below)

    def change(self, before: Quality) -> tuple[float, float, float]:
        """Return how many points it is above `before` on the same rows, and the 95 % interval."""
        low, high = ratio_interval(before.rows, self.rows)
        return tuple(100 * one for one in (self.value - before.value, low, high))  # type: ignore[return-value]

    def tree(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"measure": self.measure, "rows": np.round(self.rows, 6).tolist()}


def joined(found: list[Mapping[str, Any]]) -> Quality:
    """Return the quality over several sets, of the trees of each."""
    return Quality(found[0]["measure"], np.concatenate([np.array(one["rows"]) for one in found]))


def data_for(task: str, named: list[str]) -> list[str]:
    """Return those of the named data that a task is judged on: judged sets for encoders and
    scorers, files for taggers, folders of clips for what finds shots, which has made windows else.
    """
    clips = [one for one in named if truths(Path(one))]
    if task == "shots":
        return clips or [MADE]
    return [one for one in named if Path(one).is_file() == (task == "tag") and one not in clips]


def truths(folder: Path) -> list[Path]:
    """Return the files with the truth about composed clips, in order; empty for other data."""
    return sorted(folder.glob("test-*.json"))


def quality(
    settings: Settings, folder: ModelFolder, runtime: Runtime, data: str, kept: Path | None
) -> Quality:
    """Return the quality on one of `data_for`. A scorer's candidates are kept in `kept`."""
    match folder.manifest.task:
        case "encode":
            return _encoded(settings, folder, runtime, data)
        case "score":
            return _reranked(settings, folder, runtime, data, kept)
        case "tag":
            return _tagged(settings, folder, runtime, Path(data))
        case _:
            return changes(folder, runtime) if data == MADE else _cuts(folder, runtime, Path(data))


def _encoded(settings: Settings, folder: ModelFolder, runtime: Runtime, data: str) -> Quality:
    encoder = SentenceEncoder.over(folder, runtime, limits=batch_limits(settings))
    judged = read_judged_set(data)
    return _ndcg(judged, _nearest(encoder, judged, texts_of(judged), _DEPTH))


def _reranked(
    settings: Settings, folder: ModelFolder, runtime: Runtime, data: str, kept: Path | None
) -> Quality:
    scorer = CrossEncoder.over(folder, runtime, limits=batch_limits(settings))
    judged = read_judged_set(data)
    texts = texts_of(judged)
    place = kept / f"candidates-{Path(data).name.replace(':', '-')}.json" if kept else None
    if place and place.exists():
        lists: dict[str, list[str]] = json.loads(place.read_text("utf-8"))
    else:
        near = _nearest(open_encoder(settings, _FIRST), judged, texts, _CANDIDATES)
        lists = {query: list(row) for query, row in near.items()}
        if place:
            place.write_text(json.dumps(lists), encoding="utf-8")
    run = {}
    for query, candidates in lists.items():
        passages = [texts[one] for one in candidates]
        scores = scorer.score_pairs([judged.queries[query]] * len(passages), passages)
        run[query] = dict(zip(candidates, scores, strict=True))
    return _ndcg(judged, run)


def _tagged(settings: Settings, folder: ModelFolder, runtime: Runtime, path: Path) -> Quality:
    sentences = read_conll(path)
    tagger = NameTagger.over(folder, runtime, limits=batch_limits(settings))
    found = tagger.tag_words([list(one.words) for one in sentences])
    return Quality(
        _F1, entity_counts([one.tags for one in sentences], [tags.labels for tags in found])
    )


def changes(folder: ModelFolder, runtime: Runtime) -> Quality:
    """Return F1 of the changes in made windows: one is found if a frame of it is likely, and every
    other run of likely frames is false.
    """
    windows, wanted = windows_with_changes(_WINDOWS)
    scores = TransitionDetector.over(folder, runtime).transitions(windows)[:, : windows.shape[1]]
    rows = []
    for likely, true in zip(scores > _LIKELY, wanted, strict=True):
        found = sum(bool(likely[first : last + 1].any()) for first, last in true)
        for first, last in true:
            likely[first : last + 1] = False
        false = int(np.sum(np.diff(likely.astype(np.int8), prepend=0) == 1))
        rows.append((2 * found, found + false + len(true)))
    return Quality(_SHOTS_F1, np.array(rows, np.float64))


def _cuts(folder: ModelFolder, runtime: Runtime, place: Path) -> Quality:
    """Return F1 of the transitions in composed clips, a row for each clip."""
    from benchmarks.media.clip_files import read_clip  # all need the extra [media]
    from benchmarks.media.cut_scoring import scored
    from benchmarks.media.shots_model import small_frames

    layout = WindowLayout().lengthened(FILE_WINDOW)
    finder = ShotFinder(TransitionDetector.over(folder, runtime), ShotSettings(layout))
    rows = []
    for truth in truths(place):
        clip = read_clip(truth.with_suffix(".mp4"))
        frames = small_frames(clip.path)
        shots = finder.shots([FrameBatch(frames, np.arange(len(frames)) / 25.0, 0)])
        found = scored(clip.cuts, [shot.start_frame for shot in shots if shot.start_frame])
        right = len(clip.cuts) - len(found.missed)
        rows.append((2 * right, right + len(found.false) + len(clip.cuts)))
    return Quality(_CUTS_F1, np.array(rows, np.float64))


def texts_of(judged: JudgedSet) -> dict[str, str]:
    """Return the documents of a judged set, by id; without titles where the set says so."""
    texts: dict[str, str] = {}
    for line in read_lines(judged.corpus):
        tree = line.json_object()
        name = str(tree.get("_id") or tree.get("uri"))
        if judged.conventions.body_only:
            tree = {key: value for key, value in tree.items() if key != "title"}
        texts[name] = " ".join(strings(tree))
    return texts


def _nearest(
    encoder: SentenceEncoder, judged: JudgedSet, texts: Mapping[str, str], count: int
) -> dict[str, dict[str, float]]:
    """Return the cosines of each query's nearest documents, by id."""
    documents, ids = _vectors(encoder, list(texts.values())), list(texts)
    scores = encoder.encode_queries(list(judged.queries.values())) @ documents.T
    return {
        query: {ids[at]: float(row[at]) for at in np.argsort(-row)[:count]}
        for query, row in zip(judged.queries, scores, strict=True)
    }


def _vectors(encoder: SentenceEncoder, texts: list[str]) -> FloatMatrix:
    parts = [encoder.encode_passages(texts[n : n + _GROUP]) for n in range(0, len(texts), _GROUP)]
    return np.concatenate(parts)


def _ndcg(judged: JudgedSet, run: Mapping[str, Mapping[str, float]]) -> Quality:
    lists = {query: ranked(scores) for query, scores in run.items()}
    found = per_query(parse_measures([_NDCG]), judged.qrels, lists)
    return Quality(_NDCG, np.array([(row[_NDCG], 1.0) for row in found.values()]))
