"""Monitors: what an account wants to hear of its feed sessions by mail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class ConditionType(StrEnum):
    """The condition of a session that is watched, as AP names it."""

    IDLE_FEED = "idleFeed"  # no request for some time
    QUALITY = "quality"  # half of the requests since the last look failed


class ConditionState(StrEnum):
    """How a condition stands, as AP names it."""

    INITIALIZED = "initialized"  # not looked at yet
    OK = "ok"
    ALARM = "alarm"
    RECOVERED = "recovered"
    DISABLED = "disabled"


class AlertKind(StrEnum):
    """What a notice says."""

    ALARM = "alarm"
    REPEAT = "repeat"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of a monitor. `idle` is how long a session may be silent."""

    type: ConditionType
    enabled: bool = True
    idle: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Monitor:
    """A monitor of an account. Notices go to `emails`, and again each `repeat` while an alarm lasts
    (0: once). `id` is 0 before it is recorded.
    """

    account: str
    name: str
    emails: tuple[str, ...]
    conditions: tuple[Condition, ...]
    description: str = ""
    playbook: str = ""
    repeat: timedelta = timedelta(0)
    id: int = 0


@dataclass(frozen=True, slots=True)
class Watched:
    """A session that a monitor watches. `requests` and `failures` count from its beginning; those
    that were looked at are in `checked_requests` and `checked_failures`. `since` is when watching
    began, or began again.
    """

    session: str
    account: str
    monitor: str
    label: str
    agent: str
    since: datetime
    used: datetime
    enabled: bool = True
    requests: int = 0
    failures: int = 0
    checked_requests: int = 0
    checked_failures: int = 0
    checked: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How one condition of a watched session stands. `alerted` is when a notice was last due."""

    type: ConditionType
    state: ConditionState
    detail: str = ""
    alerted: datetime | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """A notice about a session. `n` is its place, 0 before it is recorded; `sent` is when the mail
    server took it.
    """

    account: str
    monitor: str
    session: str
    label: str
    agent: str
    type: ConditionType
    kind: AlertKind
    detail: str
    at: datetime
    n: int = 0
    sent: datetime | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A watched session after a look: its counts, its conditions, and the notices that are due."""

    watched: Watched
    standings: tuple[Standing, ...]
    alerts: tuple[Alert, ...]
