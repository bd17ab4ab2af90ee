"""More policies than one: written into the config of a running broker, which reads it anew."""

import json
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import yaml

from tests.jenkins.controller import wait_for
from tests.jenkins.rig import LABEL, Rig

FLEET = "def fleet = jenkins.model.Jenkins.get().clouds.find { it.class.name == 'BrokerCloud' }.@fleet\n"
"""Of a script in the console: what our side of the controller knows."""


def write_policies(rig: Rig, policies: Mapping[str, Mapping[str, object]]) -> None:
    """These policies beside the rig's own, and none of an earlier call; keys of `template` make one of their own."""
    config = yaml.safe_load(rig.stack.config_file.read_text())
    own = config["policies"][LABEL]
    template = config["templates"]["default"]
    config["policies"] = {LABEL: own}
    config["templates"] = {"default": template}
    for name, keys in policies.items():
        rest = dict(keys)
        if (more := rest.pop("template", None)) is not None:
            assert isinstance(more, Mapping)
            config["templates"][name] = {**template, **more}
            rest["template"] = name
        config["policies"][name] = {"pools": [LABEL], **rest}
    rig.stack.config_file.write_text(yaml.safe_dump(config, sort_keys=False))


def reload(rig: Rig) -> None:
    """Returns once the broker has taken the config over; what is wrong with it is an HTTPError."""
    body = json.dumps({"dry_run": False}).encode()
    request = urllib.request.Request(f"{rig.stack.http_url}api/v1/reload", data=body, method="POST")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=20) as reply:
        assert reply.status == 200


def known_policies(rig: Rig) -> list[str]:
    """Those that Jenkins knows, the first that is asked first."""
    return rig.controller.script(FLEET + "print fleet.policies*.name.join(' ')").split()


def use_policies(rig: Rig, policies: Mapping[str, Mapping[str, object]]) -> None:
    """As write_policies; returns when Jenkins knows them."""
    write_policies(rig, policies)
    reload(rig)
    wait_for("Jenkins knows them", lambda: set(known_policies(rig)) == {LABEL, *policies}, seconds=15)


def pause(rig: Rig, pool: str, reason: str) -> None:
    """As an operator does in an incident."""
    body = json.dumps({"reason": reason}).encode()
    request = urllib.request.Request(f"{rig.stack.http_url}api/v1/pools/{pool}:pause", data=body, method="POST")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=20) as reply:
        assert reply.status == 200


def crowded(rig: Rig) -> None:
    """Policies whose second build, or whose first, waits for a reason of its own; in force."""
    two = {"template": {"cpu": 2}}
    hour = (datetime.now(UTC) + timedelta(hours=2)).hour
    later = {"hours": f"{hour:02}:00-{(hour + 1) % 24:02}:00", "timezone": "UTC"}
    policies: dict[str, dict[str, object]] = {
        "full": {"limits": {"agents": 1}},
        "cores": {"pools": ["small"], **two},
        "twins": {"limits": {"per_job": 1}},
        "broke": {"pools": ["priced"], "budget": {"amount": 0.01, "currency": "USD"}, **two},
        "held": {"pools": ["shut"]},
        "night": {"pools": ["shut"], "fallback": [{"pool": "east", "only": later}]},
        "filler": {"pools": ["west"]},
        "skewed": {"pools": ["east", "west"], "strategy": "spread", "spread": {"by": "pool", "max_skew": 1}},
    }
    write_policies(rig, {name: {"labels": [name], **keys} for name, keys in policies.items()})
    config = yaml.safe_load(rig.stack.config_file.read_text())
    pool = config["pools"][LABEL]
    config["currencies"] = {"base": "USD"}
    config["pools"] |= {name: dict(pool) for name in ("shut", "east")}
    config["pools"] |= {"west": pool | {"limits": {"agents": 1}}, "small": pool | {"limits": {"cpu": 3}}}
    config["pools"]["priced"] = pool | {"cost": {"cpu_hour": 1}}
    rig.stack.config_file.write_text(yaml.safe_dump(config, sort_keys=False))
    reload(rig)
    wait_for("Jenkins knows them", lambda: set(known_policies(rig)) == {LABEL, *policies}, seconds=15)
    pause(rig, "shut", "moved by night")
