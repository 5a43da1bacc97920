"""Writes the dashboards of Grafana in deploy/observability/dashboards.

python -P scripts/dashboards.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "deploy/observability/dashboards"
_RATE = "[$__rate_interval]"
_WIDE, _HIGH, _PER_ROW = 12, 8, 2


def quantile(at: float, metric: str, by: str, where: str = "") -> str:
    """Return the expression for a quantile of a histogram, in seconds."""
    series = f"rate({metric}_bucket{where}{_RATE})"
    return f"histogram_quantile({at}, sum by (le, {by}) ({series}))"


def rate(metric: str, by: str = "", where: str = "") -> str:
    """Return the expression for a counter's rate."""
    return f"sum by ({by}) (rate({metric}{where}{_RATE}))"


# For each dashboard its panels: a title, the unit, and expressions with their legends.
Panels = list[tuple[str, str, dict[str, str]]]
_TOTAL = '{stage="total"}'
DASHBOARDS: dict[str, Panels] = {
    "search": [
        ("Answers", "reqps", {rate("dateline_http_requests_total", "status"): "{{status}}"}),
        ("Share that fails", "percentunit", {"dateline:failed:ratio5m": "5 minutes"}),
        (
            "Time of a search",
            "s",
            {
                quantile(at, "dateline_search_stage_seconds", "stage", _TOTAL): f"p{at * 100:.0f}"
                for at in (0.5, 0.95, 0.99)
            },
        ),
        (
            "p95 of the stages",
            "s",
            {quantile(0.95, "dateline_search_stage_seconds", "stage"): "{{stage}}"},
        ),
        (
            "Refused and degraded",
            "reqps",
            {
                rate("dateline_http_refused_total"): "refused",
                rate("dateline_search_degraded_total"): "degraded",
            },
        ),
        (
            "Requests being answered, and processes that search",
            "short",
            {"dateline_http_in_flight": "requests", "dateline_search_processes": "processes"},
        ),
        (
            "Recall@10",
            "percentunit",
            {
                f"{rate('dateline_recall_found_total', 'field')}"
                f" / {rate('dateline_recall_wanted_total', 'field')}": "{{field}}"
            },
        ),
        (
            "Processor and memory",
            "short",
            {
                rate("process_cpu_seconds_total"): "processors",
                "sum(process_resident_memory_bytes) / 2^30": "GiB",
            },
        ),
    ],
    "ingest": [
        ("Items", "short", {"dateline_items": "recorded", "dateline_items_visible": "visible"}),
        ("Passages", "short", {"dateline_passages": "embedded"}),
        (
            "Oldest order that waits",
            "s",
            {"max by (queue) (dateline_work_oldest_seconds)": "{{queue}}"},
        ),
        ("Changes not applied yet", "short", {"dateline_projection_lag": "{{projection}}"}),
        (
            "Time of a change of state",
            "s",
            {
                quantile(
                    0.99,
                    "dateline_http_request_seconds",
                    "route",
                    '{route="/content/{item_id:path}/status"}',
                ): "p99"
            },
        ),
        (
            "What captions cost today, and the cap",
            "short",
            {
                "max(dateline_caption_spent_today)": "today",
                "max(dateline_caption_daily_spend)": "cap",
            },
        ),
        (
            "What captions cost an hour",
            "short",
            {"sum by (model) (increase(dateline_caption_spend_total[1h]))": "{{model}}"},
        ),
        (
            "Tokens of captions",
            "short",
            {rate("dateline_caption_tokens_total", "model, direction"): "{{model}} {{direction}}"},
        ),
        (
            "From the end of a live shot, or words, until it is found",
            "s",
            {"max by (of) (dateline_live_lag_seconds)": "{{of}}"},
        ),
    ],
    "models": [
        (
            "p95 of a call",
            "s",
            {quantile(0.95, "dateline_model_seconds", "model, stage"): "{{model}} {{stage}}"},
        ),
        ("Texts that wait", "short", {"dateline_model_waiting": "{{model}} {{task}}"}),
        (
            "Seconds of inference by caller",
            "s",
            {rate("dateline_model_caller_seconds_total", "caller"): "{{caller}}"},
        ),
        (
            "Rows of a batch",
            "short",
            {quantile(0.5, "dateline_model_batch_rows", "model"): "{{model}}"},
        ),
        (
            "Tokens of a batch",
            "short",
            {quantile(0.5, "dateline_model_batch_tokens", "model"): "{{model}}"},
        ),
        (
            "Refused and truncated",
            "short",
            {
                rate("dateline_model_refused_total", "model"): "{{model}} refused",
                rate("dateline_model_truncated_total", "model"): "{{model}} truncated",
            },
        ),
        ("Cache", "short", {rate("dateline_model_cache_total", "outcome"): "{{outcome}}"}),
    ],
    "feeds": [
        ("Requests for a feed that are held", "short", {"dateline_feed_readers": "held"}),
        ("Webhooks", "short", {"dateline_webhooks": "{{state}}"}),
        ("Oldest message that waits", "s", {"dateline_webhook_oldest_seconds": "age"}),
        ("Attempts to send", "short", {"dateline_webhook_attempts": "{{outcome}}"}),
        ("Lists behind cursors are shared", "short", {"dateline_cursors_shared": "1: yes"}),
        ("The clock is held back", "s", {"dateline_clock_held_seconds": "seconds"}),
    ],
}


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, panels in DASHBOARDS.items():
        (FOLDER / f"{name}.json").write_text(text_of(name, panels), "utf-8")


def text_of(name: str, panels: Panels) -> str:
    """Return a dashboard as its file has it."""
    dashboard = {
        "uid": f"dateline-{name}",
        "title": f"Dateline: {name}",
        "tags": ["dateline"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "panels": [_panel(place, *panel) for place, panel in enumerate(panels)],
    }
    return json.dumps(dashboard, indent=1) + "\n"


def _panel(place: int, title: str, unit: str, shown: dict[str, str]) -> dict[str, Any]:
    row, column = divmod(place, _PER_ROW)
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": title,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "gridPos": {"x": column * _WIDE, "y": row * _HIGH, "w": _WIDE, "h": _HIGH},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "expr": expression, "legendFormat": legend}
            for number, (expression, legend) in enumerate(shown.items())
        ],
    }


if __name__ == "__main__":
    main()
