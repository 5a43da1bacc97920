"""Monitoring: an account's monitors, the sessions that they watch, and the notices of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import Lock
from typing import Any

from core.callers import Caller
from core.customers.monitors import Alert, AlertKind, Monitor, Standing, Watched
from core.errors import ConflictError, NotFoundError
from core.ports.customers import MonitorStore
from core.ports.engine import Clock
from customers.accounts.trees import time_text
from customers.monitors import MOST_MONITORS, checked, read_monitor

log = logging.getLogger(__name__)
MOST_ALERTS = 100  # in one answer
_IDLE = timedelta(hours=72)  # after this a feed's session has ended and is no longer watched
_RETRY = timedelta(minutes=5)  # pause after the mail server refused a mail
_AT_ONCE = 50
_LONGEST = 200

SendMail = Callable[[Sequence[str], str, str], None]
"""Sends a mail to addresses with a subject and a text. Raises OSError if it was not taken."""


@dataclass(frozen=True, slots=True)
class Session:
    """A watched session, its monitor, and the state of its conditions."""

    watched: Watched
    monitor: Monitor | None
    standings: tuple[Standing, ...]


@dataclass(slots=True)
class Monitoring:
    """The monitors of every account. Without `send` nothing is mailed, and notices are listed only.
    Requests of sessions are counted in memory until the next `step`. Thread-safe.
    """

    store: MonitorStore
    clock: Clock
    send: SendMail | None = None
    _counted: dict[str, Watched] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    # Monitors

    def create(self, caller: Caller, body: Mapping[str, Any]) -> Monitor:
        """Create a monitor of the caller's account. Raises InputError, ConflictError."""
        wanted = read_monitor(caller.account, body)
        made = self.store.put(wanted, 0, MOST_MONITORS)
        if made is None:
            raise ConflictError(
                f"this account has a monitor {wanted.name!r} already, or {MOST_MONITORS} monitors",
                mend="choose another name, or delete one first",
            )
        return made

    def update(self, caller: Caller, named: str, body: Mapping[str, Any]) -> Monitor:
        """Change the caller's monitor of this name or id as the body says; return it."""
        before = self.one(caller, named)
        wanted = read_monitor(caller.account, body)
        made = self.store.put(wanted, before.id, MOST_MONITORS)
        if made is None:
            raise ConflictError(
                f"this account has another monitor {wanted.name!r}", mend="choose another name"
            )
        return made

    def remove(self, caller: Caller, named: str) -> Monitor:
        """Delete the caller's monitor of this name or id, and return it."""
        found = self.one(caller, named)
        self.store.remove(caller.account, found.id)
        return found

    def all(self, caller: Caller) -> tuple[Monitor, ...]:
        """Return the monitors of the caller's account, the oldest first."""
        return tuple(self.store.of(caller.account))

    def one(self, caller: Caller, named: str) -> Monitor:
        """Return the caller's monitor of this name or id. Raises NotFoundError."""
        own = self.all(caller)
        found = [one for one in own if one.name == named] or [
            one for one in own if str(one.id) == named
        ]
        if not found:
            raise NotFoundError(
                f"this account has no monitor {named[:40]!r}", mend="the list has their names"
            )
        return found[0]

    # Sessions

    def seen(
        self,
        caller: Caller,
        session: str,
        monitor: str,
        *,
        label: str = "",
        agent: str = "",
        failed: bool = False,
    ) -> None:
        """Count a request of a session that names a monitor."""
        now = self.clock()
        with self._lock:
            known = self._counted.get(session)
            if known is None:
                label, agent = label[:_LONGEST], agent[:_LONGEST]
                known = Watched(session, caller.account, monitor, label, agent, now, now)
            self._counted[session] = replace(
                known,
                used=now,
                requests=known.requests + 1,
                failures=known.failures + (1 if failed else 0),
            )

    def sessions(self, caller: Caller, agent: str = "") -> tuple[Session, ...]:
        """Return the watched sessions of the caller's account, of one agent if one is named."""
        self.flush()
        monitors = {one.name: one for one in self.store.of(caller.account)}
        return tuple(
            self._session(one, monitors.get(one.monitor))
            for one in self.store.watched(caller.account)
            if not agent or one.agent == agent
        )

    def session(self, caller: Caller, id_: str) -> Session:
        """Return a watched session of the caller's account. Raises NotFoundError."""
        for one in self.sessions(caller):
            if one.watched.session == id_:
                return one
        raise NotFoundError(
            f"no monitor of this account watches a session {id_[:40]!r}",
            mend="send with_monitor with the requests of a feed",
        )

    def enable(self, caller: Caller, id_: str, *, enabled: bool) -> Session:
        """Watch the session from now on, or stop watching it; return it."""
        self.session(caller, id_)
        self.store.enable(caller.account, id_, enabled=enabled, at=self.clock())
        return self.session(caller, id_)

    def alerts(self, caller: Caller, agent: str = "") -> tuple[Alert, ...]:
        """Return the caller's recent notices, the newest first."""
        found = self.store.alerts(caller.account, MOST_ALERTS)
        return tuple(one for one in found if not agent or one.agent == agent)

    def _session(self, watched: Watched, monitor: Monitor | None) -> Session:
        standings = self.store.standings(watched.session)
        return Session(watched, monitor, tuple(standings.values()))

    # Work

    def flush(self) -> None:
        """Record the requests that were counted."""
        with self._lock:
            counted, self._counted = self._counted, {}
        try:
            self.store.seen([*counted.values()])
        except Exception:
            with self._lock:
                self._counted = counted | self._counted  # nothing is lost that matters
            raise

    def step(self) -> None:
        """Look at every watched session, record notices, and mail what is due."""
        self.flush()
        now = self.clock()
        self.store.forget(now - _IDLE)
        monitors: dict[tuple[str, str], Monitor] = {}
        watched = self.store.watched()
        for account in {one.account for one in watched}:
            monitors |= {(account, one.name): one for one in self.store.of(account)}
        for one in watched:
            monitor = monitors.get((one.account, one.monitor))
            if monitor is not None:
                standings = self.store.standings(one.session)
                self.store.record(one.checked, checked(one, monitor, standings, now))
        if self.send is not None:
            self.mail(self.send)

    def mail(self, send: SendMail) -> None:
        """Mail the notices that are due. One that is not taken is tried again later."""
        now = self.clock()
        for alert in self.store.take_mail(now, now + _RETRY, _AT_ONCE):
            own = self.store.of(alert.account)
            monitor = next((one for one in own if one.name == alert.monitor), None)
            try:
                if monitor is not None:
                    send(monitor.emails, subject_of(alert), text_of(alert, monitor))
                self.store.mailed(alert.n, self.clock())
            except OSError as error:
                log.warning("a notice could not be mailed, and is tried again: %s", error)


def subject_of(alert: Alert) -> str:
    """Return the subject of a notice."""
    what = {
        AlertKind.ALARM: "Alarm",
        AlertKind.REPEAT: "Still in alarm",
        AlertKind.RECOVERED: "Recovered",
    }[alert.kind]
    return f"{what}: {alert.type} of {alert.label or alert.session}"


def text_of(alert: Alert, monitor: Monitor) -> str:
    """Return the text of a notice. It names no item."""
    lines = [
        f"Monitor: {monitor.name}",
        f"Session: {alert.session}" + (f" ({alert.label})" if alert.label else ""),
        f"Condition: {alert.type}",
        f"State: {'recovered' if alert.kind is AlertKind.RECOVERED else 'alarm'}",
        f"Since: {time_text(alert.at)}",
    ]
    lines += [f"Detail: {alert.detail}"] if alert.detail else []
    lines += ["", monitor.description] if monitor.description else []
    lines += ["", monitor.playbook] if monitor.playbook else []
    return "\n".join(lines) + "\n"
