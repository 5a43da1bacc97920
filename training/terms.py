"""The training data of a model and its terms, as its card states them."""

import argparse
from collections.abc import Sequence
from dataclasses import replace

from inference.models.manifest import RESEARCH_ONLY, ModelManifest, TrainingData

# all-MiniLM-L6-v2 and bge-small-en-v1.5, from which our models start, both learned from it.
START = TrainingData(
    "MS MARCO, by way of the start weights",
    "Microsoft's terms: non-commercial research",
    RESEARCH_ONLY,
)
_PARTS = ("NAME", "LICENCE", "USE")


def training_data(text: str) -> TrainingData:
    """Return the training data `NAME|LICENCE|USE` from the command line. Raises ArgumentTypeError
    for other text.
    """
    parts = [part.strip() for part in text.split("|")]
    if len(parts) != len(_PARTS) or not all(parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not {'|'.join(_PARTS)}")
    return TrainingData(*parts)


def add_terms(parser: argparse.ArgumentParser) -> None:
    """Add the option `--training-data`, given once for each source of the user's own texts."""
    parser.add_argument(
        "--training-data",
        type=training_data,
        action="append",
        metavar="|".join(_PARTS),
        help="what your own texts are, for the card; USE is any, 'research only' or unknown",
    )


def learned_from(manifest: ModelManifest, own: Sequence[TrainingData] | None) -> ModelManifest:
    """Return the manifest with the user's `own` training data, if given, instead of ours; the data
    of its start weights stay.
    """
    if not own:
        return manifest
    start, _, _ = manifest.source.rpartition(" on ")
    return replace(
        manifest,
        source=f"{start} on {', '.join(one.name for one in own)}",
        licence="Apache-2.0 for the code; start weights and training texts: see there",
        training_data=(*own, START),
    )
