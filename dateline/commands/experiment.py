"""`dateline experiment`: versions of profiles, compared by what callers click."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from core.customers.experiments import Experiment, VersionBook, Way, exactly
from core.errors import InputError
from customers.use_log import UseLog
from dateline.build.customers.accounts import open_customers
from dateline.build.customers.use import use_log
from dateline.build.service import archive_clock, profiles
from dateline.commands.options import (
    AsJson,
    Data,
    Html,
    archive_settings,
    console,
    escape,
    reported,
    write_page,
)
from dateline.measuring.gate_rule import read_rule
from dateline.measuring.profile_changes import PREFIX, changed_profile, profile_settings
from dateline.measuring.run_sets import named_folder
from dateline.settings import Settings
from dateline.shown.account_tables import table_of
from dateline.shown.outcome_tables import print_verdict
from eval.compare.experiment import Finding, find, length_said
from eval.compare.gate import Rule, judge
from eval.compare.gate_baseline import read_baseline
from eval.compare.pairing import read_system
from eval.report import experiment_page
from search.interleaving import check_rivals
from search.profiles import Profile, profile_named
from storage.customers.experiments import StoredExperiments

app = typer.Typer(
    no_args_is_help=True, help="Versions of ranking profiles, compared by what callers click."
)
EXIT_FAILED = 1  # the gate, or the experiment itself, says no
Name = Annotated[str, typer.Argument(help="The experiment's name.")]
ProfileName = Annotated[
    str, typer.Option("--profile", help="The profile.", show_default="the setting profile")
]
_MEASURED = "deadline_ms"  # may differ in an evaluation, where a slow machine must not decide


@dataclass(frozen=True, slots=True)
class _Desk:
    """What the commands work with."""

    settings: Settings
    store: StoredExperiments
    log: UseLog
    now: datetime

    def profile(self, name: str, book: VersionBook, number: int) -> Profile:
        """Return a version of a profile of the settings. Raises QueryError, SettingsError."""
        plain = profile_named(profiles(self.settings), name)
        return changed_profile(plain, self.changes(name, book, number))

    def changes(self, name: str, book: VersionBook, number: int) -> dict[str, str]:
        """Return the changes of a version; version 0 has none."""
        return dict(book.versions[exactly(name, number)].changes) if number else {}

    def finding(self, experiment: Experiment) -> tuple[Finding, list[str]]:
        """Return what an experiment found, and what is to say of its length and limits."""
        queries = [*self.log.kept()]
        recent = self.now - timedelta(days=14)
        clicked = sum(query.first_click is not None and query.at >= recent for query in queries)
        finding = find(experiment, queries, self.now)
        end = experiment.started + timedelta(days=self.log.rules.days)
        said = [length_said(finding, clicked / 14)]
        if experiment.stopped is None:
            said.append(
                f"it ends by itself on {end:%Y-%m-%d}: its first queries leave the log then"
            )
        return finding, said


@app.command("versions")
def versions(as_json: AsJson = False, data: Data = None) -> None:
    """List the versions of profiles, and which is in force."""
    with reported(), _desk(data) as desk:
        book = desk.store.book()
    rows = [
        {
            "version": name,
            "made": f"{one.made:%Y-%m-%d %H:%M}",
            "in_force": book.in_force.get(one.profile, 0) == one.number,
            "changes": _flags(one.changes),
        }
        for name, one in book.versions.items()
    ]
    if as_json:
        console.print_json(orjson.dumps(rows).decode())
    elif rows:
        console.print(table_of(rows, "version", "made", "in_force", "changes"))
    else:
        console.print("every profile is as the settings have it")


@app.command("start", no_args_is_help=True)
def start(
    name: Name,
    changes: Annotated[
        list[str],
        typer.Option("--set", help="A field and its value: lexical_weight=0.6. Repeatable."),
    ],
    profile: ProfileName = "",
    by_callers: Annotated[
        bool,
        typer.Option("--ab", help="Give each caller one of the two, in place of one mixed list."),
    ] = False,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Make a new version of a profile, and compare it with the one in force.

    Both fill one list in turns, and clicks are votes. With --ab each account gets one of the two,
    chosen by its name and a secret of the experiment. Only searches that are in the use log, and
    that ask for no profile, take part. Every service takes it up within a second.
    """
    with reported(), _desk(data) as desk:
        if not desk.settings.use_log_accounts:
            raise InputError(
                "no account agreed that its clicks are kept, so nothing would be found",
                mend="name accounts in the setting use_log_accounts",
            )
        chosen, book = profile or desk.settings.profile, desk.store.book()
        base = book.in_force.get(chosen, 0)
        given = dict(_change(text) for text in changes)
        wanted = desk.changes(chosen, book, base) | given
        plain = profile_named(profiles(desk.settings), chosen)
        candidate, served = changed_profile(plain, wanted), desk.profile(chosen, book, base)
        if not by_callers:
            check_rivals(served, candidate)
        if candidate == served:
            raise InputError("the candidate is the same as what is in force", where="--set")
        way = Way.AB if by_callers else Way.INTERLEAVE
        secret = secrets.token_bytes(32)
        made = desk.store.start(
            Experiment(_plain(name), way, chosen, base, 0, desk.now, secret=secret), wanted
        )
        finding, said = desk.finding(made)
    _tell(finding, said, as_json)


