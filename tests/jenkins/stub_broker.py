"""A broker in memory, to try the Jenkins side without the real one: one process, plaintext, agents dial the controller.

Run as `python -m tests.jenkins.stub_broker CONFIG.json`; the config holds listen, token, controller_url, java,
agent_jar, work_dir, sync_interval and policies (name, labels, limit, accept_unlabelled, max_uses, idle_timeout).
"""

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from broker.wire.v1 import agents_pb2 as wire
from broker.wire.v1 import agents_pb2_grpc as services


@dataclass
class StubAgent:
    request: wire.AgentRequest
    process: asyncio.subprocess.Process | None = None
    uses: int = 0
    online: bool = False
    phase: str = "requested"


class StubBroker(services.AgentsServicer):  # type: ignore[misc]  # generated without types
    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.policies = {policy["name"]: policy for policy in config["policies"]}
        self.agents: dict[str, StubAgent] = {}
        self.ended: set[str] = set()

    async def Handshake(self, request: wire.HandshakeRequest, context: Any) -> wire.HandshakeReply:
        await self._authorize(context)
        reply = wire.HandshakeReply(api_version=1, broker_version="stub", controller="main")
        reply.policies.revision = "1"
        reply.sync_interval.FromMilliseconds(int(1000 * self.config.get("sync_interval", 2)))
        for policy in self.policies.values():
            told = reply.policies.policies.add(
                name=policy["name"],
                labels=policy["labels"],
                name_prefix=policy["name"],
                accept_unlabelled=policy.get("accept_unlabelled", False),
                executors=1,
            )
            self._retention(policy, told.retention)
        return reply

    async def RequestAgents(self, request: wire.RequestAgentsRequest, context: Any) -> wire.RequestAgentsReply:
        await self._authorize(context)
        for agent in request.agents:
            if agent.name not in self.agents and agent.name not in self.ended:
                self.agents[agent.name] = StubAgent(agent)
        await self._place()
        return wire.RequestAgentsReply(answers=[wire.AgentAnswer(name=a.name, accepted=True) for a in request.agents])

    async def ReleaseAgents(self, request: wire.ReleaseAgentsRequest, context: Any) -> wire.ReleaseAgentsReply:
        await self._authorize(context)
        unknown = [agent.name for agent in request.agents if agent.name not in self.agents | dict.fromkeys(self.ended)]
        for agent in request.agents:
            self._end(agent.name)
        await self._place()
        return wire.ReleaseAgentsReply(unknown=unknown)

    async def SyncNodes(self, request: wire.SyncNodesRequest, context: Any) -> wire.SyncNodesReply:
        await self._authorize(context)
        reply = wire.SyncNodesReply(policies_revision="1")
        for node in request.nodes:
            if known := self.agents.get(node.name):
                known.uses = max(known.uses, node.uses)
                known.online = known.online or node.online
                known.phase = "online" if node.online else ("reconnecting" if known.online else known.phase)
        for name, agent in list(self.agents.items()):
            if agent.process and agent.process.returncode is not None:
                self._end(name)
                reply.remove.add(name=name, reason="InstanceVanished", message="InstanceVanished: the agent has ended")
        reply.unknown.extend(n.name for n in request.nodes if n.name not in self.agents and n.name not in self.ended)
        reply.unknown.extend(n for n in request.pending if n not in self.agents and n not in self.ended)
        reply.agents.extend(self._state(agent) for agent in self.agents.values())
        return reply

    def _state(self, agent: StubAgent) -> wire.AgentState:
        policy = self.policies[agent.request.policy]
        why = f"{agent.phase} on stub"
        if agent.process is None:
            why = f"PolicyAtLimit: {policy['limit']} of {policy['limit']} agents"
        state = wire.AgentState(
            name=agent.request.name,
            policy=policy["name"],
            phase=agent.phase,
            takes_builds=agent.phase != "reconnecting",
            uses=agent.uses,
            why=why,
            labels=policy["labels"],
            executors=1,
        )
        self._retention(policy, state.retention)
        return state

    @staticmethod
    def _retention(policy: dict[str, Any], retention: wire.Retention) -> None:
        retention.max_uses = policy.get("max_uses", 1)
        retention.idle_timeout.FromSeconds(policy.get("idle_timeout", 60))
        retention.max_lifetime.FromSeconds(3600)

    async def _place(self) -> None:
        for agent in self.agents.values():
            limit = self.policies[agent.request.policy].get("limit", 1000)
            running = sum(a.process is not None and a.request.policy == agent.request.policy for a in self.agents.values())
            if agent.process is None and running < limit:
                agent.phase = "launching"
                agent.process = await self._launch(agent.request)

    async def _launch(self, request: wire.AgentRequest) -> asyncio.subprocess.Process:
        place = Path(self.config["work_dir"]) / request.name
        place.mkdir(parents=True)
        (place / "secret").write_text(request.secret)
        command = [self.config["java"], "-jar", self.config["agent_jar"], "-url", self.config["controller_url"]]
        command += ["-name", request.name, "-secret", f"@{place / 'secret'}", "-webSocket", "-workDir", str(place)]
        with (place / "log").open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _end(self, name: str) -> None:
        agent = self.agents.pop(name, None)
        self.ended.add(name)
        if agent and agent.process and agent.process.returncode is None:
            os.killpg(agent.process.pid, signal.SIGKILL)

    async def _authorize(self, context: Any) -> None:
        metadata = dict(context.invocation_metadata())
        if metadata.get("authorization") != f"Bearer {self.config['token']}":
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "wrong token")

    def close(self) -> None:
        for name in list(self.agents):
            self._end(name)


async def serve(config: dict[str, Any]) -> None:
    broker = StubBroker(config)
    server = grpc.aio.server()
    services.add_AgentsServicer_to_server(broker, server)
    server.add_insecure_port(config["listen"])
    await server.start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    broker.close()
    await server.stop(0.5)


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text())))
