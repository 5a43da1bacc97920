"""Composition of a model with texts for measurements and profiles."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from core.errors import InputError
from core.ports.models import PairScorer
from dateline.build.models.runtimes import batch_limits, model_store, open_runtime
from dateline.settings import Settings
from inference.cross_encoder import CrossEncoder
from inference.encoder import SentenceEncoder
from inference.late_interaction import MaxSimScorer
from inference.measuring.profiling import Subject, TokeniseClock, WatchedRuntime
from inference.measuring.sample_windows import sample_windows
from inference.runtimes.loading import beside
from inference.runtimes.onnx import OnnxRuntime
from inference.shot_detector import SHORTEST, TransitionDetector
from inference.tagger import NameTagger
from inference.texts.sized_texts import sized_pairs, sized_texts
from inference.texts.tokens import TextTokens


def open_subject(
    settings: Settings,
    name: str,
    texts: int,
    tokens: int,
    *,
    task: str = "",
    lanes: int = 1,
    as_served: bool = False,
) -> Subject:
    """Return a model without a cache, with `texts` texts, or pairs of texts, of `tokens` tokens as
    its input. One thread works on a batch, `lanes` batches run at once. The `task` `score` makes a
    scorer of an encoder. It runs in ONNX Runtime, whose operators a profile counts, or `as_served`
    in the runtime that the settings choose.

    Raises ModelError for a model without an ONNX graph, InputError for texts that it can't read.
    """
    folder = model_store(settings).find(name)
    manifest = folder.manifest
    if not texts or not tokens or tokens > manifest.max_tokens:
        what = f"{texts} texts of {tokens} tokens can't be put to {name}"
        raise InputError(what, mend=f"it reads 1 to {manifest.max_tokens} tokens of a text")
    opened = partial(open_runtime, settings) if as_served else OnnxRuntime.open
    runtime, clock = WatchedRuntime(opened(folder, threads=1)), TokeniseClock()
    tokenizer = TextTokens.open(folder).tokenizer if manifest.tokenizer else None
    limits = replace(batch_limits(settings), lanes=lanes)
    call: Callable[[], object]
    match task or manifest.task:
        case "shots":
            if tokens < SHORTEST:
                mend = f"a window has {SHORTEST} to {manifest.max_tokens} frames"
                raise InputError(f"{name} can't read windows of {tokens} frames", mend=mend)
            detector = TransitionDetector.over(folder, runtime, watching=clock)
            call = partial(detector.transitions, sample_windows(texts, frames=tokens))
        case _ if tokenizer is None:
            raise InputError(f"{name} reads no texts", where=name)
        case "tag":
            tagger = NameTagger.over(folder, runtime, cache_size=0, limits=limits, watching=clock)
            call = partial(tagger.tag, sized_texts(tokenizer, texts, tokens))
        case "encode":
            encoder = SentenceEncoder.over(
                folder, runtime, cache_size=0, limits=limits, watching=clock
            )
            put = encoder.encode_queries if texts == 1 else encoder.encode_passages
            prefix = manifest.query_prefix if texts == 1 else manifest.passage_prefix
            call = partial(put, sized_texts(tokenizer, texts, tokens, prefix=prefix))
        case _:
            kind = CrossEncoder if manifest.task == "score" else MaxSimScorer
            scorer: PairScorer = kind.over(folder, runtime, limits=limits, watching=clock)
            pairs = sized_pairs(tokenizer, texts, tokens)
            call = partial(scorer.score, pairs.queries, pairs.passages)
    graph, weights = folder.read(manifest.graph), beside(folder, manifest.graph)
    return Subject(name, graph, weights, manifest.optimized, texts, tokens, call, runtime, clock)