@app.command("status")
def status(
    name: Annotated[str, typer.Argument(help="The experiment; all of them if left out.")] = "",
    as_json: AsJson = False,
    html: Html = None,
    data: Data = None,
) -> None:
    """Show what an experiment found so far. You may look as often as you like."""
    with reported():
        with _desk(data) as desk:
            if not name:
                rows = [_row(one) for one in desk.store.experiments()]
                _list(rows, as_json)
                return
            experiment = desk.store.experiment(name)
            if experiment.outcome:
                console.print_json(experiment.outcome)
                return
            finding, said = desk.finding(experiment)
        if html is not None:
            write_page(html, experiment_page(finding, said))
    _tell(finding, said, as_json)


@app.command("stop", no_args_is_help=True)
def stop(name: Name, as_json: AsJson = False, data: Data = None) -> None:
    """End an experiment and keep what it found. The version in force stays."""
    with reported(), _desk(data) as desk:
        experiment = desk.store.experiment(name)
        finding, said = desk.finding(experiment)
        _end(desk, finding, said)
    _tell(finding, said, as_json)


@app.command("promote", no_args_is_help=True)
def promote(
    name: Name,
    runs: Annotated[
        str, typer.Option(help="What `dateline eval run --output` wrote for the candidate.")
    ] = "",
    baseline: Annotated[
        Path | None, typer.Option(help="The gate's baseline, as of `dateline eval gate`.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML with the gate's rule, as of `dateline eval gate`.")
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--undecided", help="Although the experiment did not favour it.")
    ] = False,
    data: Data = None,
) -> None:
    """Put the candidate in force, if its judged results pass the gate and callers prefer it.

    The results must be of exactly this version. The experiment ends. Exit code 1: the gate or the
    experiment says no, and nothing changes. `dateline experiment rollback` takes it back.
    """
    with reported(), _desk(data) as desk:
        experiment = desk.store.experiment(name)
        passed = _passes(desk, experiment, runs, baseline, config)
        finding, said = desk.finding(experiment)
        ended = experiment.outcome or _end(desk, finding, said) if passed else ""
        verdict = orjson.loads(ended)["verdict"] if ended else "open"
        goes = passed and (anyway or verdict == "candidate")
        if goes:
            why = f"promoted by {name}, {verdict}"
            desk.store.put_in_force(experiment.profile, experiment.candidate, desk.now, why)
    if not goes:
        reason = f"the experiment says {verdict}" if passed else "the gate says no"
        console.print(escape(f"{reason}: {experiment.base_name} stays in force"))
        raise typer.Exit(EXIT_FAILED)
    console.print(escape(f"{experiment.candidate_name} is in force, in every service in a second"))


@app.command("rollback")
def rollback(profile: ProfileName = "", data: Data = None) -> None:
    """Put the version in force again that was before the present one."""
    with reported(), _desk(data) as desk:
        chosen, book = profile or desk.settings.profile, desk.store.book()
        if book.running is not None and book.running.profile == chosen:
            what = f"the experiment {book.running.name} compares with what is in force"
            raise InputError(what, mend="stop it first")
        if chosen not in book.in_force:
            raise InputError(f"no version of {chosen} was ever promoted", where="--profile")
        number = desk.store.before(chosen)
        desk.store.put_in_force(chosen, number, desk.now, "rolled back")
    console.print(escape(f"{exactly(chosen, number)} is in force, in every service in a second"))


