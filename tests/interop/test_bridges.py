"""Real agents of a real controller across the gateway, on each of the four ways: builds, classes, 100 MB."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.demo.sim.plans import Transport
from broker.gateway.identity import load_identity
from tests.interop.world import Way, World

pytestmark = [pytest.mark.agentjar, pytest.mark.jenkins, pytest.mark.timeout(300)]

MIB = 100
NODE = "jenkins.model.Jenkins.get().getNode('%s')"
# What crosses the channel is made and hashed on one side and hashed on the other; neither sees the other's file.
CONTROLLER_SENDS = """
def hash = java.security.MessageDigest.getInstance('SHA-256'), random = new Random(7), buffer = new byte[1 << 20]
def channel = jenkins.model.Jenkins.get().getNode('%s').channel
new hudson.FilePath(channel, '%s').write().withStream { stream ->
    %d.times { random.nextBytes(buffer); hash.update(buffer); stream.write(buffer) }
}
print hash.digest().encodeHex()
"""
CONTROLLER_READS = """
def hash = java.security.MessageDigest.getInstance('SHA-256'), buffer = new byte[1 << 20]
def channel = jenkins.model.Jenkins.get().getNode('%s').channel
new hudson.FilePath(channel, '%s').read().withStream { stream ->
    for (int n; (n = stream.read(buffer)) >= 0;) { hash.update(buffer, 0, n) }
}
print hash.digest().encodeHex()
"""
AGENT_MAKES = """
def hash = java.security.MessageDigest.getInstance('SHA-256'), random = new Random(11), buffer = new byte[1 << 20]
new File('%s').withOutputStream { file ->
    %d.times { random.nextBytes(buffer); hash.update(buffer); file.write(buffer) }
}
hash.digest().encodeHex().toString()
"""
AGENT_HASHES = """
def hash = java.security.MessageDigest.getInstance('SHA-256')
new File('%s').eachByte(1 << 20) { bytes, count -> hash.update(bytes, 0, count) }
[hash.digest().encodeHex().toString(), new File('%s').length()]
"""
LOADED = """
def counters = new StringWriter()
channel.dumpPerformanceCounters(new PrintWriter(counters, true))
[loader: hudson.FilePath.classLoader.class.name, counters: counters.toString()]
"""


@pytest.fixture(scope="module")
def agent(world: World, way: Way) -> Iterator[str]:
    """One that is online on this way."""
    name = world.an_idle_agent()
    yield name
    world.end(name)


def test_an_agent_comes_online_this_way(world: World, way: Way, agent: str) -> None:
    transport = world.controller.script(f"print {NODE % agent}.channel.@transport.class.name")
    assert ("ChannelApplicationLayer" in transport) == (way.controllers is Transport.TCP), transport
    assert ("WebSocketAgents" in transport) == (way.controllers is Transport.WEBSOCKET), transport
    ours = load_identity(world.root / "state" / "keys" / "gateway-identity.pem").fingerprint
    assert (f"Remote identity confirmed: {ours}" in world.said_by(agent)) == (way.agents is Transport.TCP)
    assert ("WebSocket connection open" in world.said_by(agent)) == (way.agents is Transport.WEBSOCKET)


def test_it_loads_classes_from_the_controller(world: World, agent: str) -> None:
    loaded = world.on(agent, LOADED)
    assert loaded["loader"] == "hudson.remoting.RemoteClassLoader"
    assert int(re.findall(r"Class loading count=(\d+)", loaded["counters"])[0]) > 100, loaded


def test_a_hundred_megabytes_arrive_whole_both_ways(world: World, agent: str, tmp_path: Path) -> None:
    down, up = tmp_path / "down", tmp_path / "up"
    sent = world.controller.script(CONTROLLER_SENDS % (agent, down, MIB), seconds=120)
    assert world.on(agent, AGENT_HASHES % (down, down)) == [sent, MIB * 2**20]
    made = world.on(agent, AGENT_MAKES % (up, MIB))
    assert world.controller.script(CONTROLLER_READS % (agent, up), seconds=120) == made


def test_its_build_succeeds_and_its_session_has_carried_all_of_it(world: World, way: Way, agent: str) -> None:
    build = world.run(f"hello-{way}", "echo hello")
    assert (build["result"], build["builtOn"]) == ("SUCCESS", agent), world.controller.console(f"hello-{way}", 1)
    received, sent = world.relayed(agent)
    assert min(received, sent) >= MIB * 2**20
