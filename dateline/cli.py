"""The command line: `dateline --help` is its table of contents. A command's module is imported when
the command runs, so its imports cost the other commands nothing.
"""

from __future__ import annotations

import os
import signal
from typing import Annotated

import typer

from dateline.lazy_group import Entry, lazy_group
from dateline.shadowed import refuse_others

# The headings of `dateline --help`.
_USE = "Archive and search"
_CARE = "Care of the archive"
_MEDIA = "Photos and videos"
_QUALITY = "Quality and models"
_OPENSEARCH = "OpenSearch"
_CUSTOMERS = "Customers"

COMMANDS = {
    "ingest": Entry(
        "dateline.commands.ingest:ingest",
        "Take documents, photos and videos into the archive; what it knows already is skipped.",
        _USE,
        bare_is_help=True,
    ),
    "search": Entry(
        "dateline.commands.search:search",
        "Search the archive as the operator of this machine, who sees every product.",
        _USE,
    ),
    "suggest": Entry(
        "dateline.commands.suggest:suggest",
        "Complete names, subjects and headlines, with how many stories have each.",
        _USE,
        bare_is_help=True,
    ),
    "shots": Entry(
        "dateline.commands.shots:shots",
        "Find the shots of a video: when each begins and ends, and the transitions between them.",
        _MEDIA,
        bare_is_help=True,
    ),
    "live": Entry(
        "dateline.commands.live:live",
        "Take a live source into the archive while it runs; its recording is the video afterwards.",
        _MEDIA,
        bare_is_help=True,
    ),
    "transcript": Entry(
        "dateline.commands.transcript:transcript",
        "Print what is said in a video or sound, as subtitles or text.",
        _MEDIA,
        bare_is_help=True,
    ),
    "understand": Entry(
        "dateline.commands.understand:understand",
        "Show how a query is understood: text for each retriever, names, dates, filters, notes.",
        _USE,
        bare_is_help=True,
    ),
    "serve": Entry(
        "dateline.commands.serve:serve",
        "Serve searches, the models and the page until Ctrl-C.",
        _USE,
    ),
    "status": Entry(
        "dateline.commands.diagnosis:status",
        "Show what the archive holds and whether the indexes are up to date.",
        _USE,
    ),
    "doctor": Entry(
        "dateline.commands.diagnosis:doctor",
        "Check installation, models and archive; say what is wrong and how to mend it.",
        _CARE,
    ),
    "settings": Entry(
        "dateline.commands.diagnosis:settings",
        "Print every setting in force and where its value came from; keys are not shown.",
        _CARE,
    ),
    "set-status": Entry(
        "dateline.commands.archive:set_status",
        "Change an item's state: usable, withheld or canceled (a kill), or its embargo.",
        _USE,
        bare_is_help=True,
    ),
    "clock": Entry(
        "dateline.commands.archive:clock",
        "Show the archive's time, by which embargoes lift and items expire.",
        _CARE,
    ),
    "embed": Entry(
        "dateline.commands.archive:embed",
        "Embed the items that have no vectors of an encoder in use.",
        _CARE,
    ),
    "rebuild": Entry(
        "dateline.commands.archive:rebuild",
        "Make the search indexes again from the record of truth; no model runs.",
        _CARE,
    ),
    "migrate": Entry(
        "dateline.commands.archive:migrate",
        "Create or bring up to date the tables of the record of truth on Postgres.",
        _CARE,
    ),
    "backup": Entry(
        "dateline.commands.archive:backup",
        "Write a consistent copy of the archive, while it is being served.",
        _CARE,
        bare_is_help=True,
    ),
    "restore": Entry(
        "dateline.commands.archive:restore",
        "Restore a backup; the next start makes the search indexes again.",
        _CARE,
        bare_is_help=True,
    ),
    "eval": Entry("dateline.cli:eval_app", "Measure how good the answers are.", _QUALITY),
    "tune": Entry("dateline.cli:tune_app", "Choose settings by measuring them.", _QUALITY),
    "models": Entry(
        "dateline.cli:models_app", "List, check, fetch and measure the models.", _QUALITY
    ),
    "capacity": Entry(
        "dateline.cli:capacity_app", "Which machines, how many, at what cost.", _QUALITY
    ),
    "worker": Entry(
        "dateline.commands.worker:worker",
        "Carry out ordered ingests and operations until interrupted.",
        _MEDIA,
    ),
    "jobs": Entry(
        "dateline.commands.jobs:app", "Show and control ingests of photos and videos.", _MEDIA
    ),
    "captions": Entry(
        "dateline.commands.captions:app",
        "Captions in batches: see the setting caption_mode.",
        _MEDIA,
    ),
    "accounts": Entry(
        "dateline.commands.accounts:app",
        "Organisations that buy: their plans, keys, quotas and usage.",
        _CUSTOMERS,
    ),
    "audit": Entry(
        "dateline.commands.audit:app", "The audit log: show it, and check its chain.", _CUSTOMERS
    ),
    "experiment": Entry(
        "dateline.commands.experiment:app",
        "Versions of ranking profiles, compared by what callers click.",
        _QUALITY,
    ),
    "use": Entry(
        "dateline.commands.use:app",
        "Searches and clicks of the accounts that agreed to keep them.",
        _QUALITY,
    ),
    "index": Entry(
        "dateline.commands.index:app",
        "The index on OpenSearch: its plan, state and care.",
        _OPENSEARCH,
    ),
    "migration": Entry(
        "dateline.commands.migration:app",
        "Move to another model, to other index settings or to OpenSearch while searches go on.",
        _OPENSEARCH,
    ),
}

