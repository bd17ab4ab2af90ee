"""Where each value comes from."""

from pathlib import Path

import pytest
import yaml

from broker.config.load import Checked, check_file
from broker.config.origins import as_objects, as_yaml, origins
from broker.config.show import effective

MAIN = """version: 1
templates:
  base: { abstract: true, cpu: 1, env: { TZ: UTC, NPM_TOKEN: canary } }
  java:
    inherit_from: base
    cpu: 2
policies:
  linux: { labels: [linux], template: java, pools: [here, { pool: more, weight: 2 }], strategy: weighted }
"""
PART = "pools:\n  here: { backend: process }\n  more: { inherit_from: here, limits: { agents: 3 } }\n"


@pytest.fixture
def checked(tmp_path: Path) -> Checked:
    (tmp_path / "broker.yaml").write_text(MAIN)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "pools.yaml").write_text(PART)
    return check_file(tmp_path / "broker.yaml", env={"AGENTBROKER_POOLS__MORE__LIMITS__PENDING": "2"})


def found(checked: Checked, path: str, *, defaults: bool = False) -> dict[str, tuple[object, str]]:
    """Values and origins by path, with short names of files."""
    base = str(checked.base)
    return {
        ".".join(map(str, one.path)): (one.value, one.origin.replace(f"{base}/", ""))
        for one in origins(checked, path, defaults=defaults)
    }


def test_a_value_comes_from_a_line_of_its_file_also_when_it_is_inherited(checked: Checked) -> None:
    assert found(checked, "templates.java") == {
        "templates.java.inherit_from": ("base", "broker.yaml:5"),
        "templates.java.cpu": (2.0, "broker.yaml:6"),
        "templates.java.env.TZ": ("UTC", "broker.yaml:3"),
        "templates.java.env.NPM_TOKEN": ("********", "broker.yaml:3"),
    }


def test_a_value_comes_from_a_part_a_variable_or_a_default(checked: Checked) -> None:
    pools = found(checked, "pools.more", defaults=True)
    assert pools["pools.more.backend"] == ("process", "conf.d/pools.yaml:2")
    assert pools["pools.more.limits.agents"] == (3, "conf.d/pools.yaml:3")
    assert pools["pools.more.limits.pending"] == (2, "env AGENTBROKER_POOLS__MORE__LIMITS__PENDING")
    assert pools["pools.more.cooldown.within"] == ("2m", "default")


def test_a_pool_by_its_name_alone_has_its_line(checked: Checked) -> None:
    policies = found(checked, "policies.linux.pools", defaults=True)
    assert policies["policies.linux.pools.0.pool"] == ("here", "broker.yaml:8")
    assert policies["policies.linux.pools.0.weight"] == (1, "default")
    assert policies["policies.linux.pools.1.weight"] == (2, "broker.yaml:8")


@pytest.mark.parametrize("defaults", [False, True])
def test_what_is_shown_with_origins_is_what_is_in_force(checked: Checked, defaults: bool) -> None:
    assert checked.file is not None
    text = as_yaml(origins(checked, "", defaults=defaults))
    assert yaml.safe_load(text) == effective(checked.file, defaults=defaults)
    assert "canary" not in text


def test_a_single_value_is_shown_alone(checked: Checked) -> None:
    text = as_yaml(origins(checked, "templates.java.cpu", defaults=False))
    assert text == f"templates:\n  java:\n    cpu: 2.0  # {checked.base}/broker.yaml:6"


def test_for_machines_it_is_a_list(checked: Checked) -> None:
    items = as_objects(origins(checked, "templates.java.cpu", defaults=False))["items"]
    assert items == [{"path": "templates.java.cpu", "value": 2.0, "origin": f"{checked.base}/broker.yaml:6"}]


def test_a_path_that_leads_nowhere_says_so(checked: Checked) -> None:
    with pytest.raises(KeyError, match="did you mean 'templates'"):
        origins(checked, "template", defaults=False)
