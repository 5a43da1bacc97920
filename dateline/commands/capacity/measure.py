"""`dateline capacity measure`: this machine's service times, for a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capacity.demand import amount
from capacity.measurements import Measurements, write_measurements
from core.errors import InputError
from dateline.commands.options import (
    Models,
    console,
    errors,
    escape,
    listed,
    reported,
    settings_for,
    write_result,
)
from dateline.measuring.capacity.run import MeasurePlan
from dateline.measuring.capacity.run import measure as measured


def measure(
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path(
        "measurements.json"
    ),
    passages: Annotated[
        str, typer.Option(help="Sizes of the made archives, by commas; two or more show growth.")
    ] = "25k,100k",
    profiles: Annotated[
        str, typer.Option(help="Profiles to search by, by commas.")
    ] = "hybrid,hybrid-rerank",
    searches: Annotated[int, typer.Option(help="Searches of each.", min=30)] = 400,
    seconds: Annotated[float, typer.Option(help="Time of each number of clients.", min=0.5)] = 10.0,
    models: Models = None,
) -> None:
    """Measure service times, memory and the machine's peaks here, for `dateline capacity plan`.

    It makes an archive in a temporary folder, serves it and asks it. Nothing else should run
    meanwhile: the file says by how much repeated measurements differed.
    """
    with reported():
        sizes = tuple(round(amount(each, "--passages")) for each in listed(passages))
        if not sizes:
            raise InputError("name a size", where="--passages", mend="25k,100k")
        plan = MeasurePlan(sizes, tuple(listed(profiles)), searches, seconds)
        found = measured(settings_for(models=models), plan, _say)
        write_result(output, write_measurements(found))
    _show(found, output)


def _say(what: str) -> None:
    errors.print(escape(what), style="dim")


def _show(found: Measurements, output: Path) -> None:
    machine = found.machine
    console.print(
        escape(
            f"{machine.processor}, {machine.threads} threads of {machine.cores} cores, together "
            f"{machine.curve[-1]:.2f} times the work of one"
        )
    )
    for each in found.searches:
        said = f"{each.profile}, {each.passages:,} passages: {each.alone:.1f} ms alone"
        if each.filter:
            said += f", with a filter by {each.filter} that leaves {each.allowed:.0%}"
        console.print(escape(said))
    console.print(f"noise: repeated measurements differ by {found.noise:.0%}")
    console.print(f"it took {found.took_s:.0f} s")
    console.print(f"written to {escape(str(output))}")