CAPACITY_COMMANDS = {
    "measure": Entry(
        "dateline.commands.capacity.measure:measure",
        "Measure service times, memory and the machine's peaks here, for `dateline capacity plan`.",
    ),
    "plan": Entry(
        "dateline.commands.capacity.plan:plan",
        "Say which machines a load needs, how many, what they cost, and what binds.",
        bare_is_help=True,
    ),
    "prices": Entry(
        "dateline.commands.capacity.prices:prices",
        "Show the prices that a plan computes with, or read the AWS price list anew.",
    ),
}

EVAL_COMMANDS = {
    "candidates": Entry(
        "dateline.commands.eval.candidates:candidates",
        "Write what a reranker would be given for each query, with judgements: to train one.",
        bare_is_help=True,
    ),
    "compare": Entry(
        "dateline.commands.eval.compare:compare_systems",
        "Say what differs between systems, by how much, and whether it is more than chance.",
        bare_is_help=True,
    ),
    "datasets": Entry(
        "dateline.commands.eval.datasets:datasets",
        "List judged sets: sizes, judgements, languages, licences, and doubts.",
    ),
    "gate": Entry(
        "dateline.commands.eval.gate:gate",
        "Hold new results against a baseline; exit with 0 for a pass, 1 for a fail, 2 for a "
        "mistake.",
        bare_is_help=True,
    ),
    "judge": Entry(
        "dateline.commands.eval.judge:judge",
        "Grade the hits of several profiles, without knowing whose they are.",
        bare_is_help=True,
    ),
    "machine-judge": Entry(
        "dateline.commands.eval.machine_judge:machine_judge",
        "Hold a language model's grades against people's, and let it grade the rest of a pool.",
        bare_is_help=True,
    ),
    "report": Entry(
        "dateline.commands.eval.report:report",
        "Write one page about results: measures with intervals, latency, slices, the worst "
        "queries.",
        bare_is_help=True,
    ),
    "run": Entry(
        "dateline.commands.eval.run:run",
        "Run judged sets through the pipeline that serves, and measure.",
        bare_is_help=True,
    ),
    "score": Entry(
        "dateline.commands.eval.score:score",
        "Measure a TREC run of any system, as `dateline eval run` measures its own.",
        bare_is_help=True,
    ),
    "unseen": Entry(
        "dateline.commands.eval.unseen:unseen",
        "Judge a model on sets that it did not learn from; exit with 2 if one had to be refused.",
        bare_is_help=True,
    ),
}

