"""`agentbroker doctor` at a real controller with an open agent port, and at a gateway for agents of both transports."""

import re
from pathlib import Path

import pytest
import yaml

from broker.demo.stack import CONTROLLER
from broker.gateway.identity import load_identity
from tests.interop.javas import NEEDED, old_java
from tests.interop.world import World
from tests.jenkins.rig import LABEL

pytestmark = [pytest.mark.agentjar, pytest.mark.jenkins, pytest.mark.timeout(300)]


def test_all_is_well_with_a_real_controller_and_its_gateway_and_nothing_is_disturbed(world: World) -> None:
    agent = world.an_idle_agent()
    said = world.command("doctor", "--config", str(world.stack.config_file))
    assert "0 warnings, 0 failed" in said, said
    port, ours = world.agent_port, load_identity(world.root / "state" / "keys" / "gateway-identity.pem").fingerprint
    assert f"agent port 127.0.0.1:{port.port}, identity {port.identity.fingerprint}" in said
    assert f"names are looked up, Jenkins {world.controller.version()}" in said
    assert re.search(rf"agent\.jar \S+, \S+ or newer is taken; agents need Java {NEEDED}, in images too", said)
    assert f"TCP at 127.0.0.1:{world.tcp_port}, identity {ours}" in said
    assert "an agent that does not exist is refused, as it has to be" in said
    assert world.noted("online").count(agent) == 1
    assert world.controller.nodes()[agent]["offline"] is False
    world.end(agent)


@pytest.mark.skipif(old_java() is None, reason="no Java is found that is too old: name one in AGENT_JAVA_OLD")
def test_a_java_that_is_too_old_is_found_before_an_agent_dies_of_it(world: World, tmp_path: Path) -> None:
    java, version = old_java() or ("", 0)
    config = world.config()
    config["pools"][LABEL]["java"] = java
    file = tmp_path / "broker.yaml"
    file.write_text(yaml.safe_dump(config))
    said = world.command("doctor", "--controller", CONTROLLER, "--config", str(file), code=7)
    assert f"{java} is Java {version}, and agents of this controller need {NEEDED}" in said


def test_the_secret_of_a_node_is_tried_on_the_agent_port(world: World, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(world.controller.add_static_node("static-1", "static"))
    tried = ("doctor", "--controller", CONTROLLER, "--config", str(world.stack.config_file), "--secret-file")
    assert "static-1 and its secret belong together" in world.command(*tried, str(secret), "--node", "static-1")
    secret.write_text("0" * 64)
    said = world.command(*tried, str(secret), "--node", "static-1", code=7)
    assert "static-1 is told: Authorization failure" in said, said
    assert world.controller.nodes()["static-1"]["offline"] is True
    world.controller.press("computer/static-1/doDelete")


def test_a_pin_that_is_not_the_controllers_is_found(world: World, tmp_path: Path) -> None:
    config = world.config()
    config["controllers"][CONTROLLER] |= {"agents": "tcp", "instance_identity": world.gateway_identity()}
    file = tmp_path / "broker.yaml"
    file.write_text(yaml.safe_dump(config))
    said = world.command("doctor", "--controller", CONTROLLER, "--config", str(file), code=7)
    assert f"controllers.{CONTROLLER}.instance_identity" in said
    assert world.agent_port.identity.fingerprint in said
