"""What this machine is, and what one of its threads can do at most."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from capacity.instances import UNKNOWN, processor_kind
from capacity.measurements import MachineFacts, Peaks
from inference.measuring.machine import measure_limits, times

_PAGE = os.sysconf("SC_PAGE_SIZE")
_BLOCK = 1 << 26  # bytes, larger than caches
_STEPS = 100_000


def machine_peaks() -> Peaks:
    """Measure what one thread can do at most, for about two seconds."""
    limits = measure_limits(sizes=(_BLOCK,))
    return Peaks(
        limits.int8,
        limits.float32,
        limits.bandwidth(_BLOCK),
        1.0 / min(times(_python_loop, 0.3)) * _STEPS,
        float(np.median(_syncs(50))),
    )


def _python_loop() -> int:
    """Take a fixed number of steps of plain Python."""
    total, names = 0, {"a": 1, "b": 2}
    for number in range(_STEPS):
        total += names["a" if number & 1 else "b"]
    return total


def _syncs(rounds: int) -> list[float]:
    """Return milliseconds of writing 4 KiB and waiting for the disk."""
    found = []
    with tempfile.TemporaryFile() as file:
        for _ in range(rounds):
            began = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            found.append((time.perf_counter() - began) * 1000)
    return found


def machine_facts(peaks: Peaks) -> MachineFacts:
    """Return what /proc says of this machine; its curve is not measured yet."""
    text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    allowed = os.sched_getaffinity(0)
    blocks = [dict(_fields(block)) for block in text.strip().split("\n\n")]
    here = [b for b in blocks if int(b.get("processor", -1)) in allowed] or blocks
    places = {(b.get("physical id", ""), b.get("core id", n)) for n, b in enumerate(here)}
    name = _processor(here[0])
    memory = os.sysconf("SC_PHYS_PAGES") * _PAGE
    threads = len(allowed)
    return MachineFacts(name, threads, min(threads, len(places)), float(memory), peaks, (1.0,))


def _processor(fields: Mapping[str, str]) -> str:
    """Return a processor's name, and its family and model if the name does not tell its kind, as
    that of a virtual machine may not.
    """
    name = fields.get("model name", "unknown")
    if processor_kind(name) != UNKNOWN or "cpu family" not in fields:
        return name
    return f"{name} (family {fields['cpu family']}, model {fields.get('model', '?')})"


def _fields(block: str) -> Iterator[tuple[str, str]]:
    for line in block.splitlines():
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()
