"""Runs judged sets in turn, here or at an address, and writes each result when it is done."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from core.errors import InputError, SettingsError
from dateline.archive_folder import archive_folder
from dateline.build.models.served import load_models
from dateline.build.service import profiles
from dateline.measuring.evaluate import RunPlan, run_set
from dateline.measuring.profile_changes import PREFIX
from dateline.measuring.provenance import LEFT_OUT
from dateline.settings import Settings
from eval.runs.answering import Answer
from eval.runs.measures import DEFAULT_MEASURES, VIEWS, names_of, parse_measures
from eval.runs.remote_search import ServiceAnswers, open_service
from eval.runs.results import RunResult, System, write_result
from eval.runs.runner import check_depth, evaluate_answers
from eval.sets.datasets import read_judged_set
from eval.sets.judged import JudgedSet
from indexing.ingest import Observer, Silent
from search.answers import DateUse, EntityUse

RUNS = "eval-runs"
_LONGEST_NAME = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9._=+-]+")


class Watching(Protocol):
    """Gets the progress of a run."""

    def indexing(self, label: str) -> Observer:
        """Return the observer of a set's indexing."""
        ...

    def asked(self, label: str, done: int, total: int) -> None:
        """Take how many of a set's queries have their answers."""
        ...


class Unwatched:
    """Ignores the progress of a run."""

    def indexing(self, label: str) -> Observer:
        """Return an observer that does nothing."""
        return Silent()

    def asked(self, label: str, done: int, total: int) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of `--set`: settings by name, and fields of the profile by name."""

    settings: Mapping[str, object]
    profile: Mapping[str, str]


def read_changes(pairs: Sequence[str]) -> Changes:
    """Read `key=value` pairs: a setting, or with `profile.` a field of the profile;
    `runtimes.MODEL` is one entry of that table. Raises SettingsError for another form, or for a key
    that is given twice.
    """
    settings: dict[str, object] = {}
    profile: dict[str, str] = {}
    runtimes: dict[str, str] = {}
    keys: set[str] = set()
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not key or key in keys:
            what = f"{key} is set twice" if key in keys else f"{pair!r} sets nothing"
            raise SettingsError(what, where="--set", mend="write --set key=value, each key once")
        keys.add(key)
        if key.startswith(PREFIX):
            profile[key.removeprefix(PREFIX)] = value
        elif key.startswith("runtimes."):
            runtimes[key.removeprefix("runtimes.")] = value
        else:
            settings[key] = value
    return Changes(settings | ({"runtimes": runtimes} if runtimes else {}), profile)


def measures_of(names: str, depth: int) -> tuple[str, ...]:
    """Return the measures named by commas ("" for the default ones), and the views that fit into
    `depth`. Raises InputError for an unknown name or one that needs more depth.
    """
    wanted = parse_measures(names_of(names) or DEFAULT_MEASURES)
    check_depth(wanted, depth)
    views = [view for view in parse_measures(VIEWS) if view.cutoff <= depth]
    return tuple(dict.fromkeys(str(each) for each in (*wanted, *views)))


def read_sets(names: Sequence[str]) -> list[JudgedSet]:
    """Read and check all sets before the first is run. Raises InputError for one named twice."""
    sets = [read_judged_set(name) for name in names]
    labels = [folder_name(judged) for judged in sets]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(f"{label} is named twice", mend="name each set once")
    return sets


def folder_name(judged: JudgedSet) -> str:
    """Return the name of a set's folder below the output folder."""
    return _UNSAFE.sub("-", f"{judged.name}-{judged.split}")


def system_name(
    profile: str,
    config: Path | None,
    changes: Changes,
    dates: DateUse | None = None,
    entities: EntityUse = EntityUse.BOOST,
) -> str:
    """Return a run's default name: its profile, the file of its settings, its changes."""
    told = [f"{name}={value}" for name, value in changes.profile.items()]
    told += [f"{name}={value}" for name, value in changes.settings.items() if name not in LEFT_OUT]
    told += [f"dates={dates.value}"] if dates is not None else []
    told += [f"entities={entities.value}"] if entities is not EntityUse.BOOST else []
    start = f"{profile}@{config.stem}" if config else profile
    return ",".join((start, *told))[:_LONGEST_NAME]


