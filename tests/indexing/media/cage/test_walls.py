"""The walls around a child: what the kernel refuses it, with and without namespaces."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import dateline
from indexing.media.cage import seccomp as cage_seccomp
from indexing.media.reading import CagedReader

ROOT = Path(dateline.__file__).parent.parent
linux = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")
WALLED = """
import ctypes, os, platform, socket, sys, json
sys.path.insert(0, sys.argv[1])
from indexing.media.cage.walls import build_walls, leave_the_network
left = leave_the_network() if {own} else "none were asked for"
walls = build_walls(2**31, left, network={network})
def does(work):
    try:
        work()
    except OSError as error:
        return type(error).__name__
    return "done"
libc = ctypes.CDLL(None, use_errno=True)
def signal_parent():
    number = {{"x86_64": 234, "aarch64": 131}}[platform.machine()]
    if libc.syscall(number, os.getppid(), os.getppid(), 0):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
def fork():
    if os.fork() == 0:
        os._exit(0)
def reach():
    socket.create_connection(("127.0.0.1", int(sys.argv[3])), 2)
told = {{
    "open": does(lambda: os.open(sys.argv[2], os.O_RDONLY)),
    "write": does(lambda: os.open(sys.argv[2] + ".new", os.O_CREAT | os.O_WRONLY)),
    "list": does(lambda: os.listdir("/")),
    "fork": does(fork),
    "exec": does(lambda: os.execv("/bin/true", ["true"])),
    "kill": does(lambda: os.kill(os.getppid(), 0)),
    "signal a thread": does(signal_parent),
    "network": does(reach),
    "unix": does(lambda: socket.socket(socket.AF_UNIX)),
    "walls": str(walls),
}}
os.write(1, json.dumps(told).encode())
"""


@linux
@pytest.mark.parametrize(("network", "own"), [(False, True), (True, True), (False, False)])
def test_behind_the_walls_nothing_is_opened_started_or_reached(
    network: bool, own: bool, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    canary.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                WALLED.format(network=network, own=own),
                str(ROOT),
                str(canary),
                str(port),
            ],
            capture_output=True,
            timeout=240,
            check=True,
            text=True,
        )
        with pytest.raises(TimeoutError):
            server.accept()
    told = json.loads(done.stdout)
    if "seccomp" in told["walls"]:
        pytest.skip(told["walls"])
    assert told.pop("network") != "done"
    assert told.pop("walls")
    assert set(told.values()) == {"PermissionError"}, told


@linux
def test_a_reader_says_what_protects_it(reader: CagedReader) -> None:
    found = reader.protection()
    assert found.memory
    assert found.no_new_privileges
    assert found.no_network == ("no network" in str(found))


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("network", [False, True])
def test_the_filter_is_a_program_that_ends_everywhere(machine: str, network: bool) -> None:
    """Jumps go forward and stay inside, and the last word is a refusal (seccomp(2))."""
    code = cage_seccomp.program(machine, network=network, own=1234)
    steps = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    assert len(steps) < 4096
    for number, (what, if_true, if_false, _) in enumerate(steps):
        if what in (0x15, 0x45, 0x35):
            assert max(if_true, if_false) < len(steps) - number - 1
    assert steps[-1] == (0x06, 0, 0, 0x00050001)
