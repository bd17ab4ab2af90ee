"""More policies than one: written into the config of a running broker, which reads it anew."""

import json
import urllib.request
from collections.abc import Mapping

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