def default_output(settings: Settings, name: str) -> Path:
    """Return a new folder below the data folder."""
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return archive_folder(settings) / RUNS / f"{now}-{_UNSAFE.sub('-', name)}"


def run_here(
    settings: Settings,
    sets: Sequence[JudgedSet],
    plan: RunPlan,
    output: Path,
    watching: Watching,
) -> list[RunResult]:
    """Run every set through this process's pipeline; its models are loaded once."""
    profiles(settings.model_copy(update={"profile": plan.profile}), plan.changes)
    _make(output)
    models = load_models(settings)
    results = []
    for judged in sets:
        label = folder_name(judged)
        found = run_set(
            settings,
            judged,
            plan,
            watching.indexing(label),
            models=models,
            said=partial(watching.asked, label),
        )
        write_result(found, output / label)
        results.append(found)
    return results


def key_in(variable: str) -> str:
    """Return the key in the variable of that name, "" for none. Raises InputError if it is not
    set.
    """
    key = os.environ.get(variable, "") if variable else ""
    if variable and not key:
        raise InputError(f"the variable {variable} is not set", where="--key-env")
    return key


def run_there(
    url: str,
    key_variable: str,
    sets: Sequence[JudgedSet],
    plan: RunPlan,
    output: Path,
    watching: Watching,
) -> list[RunResult]:
    """Run every set through the service at `url`, with the key in the variable of that name."""
    key = key_in(key_variable)
    results = []
    with open_service(url, key) as client:
        service = ServiceAnswers(client, plan.profile, entities=plan.entities)
        profile = service.served_profile()
        place = str(client.base_url).rstrip("/")
        _make(output)
        models = service.models()
        system = System(plan.name or profile, profile, plan.requests, models, place=place)
        for judged in sets:
            label = folder_name(judged)
            answers = _OfOneSet(service, judged.uri_prefix)
            found = evaluate_answers(
                answers,
                plan.asking(judged),
                system,
                plan.depth,
                plan.measures,
                said=partial(watching.asked, label),
            )
            found = replace(found, notes=(*found.notes, *_doubts(judged, answers, place)))
            write_result(found, output / label)
            results.append(found)
    return results


def _make(output: Path) -> None:
    """Make the folder of a result before the work. Raises InputError."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"no folder can be made there: {error.strerror}"
        raise InputError(what, where=str(output)) from error


@dataclass(slots=True)
class _OfOneSet:
    """A service's answers. It counts their documents, and those of other sets."""

    service: ServiceAnswers
    uri_prefix: str
    found: int = 0
    strangers: int = 0

    def answer(self, text: str, depth: int, dates: DateUse = DateUse.FILTER) -> Answer:
        """Ask the service, and count the documents that are not of the set."""
        answer = self.service.answer(text, depth, dates)
        self.found += len(answer.uris)
        self.strangers += sum(not uri.startswith(self.uri_prefix) for uri in answer.uris)
        return answer


def _doubts(judged: JudgedSet, answers: _OfOneSet, place: str) -> list[str]:
    """Return notes on the unknown facts about a service. Raises InputError if it has only other
    documents: every measure would be 0 and say nothing about it.
    """
    notes = ["index, settings and version of the service are not known; times have the network's"]
    if judged.conventions.body_only:
        notes.append("whether the service has indexed titles is not known")
    if answers.strangers and answers.strangers == answers.found:
        what = f"the service found documents, but none of {judged.name}"
        mend = f"ingest the set there; its uris begin with {judged.uri_prefix}"
        raise InputError(what, where=place, mend=mend)
    if answers.strangers:
        notes.append(f"{answers.strangers} of the documents found are not of this collection")
    return notes


def named_folder(text: str) -> tuple[str, Path]:
    """Return the name and folder of `NAME=FOLDER`; the name of a folder alone is ""."""
    name, equals, folder = text.partition("=")
    return (name, Path(folder)) if equals and not Path(text).is_dir() else ("", Path(text))
