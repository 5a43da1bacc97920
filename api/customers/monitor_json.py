"""Monitors, sessions and notices in AP's words, for the operations below `/account/monitors`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.customers.monitors import Alert, Condition, Monitor, Standing
from customers.accounts.trees import time_text
from customers.monitoring import Session
from customers.monitors import duration_text


def monitor_json(monitor: Monitor) -> dict[str, Any]:
    """Return a monitor, as it can be sent back."""
    email = {"channelType": "email", "channelDestinations": list(monitor.emails)}
    return {
        "id": str(monitor.id),
        "name": monitor.name,
        "description": monitor.description,
        "playbook": monitor.playbook,
        "repeatAlerts": duration_text(monitor.repeat),
        "notify": [email],
        "conditions": [_condition(one) for one in monitor.conditions],
    }


def _condition(condition: Condition) -> dict[str, Any]:
    told: dict[str, Any] = {"type": condition.type.value, "enabled": condition.enabled}
    if condition.idle:
        told["criteria"] = {"idleTime": duration_text(condition.idle)}
    return told


def session_json(session: Session, root: str, *, detail: bool = False) -> dict[str, Any]:
    """Return a watched session; links to watch it or not begin with `root`. With `detail` the
    monitor is whole.
    """
    watched = session.watched
    links = f"{root}/{watched.session}"
    monitor: dict[str, Any] = {
        "name": watched.monitor,
        "label": watched.label,
        "enabled": watched.enabled,
        "enable_session_monitor": f"{links}/enable",
        "disable_session_monitor": f"{links}/disable",
        "conditionStatus": standings_json(session.standings),
        "feed_count": watched.requests,
    }
    if watched.checked is not None:
        monitor["last_checked"] = time_text(watched.checked)
    told: dict[str, Any] = {"session_id": watched.session, "monitor": monitor}
    if watched.agent:
        told["agentid"] = watched.agent
    if detail and session.monitor is not None:
        told["monitor_detail"] = monitor_json(session.monitor)
    return told


def standings_json(standings: Sequence[Standing]) -> dict[str, Any]:
    """Return `conditionStatus` of a session."""
    found: dict[str, Any] = {}
    for one in standings:
        told = {"enabled": one.state.value != "disabled", "status": one.state.value}
        if one.detail:
            told["status_detail"] = one.detail
        if one.alerted is not None:
            told["last_alerted"] = time_text(one.alerted)
        found[one.type.value] = told
    return found


def alert_json(alert: Alert) -> dict[str, Any]:
    """Return a notice. `mailed` is when the mail server took it, "" before."""
    return {
        "id": str(alert.n),
        "monitor": alert.monitor,
        "session_id": alert.session,
        "session_label": alert.label,
        "agentid": alert.agent,
        "condition": alert.type.value,
        "kind": alert.kind.value,
        "detail": alert.detail,
        "timestamp": time_text(alert.at),
        "mailed": "" if alert.sent is None else time_text(alert.sent),
    }
