"""Describes the machine of a measurement, and prints figures."""

from __future__ import annotations

import argparse
import os
import platform
import resource
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from rich.console import Console
from rich.table import Table

REUTERS = Path("../shared/datasets/reuters21578")
_PACKAGES = ("numpy", "onnxruntime", "faiss-cpu", "tantivy", "tokenizers", "fastapi", "uvicorn")


@dataclass(frozen=True, slots=True)
class Machine:
    """Processor, cores that this process may use, memory in GiB, load at the start, and
    versions.
    """

    cpu: str
    cores: int
    memory_gib: float
    load: float
    system: str
    python: str
    packages: Mapping[str, str]

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {number}" for name, number in self.packages.items())
        return (
            f"{self.cpu}, {self.cores} cores, {self.memory_gib:.0f} GiB, load {self.load:.1f}\n"
            f"{self.system}, Python {self.python}, {versions}"
        )


def this_machine() -> Machine:
    """Return the machine that this process runs on."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(pages / 2**30, 1),
        load=round(os.getloadavg()[0], 2),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        packages={name: _version(name) for name in _PACKAGES},
    )


def arguments(description: str | None, *, json: bool = True) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark."""
    first = (description or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(description=first)
    if json:
        parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def show(title: str, figures: Mapping[str, Any], machine: Machine, *, as_json: bool) -> None:
    """Print figures (numbers by name, with the unit in the name), and the machine."""
    if as_json:
        tree = {"benchmark": title, "figures": dict(figures), "machine": asdict(machine)}
        print(orjson.dumps(tree, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode())
        return
    print(title)
    width = max(len(name) for name in figures)
    for name, value in figures.items():
        shown = f"{value:,.2f}" if isinstance(value, float) else f"{value}"
        print(f"  {name:<{width}}  {shown}")
    print(machine)


def show_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table of names in the first column and numbers in the others."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for number, name in enumerate(head):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(soft_wrap=True)
    # A file or a pipe has no width, so nothing may be cut off there.
    Console(soft_wrap=True, width=None if console.is_terminal else 200).print(table)


def percentile(times: list[float], at: float) -> float:
    """Return a percentile (0..100) of seconds, in milliseconds."""
    return float(np.percentile(times, at)) * 1000


def peak_memory_mb() -> float:
    """Return the largest resident memory of this process so far, in MB of 10^6 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
