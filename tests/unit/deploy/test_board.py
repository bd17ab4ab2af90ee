"""The Grafana board: what its builder makes, by the rules that dashboard-linter has for boards in a mixin.

Source of the rules: github.com/grafana/dashboard-linter, docs/rules; each check has the name of its rule.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

GRAFANA = Path(__file__).parents[3] / "deploy" / "grafana"
BOARD: Final[dict[str, Any]] = json.loads((GRAFANA / "agentbroker-overview.json").read_text())
PANELS: Final[list[dict[str, Any]]] = BOARD["panels"]
VARIABLES: Final = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
EXPRESSIONS: Final[list[str]] = [target["expr"] for panel in PANELS for target in panel["targets"]]
SELECTOR = re.compile(r"agentbroker_\w+\{([^}]*)\}")


def test_the_committed_board_is_what_its_builder_makes() -> None:
    made = subprocess.run(
        [sys.executable, GRAFANA / "build_overview.py"], capture_output=True, text=True, check=True, timeout=60
    )
    assert made.stdout == (GRAFANA / "agentbroker-overview.json").read_text()


def test_it_has_six_panels_that_do_not_overlap() -> None:
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in PANELS}
    assert (len(PANELS), len(places), len({panel["id"] for panel in PANELS})) == (6, 6, 6)


def test_uneditable_dashboard() -> None:
    assert BOARD["editable"] is False


def test_template_datasource_rule() -> None:
    assert (VARIABLES["datasource"]["type"], VARIABLES["datasource"]["query"]) == ("datasource", "prometheus")
    assert VARIABLES["datasource"]["label"] == "Data source"


@pytest.mark.parametrize(("name", "label"), [("job", "Job"), ("instance", "Instance")])
def test_template_job_and_instance_rule(name: str, label: str) -> None:
    variable = VARIABLES[name]
    assert (variable["type"], variable["label"], variable["allValue"]) == ("query", label, ".+")
    assert (variable["multi"], variable["includeAll"], variable["datasource"]["uid"]) == (True, True, "${datasource}")


def test_template_on_time_change_reload_rule() -> None:
    assert {v["refresh"] for v in VARIABLES.values() if v["type"] == "query"} == {2}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_panel_rules(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"]
    assert panel["targets"]
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["fieldConfig"]["defaults"]["unit"] in {"s", "short", "reqps"}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_target_job_and_instance_rule(expression: str) -> None:
    selectors = SELECTOR.findall(expression)
    assert len(selectors) == expression.count("agentbroker_")
    assert all('job=~"$job"' in selector and 'instance=~"$instance"' in selector for selector in selectors)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_target_counter_and_rate_interval_rules(expression: str) -> None:
    counters = re.findall(r"(\w+)\(agentbroker_\w+_(?:total|bucket)\{[^}]*\}\[([^\]]+)\]", expression)
    assert len(counters) == len(re.findall(r"agentbroker_\w+_(?:total|bucket)\{", expression))
    assert all(function in {"rate", "increase"} and window == "$__rate_interval" for function, window in counters)
