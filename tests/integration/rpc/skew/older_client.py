"""A controller of an older version: the whole life of one agent in the messages of `older_agents.proto`.

    python older_client.py PORT TOKEN NAME SECRET

Runs in a process of its own, with the older stubs on its path. Says a line of JSON with what it was told.
"""

import json
import sys
import time
from typing import Any

import grpc
import older_agents_pb2 as wire  # type: ignore[import-not-found] # made by the test
import older_agents_pb2_grpc as stubs  # type: ignore[import-not-found] # made by the test

BOOT = "boot-older"
LONGEST_S = 60.0


def main(port: str, token: str, name: str, secret: str) -> None:
    """Asks for an agent, has it online and busy, gives it back, and sees that it is gone."""
    metadata, phases, deadline = (("authorization", f"Bearer {token}"),), list[str](), time.monotonic() + LONGEST_S
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        agents = stubs.AgentsStub(channel)

        def call(method: str, request: Any) -> Any:
            return getattr(agents, method)(request, metadata=metadata, timeout=10)

        def sync(**node: Any) -> Any:
            assert time.monotonic() < deadline, phases
            nodes = [wire.Node(name=name, **node)]
            reply = call("SyncNodes", wire.SyncNodesRequest(boot_id=BOOT, nodes=nodes))
            phases.extend(a.phase for a in reply.agents if [a.phase] != phases[-1:])
            time.sleep(0.05)
            return reply

        hello = wire.HandshakeRequest(api_version=1, boot_id=BOOT, client_version="0.0.1", controller_version="2.555")
        greeted = call("Handshake", hello)
        one = wire.AgentRequest(name=name, policy="linux", secret=secret, cause=wire.CAUSE_QUEUE)
        asked = call("RequestAgents", wire.RequestAgentsRequest(boot_id=BOOT, agents=[one]))
        while "connecting" not in phases:
            sync()
        while "online" not in phases:
            sync(online=True, accepting=True)
        busy = sync(online=True, busy=True, uses=1)
        back = wire.AgentRelease(name=name, cause=wire.RELEASE_CAUSE_COMPLETED, uses=1)
        released = call("ReleaseAgents", wire.ReleaseAgentsRequest(boot_id=BOOT, agents=[back]))
        removed = sync(online=True, uses=1).remove
        events = list[str]()
        for item in agents.WatchAgents(wire.WatchAgentsRequest(boot_id=BOOT, after=1), metadata=metadata, timeout=30):
            events += [item.event.event] if item.HasField("event") else []
            if "gone" in events:
                break
    told = {
        "controller": greeted.controller,
        "policies": [p.name for p in greeted.policies.policies],
        "accepted": [a.accepted for a in asked.answers],
        "busy": [(a.phase, a.uses, a.takes_builds) for a in busy.agents],
        "unknown": list(released.unknown),
        "removed": [(r.name, r.reason) for r in removed],
        "phases": phases,
        "events": events,
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
