"""How much of this machine a file may use while it is decoded."""

from __future__ import annotations

import os
from dataclasses import dataclass


def _threads() -> int:
    return min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class CageLimits:
    """What a child process may use, and what it refuses by a file's header.

    `memory_bytes` is its whole address space. It may compute for `cpu_s` and be silent for
    `stall_s` between two answers (a batch of frames is one), and compute for `file_cpu_s` in all
    for one file; a live source has no such total. `picture_pixels` and `video_edge` are checked
    before anything is decoded. `tag_bytes` of a file's metadata are kept, and a still may have
    `still_bytes`. A child reads `files_per_child` files and is then replaced, so that the effects
    of one file end; `idle_children` are kept waiting. `threads` decode one video. `unsealed` reads
    files where less than `CageProtection.is_enough` protects.
    """

    memory_bytes: int = 1536 * 2**20
    cpu_s: int = 60
    stall_s: float = 120.0
    file_cpu_s: int = 4 * 3600
    picture_pixels: int = 250_000_000
    video_edge: int = 8192
    tag_bytes: int = 256 * 2**10
    still_bytes: int = 16 * 2**20
    files_per_child: int = 500
    idle_children: int = 4
    threads: int = _threads()
    unsealed: bool = False


@dataclass(frozen=True, slots=True)
class CageProtection:
    """The protections of a child on this machine, as the child itself found them at its start.

    `no_open`: the kernel refuses to open files by name and to start programs (seccomp).
    `no_network`: it also refuses sockets, or the child is alone in a network of its own
    (`own_network`). `no_new_privileges`, `memory`: as they say. `notes` name what failed, and why.
    """

    no_open: bool
    no_network: bool
    own_network: bool
    no_new_privileges: bool
    memory: bool
    notes: tuple[str, ...] = ()

    @property
    def is_enough(self) -> bool:
        """Return whether files of strangers may be read: a decoder that one of them has taken over
        can open no file, reach no network, gain no right and take no more than its memory.
        Namespaces are not needed for that.
        """
        return self.no_open and self.no_network and self.no_new_privileges and self.memory

    def __str__(self) -> str:
        parts = (
            (self.no_open, "opens no file"),
            (self.no_network, "no network"),
            (self.own_network, "network of its own"),
            (self.no_new_privileges, "no new privileges"),
            (self.memory, "memory limited"),
        )
        return "; ".join([words for holds, words in parts if holds] + list(self.notes)) or "nothing"


class Refusal(Exception):  # noqa: N818 - it is no error of ours
    """A child's refusal of a file that it can't read, or that exceeds a `limit`. `doubtful`: the
    reason may be that earlier files left the child too little memory.
    """

    def __init__(self, what: str, *, limit: bool = False, doubtful: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.limit = limit
        self.doubtful = doubtful
