"""A rig with several policies on its one pool, each with a retention of its own; and what the broker says of agents."""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

import yaml

from tests.jenkins.controller import wait_for
from tests.jenkins.rig import LABEL, Rig


def set_policies(
    rig: Rig, templates: Mapping[str, Mapping[str, object]], policies: Mapping[str, Mapping[str, object]] | None = None
) -> None:
    """Before the start: one more policy for each template, which is its label too. `templates` holds its keys.

    `policies` holds more keys of these policies, by the same names.
    """
    file = rig.stack.config_file
    config = yaml.safe_load(file.read_text())
    for label, keys in templates.items():
        config["templates"][label] = {"inherit_from": "default", **keys}
        config["policies"][label] = {
            "labels": [label],
            "pools": [LABEL],
            "template": label,
            **(policies or {}).get(label, {}),
        }
    file.write_text(yaml.safe_dump(config, sort_keys=False))


def agent(rig: Rig, name: str) -> dict[str, Any]:
    """The broker's row of an agent, as its API shows it."""
    with urllib.request.urlopen(f"{rig.stack.http_url}api/v1/agents/{name}", timeout=10) as reply:
        return dict(json.loads(reply.read()))


def wait_until_gone(rig: Rig, name: str, seconds: float = 30) -> dict[str, Any]:
    """The row of an agent once nothing of it is left."""

    def look() -> dict[str, Any] | None:
        row = agent(rig, name)
        return row if row["phase"] == "gone" else None

    row = wait_for(f"{name} is gone", look, seconds, every=0.2)
    assert row is not None
    return row


def a_node(rig: Rig, job: str, label: str, command: str = "true") -> str:
    """The name of the node that a new build gets; the build runs when it is online."""
    known = set(rig.controller.nodes())
    rig.controller.create_job(job, label, command)
    rig.controller.build(job)
    found = wait_for("there is a node", lambda: set(rig.controller.nodes()) - known, every=0.05)
    return str(found.pop())


def runs_on(rig: Rig, job: str, number: int = 1) -> str:
    """The node of a build, once it runs."""

    def look() -> str:
        return next((str(b["builtOn"] or "") for b in rig.controller.builds(job) if b["number"] == number), "")

    return wait_for(f"{job} #{number} runs", look, every=0.1)