TUNE_COMMANDS = {
    "floor": Entry(
        "dateline.commands.tune.floor:floor",
        "Learn which hits are strong, and say how many relevant documents stay.",
        bare_is_help=True,
    ),
    "fusion": Entry(
        "dateline.commands.tune.fusion:fusion",
        "Choose the weights of the profile in use on judged queries, and say what they are worth.",
        bare_is_help=True,
    ),
    "growth": Entry(
        "dateline.commands.tune.growth:growth",
        "Measure one graph at growing sizes, fit laws to it, and say what they predict for 10 and "
        "100 million vectors, and in how many shards a target is met.",
    ),
    "hnsw": Entry(
        "dateline.commands.tune.hnsw:hnsw",
        "Build graphs, ask them, and recommend the fastest that meets a target.",
        bare_is_help=True,
    ),
}

MODELS_COMMANDS = {
    "list": Entry(
        "dateline.commands.models.store:list_models",
        "List the models that are here and those that can be pulled.",
    ),
    "verify": Entry(
        "dateline.commands.models.store:verify",
        "Check every file of the models by checksum and kind. Exit code 1 on a problem.",
    ),
    "pull": Entry(
        "dateline.commands.models.store:pull",
        "Fetch a model, check it and put it in place; continue where an earlier attempt stopped.",
        bare_is_help=True,
    ),
    "card": Entry(
        "dateline.commands.models.store:card",
        "Print a model's card: what it is, its licences, its figures with their commands.",
        bare_is_help=True,
    ),
    "package": Entry(
        "dateline.commands.models.store:package",
        "Pack models as model.tar.gz, which SageMaker puts into a container.",
        bare_is_help=True,
    ),
    "profile": Entry(
        "dateline.commands.models.profile:profile",
        "Show where a model's time goes, by operator, and how near each is to the machine's "
        "bounds.",
        bare_is_help=True,
    ),
    "bench": Entry(
        "dateline.commands.models.tools:bench_model",
        "Measure a model in every runtime that is installed, in turns, and whether they agree.",
        bare_is_help=True,
    ),
    "export": Entry(
        "dateline.commands.models.tools:export_model",
        "Turn a PyTorch checkpoint into ONNX, OpenVINO IR and TorchScript, or a model into "
        "SavedModel and TFLite, and prove each.",
        bare_is_help=True,
    ),
    "convert": Entry(
        "dateline.commands.models.convert:convert_model",
        "Write a model as a folder that transformers, sentence-transformers and optimum open.",
        bare_is_help=True,
    ),
    "quantize": Entry(
        "dateline.commands.models.tools:quantize_model",
        "Make a model smaller: int8, or float16 on disk.",
        bare_is_help=True,
    ),
    "distill": Entry(
        "dateline.commands.models.distill:distill_model",
        "Make a reranker of fewer layers from one of twelve, and judge both side by side.",
        bare_is_help=True,
    ),
}

capacity_app = lazy_group(COMMANDS["capacity"].line, CAPACITY_COMMANDS)
eval_app = lazy_group(COMMANDS["eval"].line, EVAL_COMMANDS)
tune_app = lazy_group(COMMANDS["tune"].line, TUNE_COMMANDS)
models_app = lazy_group(COMMANDS["models"].line, MODELS_COMMANDS)
app = lazy_group(
    "Dateline: hybrid search for a news agency's archive and wire.\n\n"
    "Settings come from dateline.toml, DATELINE_ variables and flags, in rising order of weight; "
    "`dateline settings` shows what is in force.",
    COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # it reads every installed package's place

        typer.echo(f"dateline {version('dateline-search')}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Show the version if it is asked for."""


def main() -> None:
    """Run the console script `dateline`."""
    if os.getpid() == _FIRST:
        signal.signal(signal.SIGTERM, _end)
    refuse_others()
    app()


def _end(number: int, _: object) -> None:
    """End at once, as every other process does by this signal: the first process of a container
    gets no signal that it has no handler for, and so would be killed later if it is stopped while
    it starts. An exception would not do: compiled modules that are being imported make another one
    of it. What runs sets handlers of its own.
    """
    os._exit(128 + number)


_FIRST = 1  # its number
