"""Real agents at a gateway whose certificate is of a private CA, which they are given, or another one."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.demo.authority import Authority
from broker.demo.secured import Secured
from broker.demo.sim.plans import Transport
from tests.interop.world import Way, World
from tests.jenkins.controller import wait_for
from tests.jenkins.reuse import wait_until_gone
from tests.jenkins.rig import LABEL

pytestmark = [pytest.mark.agentjar, pytest.mark.jenkins, pytest.mark.timeout(300)]
BOTH = pytest.mark.parametrize("transport", list(Transport), ids=lambda transport: transport.value)


@pytest.fixture(scope="module")
def ca_file(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What agents are given as CAs: that of the gateway, whose listener speaks TLS for as long as these tests run."""
    plain = world.config()
    secured = Secured.new(tmp_path_factory.mktemp("tls") / "of-run")
    given = secured.directory / "given.crt"
    shutil.copy(secured.ca, given)
    config = world.config()
    config["gateway"]["tls"] = {**secured.gateway_keys(), "ca_file": str(given)}
    config["policies"]["hasty"] = {
        **config["policies"][LABEL],
        "labels": ["hasty"],
        "timeouts": {"connect": "15s"},
        "retry": {"attempts": 1},
    }
    begin_anew(world, config, secured)
    yield given
    begin_anew(world, plain, None)


def begin_anew(world: World, config: object, secured: Secured | None) -> None:
    """A broker and a gateway with another config; the controller finds them again."""
    world.stack.stop()
    world.write(config)
    world.stack.secured = secured
    before = world.controller.log().count("agentbroker: connected to")
    world.stack.start()
    world.wait_until_connected(before + 1)


@BOTH
def test_agents_that_are_given_the_ca_of_the_gateway_do_builds(
    world: World, ca_file: Path, transport: Transport
) -> None:
    world.take(Way(transport, transport))
    build = world.run(f"trusting-{transport.value}", "true")
    assert build["result"] == "SUCCESS"
    opened = [line for line in world.gateway_log() if "session_opened" in line and build["builtOn"] in line]
    assert len(opened) == 1


@BOTH
def test_agents_that_are_given_another_ca_never_send_their_secret_and_the_broker_says_what_they_cannot_reach(
    world: World, ca_file: Path, transport: Transport
) -> None:
    right = ca_file.read_bytes()
    Authority("another").write(ca_file)
    try:
        world.take(Way(transport, transport))
        said = world.command("doctor", "--gateway", "--config", str(world.stack.config_file), code=7)
        assert "agents will not trust this certificate" in said, said
        job = f"mistrusting-{transport.value}"
        before = set(world.controller.nodes())
        world.controller.create_job(job, "hasty", "true")
        world.controller.build(job)
        name = wait_for("an agent starts", lambda: next(iter(set(world.controller.nodes()) - before), ""))
        wait_for("its agent says why", lambda: "PKIX path building failed" in world.said_by(name), 40)
        row = wait_until_gone(world, name, 60)
        assert row["reason"] == "ConnectTimeout"
        assert "and does it trust its certificate?" in row["message"]
        assert not [line for line in world.gateway_log() if name in line]
    finally:
        ca_file.write_bytes(right)
        world.controller.script("jenkins.model.Jenkins.get().queue.clear()")
        world.controller.press(f"job/{job}/doDelete")
