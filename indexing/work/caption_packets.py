"""Packets of stills: which stills are chosen, how small they are sent, and which may be sent now.

Whether a still may be sent is judged at the last moment, by the record of its item at that time. A
still that waits for another model or prompt than the present one is not chosen. Of stills that look
the same one is chosen.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from core.errors import NotFoundError
from core.ports.media import MediaStore
from core.ports.work import WaitingStills
from core.work import WaitingStill
from indexing.captions.rights import RightsNow
from indexing.work.stages.asking import Looks, Scale

PAGE = 1_000


@dataclass(slots=True)
class Judged:
    """A packet's stills that may be sent, the ids of forbidden ones, and the keys of those that the
    record does not have yet (`later`) and of those that wait for another model (`outdated`).
    """

    fit: list[WaitingStill] = field(default_factory=list)
    forbidden: list[int] = field(default_factory=list)
    later: set[str] = field(default_factory=set)
    outdated: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Packets:
    """Packets of the stills `waiting` for captions by one model and prompt, whose digest is
    `terms`; a packet has at most `most` stills.
    """

    waiting: WaitingStills
    terms: str
    store: MediaStore
    scale: Scale
    rights: RightsNow
    most: int

    def chosen(self, put_off: Collection[str]) -> set[str]:
        """Return the keys of the next stills to send, all of different look; not
        those `put_off`.
        """
        looks: dict[str, Looks] = {}
        for still in self.waiting.under_way():
            looks.setdefault(still.space, Looks()).add(still.similarity)
        chosen: set[str] = set()
        after = 0
        while len(chosen) < self.most and (page := self.waiting.unsent(after, PAGE)):
            after = page[-1].id
            for still in page:
                seen = looks.setdefault(still.space, Looks())
                is_fit = still.terms == self.terms and still.key not in put_off
                if not is_fit or seen.nearest(still.similarity) is not None:
                    continue
                seen.add(still.similarity)
                chosen.add(still.key)
                if len(chosen) == self.most:
                    break
        return chosen

    def pictures(self, packet: str) -> tuple[dict[str, bytes], set[str]]:
        """Return the stills of a packet by key, as small as they are sent; and the keys of those
        that were removed from the store and can't be described.
        """
        jpegs: dict[str, bytes] = {}
        gone: set[str] = set()
        for still in {still.key: still for still in self.stills(packet)}.values():
            try:
                with self.store.open(still.still) as stream:
                    jpegs[still.key] = self.scale(stream.read())
            except NotFoundError:
                gone.add(still.key)
        return jpegs, gone

    def judged(self, packet: str, keys: Collection[str]) -> Judged:
        """Judge which stills of a packet may be sent now; one picture in several places, each
        alone.
        """
        stills = [still for still in self.stills(packet) if still.key in keys]
        uris = list(dict.fromkeys(still.uri for still in stills))
        rights = dict(zip(uris, self.rights(uris), strict=True)) if uris else {}
        found = Judged()
        for still in stills:
            if still.terms != self.terms:
                found.outdated.add(still.key)
            elif rights[still.uri] is None:
                found.later.add(still.key)
            elif not (rights[still.uri] and still.may_leave):
                found.forbidden.append(still.id)
            else:
                found.fit.append(still)
        return found

    def stills(self, packet: str) -> list[WaitingStill]:
        """Return the present stills of a packet."""
        return [still for still in self.waiting.under_way() if still.packet == packet]