def _passes(
    desk: _Desk, experiment: Experiment, runs: str, baseline: Path | None, config: Path | None
) -> bool:
    """Return whether the candidate's judged results pass the gate, and print the verdict."""
    book = desk.store.book()
    candidate = desk.profile(experiment.profile, book, experiment.candidate)
    if not runs or baseline is None:
        changes = desk.changes(experiment.profile, book, experiment.candidate)
        run = f"eval run SET --profile {experiment.profile} {_flags(changes)} --output RUNS"
        raise InputError(
            "a promotion needs judged results of the candidate and the gate's baseline",
            where="--runs, --baseline",
            mend=f"measure it with `dateline {run}`, and name RUNS and the baseline",
        )
    label, folder = named_folder(runs)
    results = read_system(folder, label)
    wanted = profile_settings(candidate)
    for result in results:
        said = result.system.settings
        others = [k for k, v in wanted.items() if said.get(k) != v and not k.endswith(_MEASURED)]
        if result.system.profile != experiment.profile or others:
            what = f"these results are of {result.system.profile} with other {', '.join(others)}"
            mend = f"`dateline experiment versions` has the flags of {experiment.candidate_name}"
            raise InputError(what, where=str(folder), mend=mend)
    rule = read_rule(config) if config is not None else Rule()
    verdict = judge(read_baseline(baseline), results, rule)
    print_verdict(verdict)
    return verdict.passed


def _end(desk: _Desk, finding: Finding, said: list[str]) -> str:
    """Stop an experiment, and return what is kept of it. One that is over already stays so."""
    if finding.experiment.outcome:
        return finding.experiment.outcome
    outcome = orjson.dumps(_tree(finding, said)).decode()
    desk.store.stop(finding.experiment.name, desk.now, outcome)
    return outcome


def _tree(finding: Finding, said: list[str]) -> dict[str, Any]:
    experiment = finding.experiment
    return {
        **_row(experiment),
        "verdict": finding.verdict,
        "queries": finding.queries,
        "candidate_units": finding.wins,
        "base_units": finding.losses,
        "units": "callers" if experiment.way is Way.AB else "votes",
        "means": [*finding.means] if experiment.way is Way.AB else None,
        "interval": None if experiment.way is Way.AB else [*finding.interval],
        "e_value": finding.evidence.now,
        "largest_e_value": finding.evidence.most,
        "needed": finding.needed,
        "said": said,
    }


def _row(experiment: Experiment) -> dict[str, Any]:
    stopped = experiment.stopped
    return {
        "name": experiment.name,
        "way": experiment.way.value,
        "candidate": experiment.candidate_name,
        "base": experiment.base_name,
        "started": f"{experiment.started:%Y-%m-%d %H:%M}",
        "stopped": f"{stopped:%Y-%m-%d %H:%M}" if stopped else "",
    }


def _tell(finding: Finding, said: list[str], as_json: bool) -> None:
    if as_json:
        console.print_json(orjson.dumps(_tree(finding, said)).decode())
        return
    for key, value in _tree(finding, said).items():
        if key != "said" and value not in (None, ""):
            console.print(escape(f"{key.replace('_', ' '):18} {value}"))
    for line in said:
        console.print(escape(line))


def _list(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        console.print_json(orjson.dumps(rows).decode())
    elif rows:
        console.print(table_of(rows, "name", "way", "candidate", "base", "started", "stopped"))
    else:
        console.print("there was no experiment yet")


def _flags(changes: Mapping[str, str]) -> str:
    """Return the flags by which `dateline eval run` measures a version."""
    return " ".join(f"--set {PREFIX}{key}={value}" for key, value in changes.items())


def _change(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        mend = "write a field and its value, such as lexical_weight=0.6"
        raise InputError(f"{text!r} is no change", where="--set", mend=mend)
    return key.strip().removeprefix(PREFIX), value.strip()


def _plain(name: str) -> str:
    if not name.strip() or len(name) > 64:
        raise InputError("an experiment's name has 1 to 64 characters", where="NAME")
    return name.strip()


@contextmanager
def _desk(data: Any) -> Iterator[_Desk]:
    settings = archive_settings(data=data)
    database = open_customers(settings)
    try:
        clock = archive_clock(settings)
        log = use_log(settings, database, clock)
        yield _Desk(settings, StoredExperiments(database), log, clock())
    finally:
        database.close()
