"""The feed: a customer reads the transitions in their order, each as the guard allows it at this
moment.

A page begins at a position and ends at one. Which transitions lie between is fixed; what the page
says of each is decided when it is sent:

- an item that the account may see now is told with its whole content;
- an item that was taken away is told by its tombstone to an account that received it, by any
  channel;
- an item that no longer matches the session's query is told whole, as `updated`, to an account that
  received it: the account keeps no old version, and another of its sessions may still tell the
  item;
- an item whose kill was undone is told whole, as `shown`, to an account that received it, whatever
  the session's query: the account was told the kill so, too;
- everything else is passed over, and the position moves on.

So the same link gives the same positions again, and never an item that was killed since.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from math import ceil
from time import monotonic

from core.callers import Caller, folded
from core.customers.transitions import (
    ENDS,
    START,
    FeedSession,
    Position,
    Told,
    Transition,
    TransitionKind,
)
from core.errors import ExpiredError
from core.items import Item, itemid_of
from core.ports.customers import FeedSessions, Receipts, TopicMatcher, TransitionLog
from core.ports.engine import Clock, Heads
from core.query_tree import EVERYTHING, Node
from core.standing import Head
from customers.transitions import untold

FEED = "feed"  # the channel of feeds
IDLE = timedelta(hours=72)  # a session that is idle for longer ends
_USED_EVERY = timedelta(minutes=5)  # how exactly the use of a session is noted
_BATCH = 200  # transitions that are looked at together
_MOST = 5_000  # transitions of one page that may be passed over
_MOST_S = 0.25  # time of one page
_EPOCH_S = 1.0  # an epoch that was read is used for this time
_STATUS = {TransitionKind.KILLED: "canceled", TransitionKind.EXPIRED: "expired"}

Compile = Callable[[str, datetime], Node]
Recorded = Callable[[Mapping[str, int]], Mapping[str, Item]]
Earlier = Callable[[Mapping[str, int]], Sequence[Item]]
UPDATED = TransitionKind.UPDATED


class SessionEndedError(ExpiredError):
    """A session of a feed that is unknown, was idle for too long, or is of another history."""

    code = "session_ended"


@dataclass(frozen=True, slots=True)
class Entry:
    """A transition as it is told to one account now: whole, if it has a `head`, or by its
    tombstone. `item` is the head's, if it was read. `kind` may differ from the transition's: an
    updated item is `hidden` for an account that no longer has any of its products. A tombstone has
    `itemid`, the agency's own id in the item's `altids`, or "".
    """

    transition: Transition
    kind: TransitionKind
    head: Head | None = None
    item: Item | None = None
    itemid: str = ""

    @property
    def version(self) -> int:
        """The version that is told."""
        return self.transition.version if self.head is None else self.head.version

    @property
    def pubstatus(self) -> str:
        """`usable` for content; `canceled`, `expired` or `hidden` for a tombstone."""
        return "usable" if self.head is not None else _STATUS.get(self.kind, "hidden")


@dataclass(frozen=True, slots=True)
class FeedPage:
    """A stretch of the transitions. `position` is its end, where the next page begins; `more` is
    whether there is more behind it at once.
    """

    entries: tuple[Entry, ...]
    position: Position
    more: bool


class Feed:
    """Reads the transitions for customers. Thread-safe.

    `compile` makes a tree of a session's query at the moment when the session started. `recorded`
    returns versions of items in any state, by uri: only their ids are used, and only those that the
    account knows. `earlier` returns the newest versions of each uri before a given one, in any
    state: they are compared with queries and shown to nobody.
    """

    def __init__(
        self,
        log: TransitionLog,
        receipts: Receipts,
        sessions: FeedSessions,
        library: Heads,
        matcher: TopicMatcher,
        compile: Compile,  # noqa: A002 - the word for it
        clock: Clock,
        recorded: Recorded,
        earlier: Earlier,
    ) -> None:
        self.log = log
        self._earlier = earlier
        self._recorded = recorded
        self.receipts = receipts
        self.sessions = sessions
        self.library = library
        self._matcher = matcher
        self._compile = lru_cache(_MOST)(compile)  # each request of a session needs its tree
        self._clock = clock
        self._used: dict[str, datetime] = {}
        self._sessions: dict[
            str, FeedSession
        ] = {}  # sessions as they began; only their last use changes
        self._epoch = ("", 0.0)  # the epoch, and when it was read
        self.end = START  # the last place that the readers of this process have seen

    # Sessions

    def begin(
        self,
        caller: Caller,
        parameters: Mapping[str, str],
        label: str = "",
        at: Position | datetime | None = START,
    ) -> FeedSession:
        """Begin a session with frozen parameters; `q` is the query. It begins `at` a position, or
        at the first transition since a moment; with None it begins at the end of the feed. Raises
        QueryError for a query that can't be read.
        """
        now = self._clock()
        self._compile(parameters.get("q", ""), now)
        first = self.log.last() if at is None else at
        if isinstance(first, datetime):
            first = self.log.before(first)
        session = FeedSession(
            id=secrets.token_hex(12),
            account=caller.account,
            label=label,
            epoch=self.log.epoch,
            started=now,
            used=now,
            first=first,
            parameters=dict(parameters),
        )
        self.sessions.add(session)
        self._used[session.id] = now
        return session

    def resume(self, caller: Caller, id_: str, position: Position) -> FeedSession:
        """Return the caller's session of this id. Raises SessionEndedError if it ended, or if
        `position` is not one of this history: a backup was restored since.
        """
        session, now = self._session(id_), self._clock()
        if session is None or session.account != caller.account:
            raise _ended("there is no such session")
        if now - max(session.used, self._used.get(id_, session.used)) > IDLE:
            raise _ended("this session was not used for 72 hours")
        known = position == self.end or self.log.knows(position)
        if session.epoch != self._epoch_now() or not known:
            raise _ended("this session is of an earlier state of the archive")
        self._use(session, now)
        return session

    def waiting(self, caller: Caller, id_: str, position: Position) -> FeedSession | None:
        """Return the same if nothing has to be read for it: the session and its epoch were seen
        lately, and nothing has come after the position. Else return None. Held requests that are
        renewed need no thread.
        """
        session, used = self._sessions.get(id_), self._used.get(id_)
        epoch, read = self._epoch
        if session is None or used is None or monotonic() - read > _EPOCH_S:
            return None
        same = (session.account, session.epoch) == (caller.account, epoch)
        recent = self._clock() - used < _USED_EVERY
        return session if same and recent and position == self.end else None

    def _session(self, id_: str) -> FeedSession | None:
        """Return the session of an id. One that this process has seen in use lately is not read
        again: nothing but the time of its use changes.
        """
        session = self._sessions.get(id_)
        recent = self._used.get(id_)
        if session is None or recent is None or self._clock() - recent > _USED_EVERY:
            session = self.sessions.session(id_)
            if session is not None:
                if len(self._sessions) > _MOST:
                    self._sessions.clear()
                self._sessions[id_] = session
        return session

    def _epoch_now(self) -> str:
        """Return the epoch, at most a second old."""
        epoch, read = self._epoch
        if not epoch or monotonic() - read > _EPOCH_S:
            self._epoch = (self.log.epoch, monotonic())
        return self._epoch[0]

    def touch(self, session: FeedSession) -> None:
        """Note that a session is in use; the time is exact to some minutes."""
        self._use(session, self._clock())

    def _use(self, session: FeedSession, now: datetime) -> None:
        if now - self._used.get(session.id, session.used) < _USED_EVERY:
            return
        if len(self._used) > _MOST:
            self._used.clear()
        self._used[session.id] = now
        self.sessions.use(session.id, now)

    def tree(self, session: FeedSession) -> Node:
        """Return the session's query as a tree."""
        return self._compile(session.q, session.started)

    def now(self) -> datetime:
        """Return the moment by the clock that the archive has."""
        return self._clock()

    # Pages

    def page(self, caller: Caller, session: FeedSession, position: Position, size: int) -> FeedPage:
        """Return the page of a session after a position."""
        return self.read(caller, self.tree(session), position, size)

    def read(
        self,
        caller: Caller,
        tree: Node,
        position: Position,
        size: int,
        channel: str = FEED,
        *,
        whole: bool = True,
    ) -> FeedPage:
        """Return at most `size` entries after a position, of items that match `tree`. The account's
        receipts are recorded when this returns. Unless `whole`, entries have their items only where
        the query needed them.

        The work is bounded: if few of many transitions match, the page is short or empty, and its
        position has moved on.
        """
        until, looked, entries, more = monotonic() + _MOST_S, 0, list[Entry](), True
        while len(entries) < size and (looked < _BATCH or _goes_on(looked, until)):
            wanted = _to_look_at(size - len(entries), looked, len(entries))
            batch = self.log.after(position.n, wanted, caller.account)
            told = self.entries(batch, caller, tree, whole=whole)
            fits = told[: size - len(entries)]
            entries += fits
            more = len(batch) == wanted or len(fits) < len(told)
            if fits and len(entries) == size:
                last = fits[-1].transition
                more = more or last.n != batch[-1].n
                position = Position(last.n, last.id)
            elif batch:
                position = Position(batch[-1].n, batch[-1].id)
            looked += len(batch)
            if not more:
                break
        received = {(e.head.uri, e.head.version) for e in entries if e.head is not None}
        self.receipts.add(caller.account, channel, received, synced=True)
        return FeedPage(tuple(entries), position, more)

    def entries(
        self,
        transitions: Sequence[Transition],
        caller: Caller,
        tree: Node = EVERYTHING,
        *,
        whole: bool = True,
    ) -> list[Entry]:
        """Return the entries that the account gets for these transitions now, in order; transitions
        that are not for it are left out. `whole` as in `read`.
        """
        heads, told = self._sight(transitions, caller)
        items = self._items(heads.values()) if whole or tree != EVERYTHING else {}
        matching = heads.keys() if tree == EVERYTHING else self._matching([*items.values()], tree)
        products = folded(caller.products)
        ends = [t for t in transitions if _takes_away(t, heads, told, products)]
        updated = {t.uri for t in transitions if t.kind is UPDATED and t.uri in heads}
        away = updated - matching  # these may have been in answers to the query
        undone = {t.uri for t in transitions if t.undoes and t.uri in heads}
        uris = {t.uri for t in ends} | away | undone
        received = self.receipts.received(caller.account, uris) if uris else {}
        lost = {t.n for t in ends if t.uri in received}
        itemids = self._itemids({t.uri: received[t.uri] for t in ends if t.n in lost}, caller)
        left = self._matched_once([heads[uri] for uri in away & received.keys()], received, tree)
        found: list[Entry] = []
        for each in transitions:
            if each.n in lost:
                kind = each.kind if each.kind in ENDS else TransitionKind.HIDDEN
                ended = replace(each, version=each.version or received[each.uri])
                found.append(Entry(ended, kind, itemid=itemids.get(each.uri, "")))
            elif each.kind in ENDS or each.uri not in heads:
                continue
            elif (
                each.uri in matching
                or (each.uri in left and each.kind is UPDATED)
                or (each.undoes and each.uri in received)
            ):
                found.append(Entry(each, each.kind, heads[each.uri], items.get(each.uri)))
        return found

    def with_items(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the entries, each whole one with its item. One whose version the record has no
        more is left out.
        """
        items = self._items([e.head for e in entries if e.head is not None and e.item is None])
        filled = [
            replace(e, item=items.get(e.head.uri)) if e.head is not None and e.item is None else e
            for e in entries
        ]
        return [e for e in filled if e.head is None or e.item is not None]

    def _sight(
        self, transitions: Sequence[Transition], caller: Caller
    ) -> tuple[dict[str, Head], Mapping[str, Told]]:
        """Return the items that the caller is shown now, by uri, and what was told of all. The
        caller may see something that the maker has not looked at yet; if it disappears before, the
        maker never sees it. So a transition is owed for it, and this page may tell it or skip it.
        An item that was told as gone is not shown: its end, or its next transition, comes later.
        """
        uris = {t.uri for t in transitions if t.kind not in ENDS}
        if not uris:
            return {}, {}
        heads = self.library.heads(uris, caller)
        told = self.log.told(
            uris
        )  # read after the heads, so that later changes have later transitions
        if owed := untold(heads, told, folded(caller.products)):
            self.log.owe(owed)
        gone = {uri for uri, each in told.items() if not each.shown}
        return {uri: head for uri, head in heads.items() if uri not in gone}, told

    def _items(self, heads: Collection[Head]) -> dict[str, Item]:
        """Return the items of heads, by uri."""
        found = self.library.versions([head.id for head in heads]) if heads else {}
        return {head.uri: found[head.id] for head in heads if head.id in found}

    def _matching(self, items: Sequence[Item], tree: Node) -> set[str]:
        """Return the uris of the items that match."""
        if not items:
            return set()
        matches = self._matcher.matches(items, [tree])[:, 0].tolist()
        return {item.uri for item, match in zip(items, matches, strict=True) if match}

    def _matched_once(
        self, heads: Sequence[Head], received: Mapping[str, int], tree: Node
    ) -> set[str]:
        """Return the uris of the heads of which another version matches, an earlier one or, if the
        item went back to an earlier one, a later one: who follows the query may have that, and must
        not keep it.
        """
        named = {head.uri: head.version for head in heads}
        later = {uri: received[uri] + 1 for uri, n in named.items() if received[uri] > n}
        return self._matching(self._earlier(named | later), tree) if named else set()

    def _itemids(self, received: Mapping[str, int], caller: Caller) -> dict[str, str]:
        """Return the agency's own ids of versions that the caller received, by uri. An id that is
        the uri of another item is left out if the caller may not know of that item.
        """
        items = self._recorded(received) if received else {}
        ids = {uri: itemid_of(item) for uri, item in items.items()}
        named = {id_: items[uri].products for uri, id_ in ids.items() if id_}
        sights = self.library.sights(named, caller) if named else {}
        hidden = {id_ for id_, sight in sights.items() if not sight.in_chain}
        return {uri: id_ for uri, id_ in ids.items() if id_ not in hidden}

    def kills(self, caller: Caller, n: int, limit: int) -> list[Entry]:
        """Return the kills after place `n` for the account, whatever comes before them."""
        killed = self.log.after(n, limit, caller.account, TransitionKind.KILLED)
        return self.entries(killed, caller)

    def all_kills(self, caller: Caller, n: int) -> list[Entry]:
        """Return the kills after place `n` for the account, for a poll over its quota. Its position
        stays, so kills of items that it never received must not crowd out the kill of one that it
        received. At most _MOST are looked at.
        """
        told: list[Entry] = []
        for _ in range(_MOST // _BATCH):
            killed = self.log.after(n, _BATCH, caller.account, TransitionKind.KILLED)
            told += self.entries(killed, caller)
            if len(killed) < _BATCH:
                break
            n = killed[-1].n
        return told

    # Who waits

    def concerned(
        self, transitions: Sequence[Transition], readers: Sequence[tuple[Caller, Node]]
    ) -> list[bool]:
        """Return, for each reader, whether one of these transitions may be for it. False is
        certain; True may be wrong.
        """
        groups = {(caller.products, tree) for caller, tree in readers}
        products = frozenset[str]().union(*(products for products, _ in groups))
        heads, _ = self._sight(transitions, Caller("readers", products))
        items = [*self._items(heads.values()).values()]
        trees = list(dict.fromkeys(tree for _, tree in groups))
        matches = self._matcher.matches(items, trees)
        by_tree = {tree: matches[:, place].tolist() for place, tree in enumerate(trees)}
        sold = [folded(item.products) for item in items]

        def reaches(products: frozenset[str], tree: Node) -> bool:
            held = folded(products)
            return any(m and held & s for s, m in zip(sold, by_tree[tree], strict=True))

        reached = {group for group in groups if reaches(*group)}
        receivers = self.receipts.receivers({t.uri for t in transitions})
        accounts = frozenset[str]().union(*receivers.values())
        return [
            caller.account in accounts or (caller.products, tree) in reached
            for caller, tree in readers
        ]


def _goes_on(looked: int, until: float) -> bool:
    return looked < _MOST and monotonic() < until


def _to_look_at(left: int, looked: int, found: int) -> int:
    """Return how many transitions to look at for the `left` entries of a page, if `found` of
    `looked` were told so far.
    """
    if not looked:
        return min(_BATCH, left)
    return min(_BATCH, ceil(left * looked / max(1, found)) + 1)


def _takes_away(
    transition: Transition,
    heads: Collection[str],
    told: Mapping[str, Told],
    products: frozenset[str],
) -> bool:
    """Return whether a transition takes an item away from an account with these products. An item
    that is hidden for everybody has its own transition. An item that only left the account's
    products has none, so the account is told this instead of the update.
    """
    if transition.kind in ENDS:
        return True
    each = told.get(transition.uri)
    if transition.uri in heads or each is None or not each.shown:
        return False
    return each.n == transition.n and products.isdisjoint(each.products)


def position_text(position: Position) -> str:
    """Return a position as it stands in links."""
    return f"{position.n}-{position.id}" if position != START else "0"


def read_position(text: str) -> Position:
    """Return the position in a link. Raises SessionEndedError for a text that `position_text` did
    not make.
    """
    number, _, id_ = text.partition("-")
    if not (number.isascii() and number.isdecimal() and len(number) < 19):
        raise _ended("this position is not one of a feed")
    return Position(int(number), id_)


def _ended(why: str) -> SessionEndedError:
    return SessionEndedError(
        f"The session has ended: {why}.",
        mend="Begin a new session: ask for the feed with your query, not by the old link.",
    )
