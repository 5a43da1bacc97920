"""Rules of monitors: what a monitor may be, and when a watched session is in alarm.

They take values and return values; `customers.monitoring` keeps what they say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from core.customers.monitors import (
    Alert,
    AlertKind,
    Checked,
    Condition,
    ConditionState,
    ConditionType,
    Monitor,
    Standing,
    Watched,
)
from core.errors import InputError

MOST_MONITORS = 50  # monitors of an account
_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,20}", re.ASCII)
_DURATION = re.compile(r"PT(?:(?P<hours>\d{1,4})H)?(?:(?P<minutes>\d{1,4})M)?", re.ASCII)
_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_LONGEST = 2000
_LONGEST_ADDRESS = 254  # characters (RFC 5321)
_MOST_PARTS, _MOST_EMAILS = 5, 20
_REPEAT = (timedelta(minutes=10), timedelta(hours=24))
_IDLE = (timedelta(minutes=2), timedelta(hours=12))
_KNOWN = ("name", "description", "playbook", "repeatAlerts", "notify", "conditions")


def read_monitor(account: str, body: Mapping[str, Any]) -> Monitor:
    """Return the monitor of a request's body, `{"monitor": {…}}`. Raises InputError with the
    place.
    """
    told = body.get("monitor")
    if not isinstance(told, Mapping):
        raise _wrong("monitor", "is no object", 'send {"monitor": {"name": …}}')
    if unknown := sorted(told.keys() - {*_KNOWN}):
        raise _wrong(f"monitor.{unknown[0][:40]}", "is unknown", f"there are {', '.join(_KNOWN)}")
    name = told.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _wrong("monitor.name", "is no name", "use 1 to 20 letters, digits, _, . and -")
    return Monitor(
        account,
        name,
        _emails(told.get("notify")),
        _conditions(told.get("conditions")),
        _text(told, "description"),
        _text(told, "playbook"),
        _repeat(told.get("repeatAlerts", "0")),
    )


def _text(told: Mapping[str, Any], name: str) -> str:
    text = told.get(name, "")
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise _wrong(f"monitor.{name}", "is no text", f"use at most {_LONGEST:,} characters")
    return text


def _repeat(text: Any) -> timedelta:
    if text in ("0", "", None):
        return timedelta(0)
    return _duration(text, "monitor.repeatAlerts", *_REPEAT)


def _emails(notify: Any) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for place, one in enumerate(_parts(notify, "monitor.notify")):
        where = f"monitor.notify[{place}]"
        if one.get("channelType") != "email":
            raise _wrong(f"{where}.channelType", "is unknown", "there is email")
        addresses = one.get("channelDestinations")
        if not isinstance(addresses, Sequence) or isinstance(addresses, str) or not addresses:
            raise _wrong(f"{where}.channelDestinations", "is no list", "name 1 address or more")
        for address in addresses:
            if not isinstance(address, str) or not is_address(address):
                raise _wrong(
                    f"{where}.channelDestinations", "has no mail address", "write desk@example.com"
                )
            found[address] = None
    if len(found) > _MOST_EMAILS:
        raise _wrong("monitor.notify", "has many addresses", f"use {_MOST_EMAILS} at most")
    return tuple(found)


def is_address(text: str) -> bool:
    """Return whether a text is one plain mail address, no longer than a mail server takes."""
    name, _, host = text.rpartition("@")
    fits = len(text) <= _LONGEST_ADDRESS and bool(_LOCAL.fullmatch(name))
    return fits and all(map(_LABEL.fullmatch, host.split(".")))


def _conditions(conditions: Any) -> tuple[Condition, ...]:
    found: dict[ConditionType, Condition] = {}
    for place, one in enumerate(_parts(conditions, "monitor.conditions")):
        where = f"monitor.conditions[{place}]"
        kind, enabled = one.get("type"), one.get("enabled", True)
        if not isinstance(kind, str) or kind not in {*ConditionType}:
            raise _wrong(f"{where}.type", "is unknown", f"there are {', '.join(ConditionType)}")
        if not isinstance(enabled, bool):
            raise _wrong(f"{where}.enabled", "is neither true nor false", "leave it out for true")
        criteria = one.get("criteria", {})
        if not isinstance(criteria, Mapping):
            raise _wrong(f"{where}.criteria", "is no object", "leave it out, or send an object")
        idle = timedelta(0)
        if kind == ConditionType.IDLE_FEED:
            idle = _duration(criteria.get("idleTime"), f"{where}.criteria.idleTime", *_IDLE)
        found[ConditionType(kind)] = Condition(ConditionType(kind), enabled, idle)
    return tuple(found.values())


def _parts(value: Any, where: str) -> Sequence[Mapping[str, Any]]:
    if (
        not isinstance(value, Sequence)
        or isinstance(value, str)
        or not 1 <= len(value) <= _MOST_PARTS
        or not all(isinstance(one, Mapping) for one in value)
    ):
        raise _wrong(where, "is no list of objects", f"send 1 to {_MOST_PARTS} of them")
    return value


def _duration(text: Any, where: str, least: timedelta, most: timedelta) -> timedelta:
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    length = timedelta(0)
    if found:
        length = timedelta(hours=int(found["hours"] or 0), minutes=int(found["minutes"] or 0))
    if not least <= length <= most:
        raise _wrong(
            where,
            "is not a duration in hours and minutes within its bounds",
            f"use {duration_text(least)} to {duration_text(most)}, such as PT15M",
        )
    return length


def duration_text(length: timedelta) -> str:
    """Return a duration in ISO 8601, as AP writes it; "0" for none."""
    hours, minutes = divmod(int(length.total_seconds()) // 60, 60)
    parts = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    return f"PT{parts}" if parts else "0"


def _wrong(where: str, what: str, mend: str) -> InputError:
    return InputError(f"{where} {what}", mend=mend)


def checked(
    watched: Watched, monitor: Monitor, before: Mapping[ConditionType, Standing], now: datetime
) -> Checked:
    """Return the session after this look, and the notices that are due."""
    standings: list[Standing] = []
    alerts: list[Alert] = []
    for condition in monitor.conditions:
        last = before.get(condition.type, Standing(condition.type, ConditionState.INITIALIZED))
        state, detail = _judged(watched, condition, last, now)
        kind = _due(last, state, monitor.repeat, now)
        standings.append(Standing(condition.type, state, detail, now if kind else last.alerted))
        if kind:
            alerts.append(
                Alert(
                    watched.account, monitor.name, watched.session, watched.label, watched.agent,
                    condition.type, kind, detail, now,
                )
            )  # fmt: skip
    seen = replace(
        watched,
        checked=now,
        checked_requests=watched.requests,
        checked_failures=watched.failures,
    )
    return Checked(seen, tuple(standings), tuple(alerts))


def _judged(
    watched: Watched, condition: Condition, last: Standing, now: datetime
) -> tuple[ConditionState, str]:
    """Return how a condition stands now, and why."""
    if not (condition.enabled and watched.enabled):
        return ConditionState.DISABLED, ""
    was_alarm = last.state is ConditionState.ALARM
    calm = ConditionState.RECOVERED if was_alarm else ConditionState.OK
    if condition.type is ConditionType.IDLE_FEED:
        silent = now - max(watched.used, watched.since)
        if silent > condition.idle:
            return ConditionState.ALARM, f"no request for {duration_text(silent)}"
        return calm, ""
    requests = watched.requests - watched.checked_requests
    failures = watched.failures - watched.checked_failures
    if not requests:
        disabled = last.state is ConditionState.DISABLED
        return (ConditionState.INITIALIZED if disabled else last.state), last.detail
    if 2 * failures >= requests:
        return ConditionState.ALARM, f"{failures} of {requests} requests failed"
    return calm, ""


def _due(
    last: Standing, state: ConditionState, repeat: timedelta, now: datetime
) -> AlertKind | None:
    if state is ConditionState.RECOVERED and last.state is ConditionState.ALARM:
        return AlertKind.RECOVERED
    if state is not ConditionState.ALARM:
        return None
    if last.state is not ConditionState.ALARM:
        return AlertKind.ALARM
    again = repeat and last.alerted is not None and now - last.alerted >= repeat
    return AlertKind.REPEAT if again else None
