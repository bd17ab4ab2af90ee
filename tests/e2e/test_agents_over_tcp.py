"""Agents over TCP, the whole way: they find the gateway's port, and the gateway the controller's by its own word."""

import asyncio
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from broker.demo.ports import free_port
from broker.demo.sim.knocking import TurnedAway, knock
from broker.demo.sim.plans import AgentPlan, Transport
from tests.e2e.world import QUICK, World, until


@pytest.fixture
def tcp_world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "run")
    config = yaml.safe_load(world.stack.config_file.read_text())
    config["gateway"] |= {"tcp": {"listen": f"127.0.0.1:{free_port()}"}, "prefer": "tcp"}
    config["controllers"]["demo"] |= {"agents": "tcp"}
    world.stack.config_file.write_text(yaml.safe_dump(config, sort_keys=False))
    world.controller.open_port(free_port())
    try:
        world.start()
        yield world
    finally:
        world.stop()


def metrics(world: World) -> str:
    with urllib.request.urlopen(f"{world.stack.http_url}metrics", timeout=5) as reply:
        return str(reply.read().decode())


def test_builds_run_on_agents_over_tcp_and_a_second_one_of_a_name_is_kept_out(tcp_world: World) -> None:
    world = tcp_world
    world.controller.queue(1, label=QUICK, seconds=3)
    until(lambda: len(world.running()) == 1)
    until(lambda: 'agentbroker_gateway_connections{protocol="jnlp4"} 1.0' in metrics(world))
    [(_, secret)] = world.secrets().items()
    [name] = world.launched()
    twin = AgentPlan(name=name, secret=secret, transport=Transport.TCP, url=world.stack.gateway_url)
    with pytest.raises(TurnedAway, match=f"{name} is already connected to this controller. Rejecting this connection."):
        asyncio.run(knock(twin, ""))
    until(world.have_ended)
    assert world.results() == ["SUCCESS"]
    assert world.launched() == [name]
    assert not world.left_behind()
