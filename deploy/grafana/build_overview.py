"""Prints the board that is committed beside it as agentbroker-overview.json.

    python deploy/grafana/build_overview.py > deploy/grafana/agentbroker-overview.json

Every selector has the board's variables; what Grafana fills in (`$__rate_interval`) stays as it is.
"""

import json
import sys
from typing import Any

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
OURS = 'job=~"$job", instance=~"$instance"'
REQUESTS = OURS + ', controller=~"$controller", policy=~"$policy"'
STARTUP = f"sum by (le) (rate(agentbroker_startup_duration_seconds_bucket{{{REQUESTS}}}[$__rate_interval]))"
STACKED_LINES = {"fillOpacity": 25, "lineWidth": 1, "stacking": {"mode": "normal", "group": "A"}}
STACKED_BARS = {"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "stacking": {"mode": "normal", "group": "A"}}
LINES = {"fillOpacity": 5, "lineWidth": 2}
SLOW_START: list[dict[str, Any]] = [
    {"color": "green", "value": None},
    {"color": "yellow", "value": 60},
    {"color": "red", "value": 120},
]


def variable(name: str, label: str, label_of: str) -> dict[str, Any]:
    """A choice among the values of a label, all of them at first."""
    query = f"label_values({label_of}, {name})"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"qryType": 1, "query": query, "refId": name},
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "refresh": 2,
        "sort": 1,
    }


def panel(
    number: int,
    title: str,
    description: str,
    *targets: tuple[str, str],
    unit: str = "short",
    style: dict[str, Any],
    steps: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """A panel of time series, two in a row; each target is its legend and its query."""
    thresholds = {"mode": "absolute", "steps": steps or [{"color": "green", "value": None}]}
    custom = style | {"showPoints": "never", "thresholdsStyle": {"mode": "line" if steps else "off"}}
    return {
        "id": number,
        "type": "timeseries",
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "gridPos": {"x": 12 * ((number - 1) % 2), "y": 9 * ((number - 1) // 2), "w": 12, "h": 9},
        "fieldConfig": {
            "defaults": {"unit": unit, "min": 0, "noValue": "none yet", "thresholds": thresholds, "custom": custom},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "table", "placement": "right", "calcs": ["lastNotNull", "max"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": ref, "datasource": DATASOURCE, "expr": query, "legendFormat": legend, "range": True}
            for ref, (legend, query) in zip("ABC", targets, strict=False)
        ],
    }


def panels() -> list[dict[str, Any]]:
    """The six panels: is it well, where is the time, why not."""
    finished = f"increase(agentbroker_agents_finished_total{{{REQUESTS}}}[$__rate_interval])"
    rpcs = f'rate(agentbroker_rpc_requests_total{{{OURS}, controller=~"$controller|other"}}[$__rate_interval])'
    return [
        panel(
            1,
            "Agents by phase",
            "Agents now, from the request to the end. A thick band of requested means that no pool has room.",
            ("{{phase}}", f"sum by (phase) (agentbroker_agents{{{REQUESTS}}})"),
            style=STACKED_LINES,
        ),
        panel(
            2,
            "Start time p50 and p95",
            "From Jenkins' request to the agent online. The objective is 95 % within 120 s.",
            ("p50", f"histogram_quantile(0.50, {STARTUP})"),
            ("p95", f"histogram_quantile(0.95, {STARTUP})"),
            unit="s",
            style=LINES,
            steps=SLOW_START,
        ),
        panel(
            3,
            "Requests answered, by outcome and reason",
            "Succeeded when first online; failed or cancelled when the agent ended without ever having been online.",
            ("{{outcome}} {{reason}}", f"sum by (outcome, reason) ({finished}) > 0"),
            style=STACKED_BARS,
        ),
        panel(
            4,
            "Oldest waiting request",
            "Age of the oldest request without an agent, by controller and policy.",
            (
                "{{controller}} {{policy}}",
                f"max by (controller, policy) (agentbroker_oldest_waiting_agent_age_seconds{{{REQUESTS}}})",
            ),
            unit="s",
            style=LINES,
        ),
        panel(
            5,
            "Sessions at the gateway",
            "Connections of agents that are open now, of all gateway processes.",
            ("{{protocol}}", f"sum by (protocol) (agentbroker_gateway_connections{{{OURS}}})"),
            style=STACKED_LINES,
        ),
        panel(
            6,
            "Calls of controllers, by method and code",
            "gRPC calls a second. Any code but OK needs a look: UNAUTHENTICATED is a wrong token.",
            ("{{method}} {{code}}", f"sum by (method, code) ({rpcs}) > 0"),
            unit="reqps",
            style=STACKED_LINES,
        ),
    ]


def board() -> dict[str, Any]:
    """The whole board."""
    chosen = 'agentbroker_build_info{job=~"$job"}'
    requests = f"agentbroker_agents_requested_total{{{OURS}}}"
    return {
        "uid": "agentbroker-overview",
        "title": "agentbroker: overview",
        "description": "Do builds get their agents, how fast, and if not: why?",
        "tags": ["agentbroker"],
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": 38,
        "version": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "links": [],
        "annotations": {"list": []},
        "templating": {
            "list": [
                {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
                variable("job", "Job", "agentbroker_build_info"),
                variable("instance", "Instance", chosen),
                variable("controller", "Controller", requests),
                variable("policy", "Policy", requests),
            ]
        },
        "panels": panels(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(board(), indent=2) + "\n")
