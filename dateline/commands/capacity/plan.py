"""`dateline capacity plan`: which machines, how many, at what cost; or what a fleet holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Annotated

import orjson
import typer

from capacity.demand import Demand, amount, backfill, milliseconds, read_log
from capacity.instances import Instance, instances
from capacity.measurements import Measurements, read_measurements
from capacity.mix import Mix
from capacity.plan import Planner
from capacity.prices import Prices, read_prices
from capacity.report import mix_tree, plan_markdown, plan_page, plan_tree
from core.errors import InputError
from dateline.commands.options import (
    AsJson,
    Html,
    console,
    errors,
    escape,
    listed,
    reported,
    write_page,
)
from eval.report import need_packages

_FLEET = re.compile(r"\s*(\d{1,4})\s*x\s*([a-z0-9.-]+)\s*", re.IGNORECASE)
_PATIENCE_S = 3.0


def plan(
    qps: Annotated[str, typer.Option(help="Searches a second, on average.")] = "",
    burst: Annotated[float, typer.Option(help="Times as many in a burst.")] = 1.0,
    p95: Annotated[str, typer.Option(help="Held in a burst.")] = "150ms",
    items: Annotated[str, typer.Option(help="Items that are shown, such as 12M.")] = "1M",
    profile: Annotated[str, typer.Option(help="Ranking profile.")] = "hybrid",
    passages: Annotated[float, typer.Option(help="Passages of an item, on average.")] = 2.0,
    characters: Annotated[float, typer.Option(help="Characters of an item's text.")] = 2000.0,
    answer: Annotated[float, typer.Option(help="KB of an answer.")] = 20.0,
    ingest: Annotated[
        list[str] | None, typer.Option(help="A backfill, such as '3M photos/5d'. Repeatable.")
    ] = None,
    video: Annotated[float, typer.Option(help="Seconds of a video.", min=1)] = 60.0,
    caption: Annotated[str, typer.Option(help="Whose captions to reckon; all by default.")] = "",
    grows: Annotated[float, typer.Option(help="Growth in a year: .3 is 30 %.")] = 0.0,
    engine: Annotated[str, typer.Option(help="embedded, opensearch or any.")] = "any",
    remote: Annotated[
        str, typer.Option(help="Models elsewhere: ec2, sagemaker, serverless, lambda or any.")
    ] = "any",
    filter_: Annotated[
        str, typer.Option("--filter", help="Every search is narrowed by: rights, date or facet.")
    ] = "",
    vectors: Annotated[
        str, typer.Option(help="Vectors of the embedded engine: graphs, lists (inverted) or any.")
    ] = "any",
    families: Annotated[
        str, typer.Option(help="Families to choose from, by commas, such as c6i,m6i; all.")
    ] = "",
    fleet: Annotated[
        str, typer.Option(help="Say what this holds instead, such as 3xr6i.2xlarge.")
    ] = "",
    arrivals: Annotated[
        Path | None, typer.Option(help="Log to play: moments in seconds, one a line.")
    ] = None,
    measurements: Annotated[
        list[Path] | None,
        typer.Option(
            "--measurements",
            "-m",
            help="Files of `capacity measure`; the first has the times, others more machines.",
            show_default="measurements.json",
        ),
    ] = None,
    prices: Annotated[
        Path | None, typer.Option(help="File of prices.", show_default="those that ship")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write it as Markdown, too.")] = None,
    html: Html = None,
    as_json: AsJson = False,
) -> None:
    """Say which machines a load needs, how many, what they cost, and what binds.

    The slow end of every estimate counts, in a burst, with one host missing. If no mix holds the
    load as asked, the exit code is 1, and the plan says what binds, and what holds it with one
    change.
    """
    with reported():
        if html is not None:
            need_packages()
        demand = Demand(
            amount(qps, "--qps"),
            burst,
            milliseconds(p95, "--p95"),
            amount(items, "--items"),
            profile,
            passages,
            characters,
            answer,
            grows,
            tuple(backfill(each) for each in ingest or ()),
            video,
            caption,
            _one_of(engine, ("embedded", "opensearch", "any"), "--engine"),
            _one_of(remote, ("", "ec2", "sagemaker", "serverless", "lambda", "any"), "--remote"),
            filter_,
            _one_of(vectors, ("graphs", "lists", "any"), "--vectors"),
        )
        demand.check()
        files = [read_measurements(path) for path in measurements or [Path("measurements.json")]]
        paid = read_prices(prices)
        others = tuple(each.machine for each in files[1:])
        planner = Planner(files[0], paid, others, _of_families(families), say=_say_later())
        if fleet:
            _show_fleet(planner.holds(demand, _fleet(fleet)), demand, as_json=as_json)
            return
        found = planner.plan(demand, read_log(arrivals) if arrivals else ())
        about = _about(files[0], paid)
        if html is not None:
            write_page(html, plan_page(found, about))
        text = plan_markdown(found, about)
        if markdown is not None:
            write_page(markdown, text)
    if as_json:
        tree = {**plan_tree(found), "about": about}
        typer.echo(orjson.dumps(tree, option=orjson.OPT_INDENT_2).decode())
    else:
        console.print(escape(text))
    if not found.holds:
        raise typer.Exit(1)


def _say_later() -> Callable[[str], None]:
    """Return what tells the progress of a plan on the error stream, once it takes some seconds."""
    began = perf_counter()

    def say(what: str) -> None:
        seconds = perf_counter() - began
        if seconds > _PATIENCE_S:
            errors.print(escape(f"{seconds:4.0f} s  {what}"), style="dim")

    return say


def _one_of(value: str, known: tuple[str, ...], where: str) -> str:
    if value not in known:
        mend = f"one of {', '.join(name for name in known if name)}"
        raise InputError(f"{value!r} is not known", where=where, mend=mend)
    return value


def _of_families(text: str) -> tuple[Instance, ...]:
    wanted, known = set(listed(text)), {each.family for each in instances()}
    if wanted - known:
        mend = f"known are {', '.join(sorted(known))}"
        what = f"no family {', '.join(sorted(wanted - known))}"
        raise InputError(what, where="--families", mend=mend)
    return tuple(each for each in instances() if not wanted or each.family in wanted)


def _fleet(text: str) -> dict[str, int]:
    match = _FLEET.fullmatch(text)
    if match is None or int(match[1]) < 1:
        mend = "how many of which type: 3xr6i.2xlarge"
        raise InputError(f"{text!r} is no fleet", where="--fleet", mend=mend)
    return {match[2].lower(): int(match[1])}


def _about(measured: Measurements, prices: Prices) -> tuple[str, ...]:
    machine = measured.machine
    how = f"{machine.processor}, {machine.threads} threads of {machine.cores} cores"
    version = f"{measured.made}, Dateline {measured.version}"
    narrowed = ", ".join(f"{name} {times:.2f}" for name, times in measured.filters().items())
    said = f"Measured times of a search with a filter, in that of one without: {narrowed}."
    return (
        f"Measured on {how}, {version}; repeated measurements differ by {measured.noise:.0%}.",
        *((said,) if narrowed else ()),
        prices.age(datetime.now(UTC).date()),
    )


def _show_fleet(mix: Mix, demand: Demand, *, as_json: bool) -> None:
    if as_json:
        typer.echo(orjson.dumps(mix_tree(mix), option=orjson.OPT_INDENT_2).decode())
        return
    console.print(
        escape(
            f"{mix.name} hold {mix.holds:.1f} searches a second within {demand.p95_ms:g} ms at "
            f"p95, with one missing; {mix.binds} binds"
        )
    )
    for note in mix.notes:
        console.print(escape(note))
    console.print(escape(f"${mix.dollars:,.0f} a month"))
