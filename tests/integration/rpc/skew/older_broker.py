"""A broker of an older version, as far as its API goes: it greets, and has no call that came later.

    python older_broker.py

Runs in a process of its own, with the older stubs on its path. Says its port, and serves until stdin ends.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import older_agents_pb2 as wire  # type: ignore[import-not-found] # made by the test
import older_agents_pb2_grpc as stubs  # type: ignore[import-not-found] # made by the test


class OlderBroker(stubs.AgentsServicer):  # type: ignore[misc] # as above
    """One policy, no agents."""

    def Handshake(self, request: Any, context: Any) -> Any:
        """What an older broker knows to say."""
        policy = wire.Policy(name="linux", labels=["linux"], name_prefix="linux", executors=1, remote_fs=".")
        policies = wire.PolicySet(revision="1", policies=[policy])
        return wire.HandshakeReply(api_version=1, broker_version="0.0.1", controller="main", policies=policies)


if __name__ == "__main__":
    server = grpc.server(ThreadPoolExecutor(4))
    stubs.add_AgentsServicer_to_server(OlderBroker(), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(None)
