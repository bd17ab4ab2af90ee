"""A simulated Jenkins controller, a process of its own that speaks the real protocols to broker, gateway and agents.

`python -m broker.demo.controller --port P --broker HOST:PORT --token-file F --secret-key-file K`. It keeps nothing
over a restart but K, from which the agents' secrets come: killed and started again, it is the same controller anew.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import grpc
from aiohttp import web

from broker.demo.broker_link import BrokerLink
from broker.demo.http_side import HttpSide
from broker.demo.model import Controller
from broker.demo.port_side import PortSide


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="broker.demo.controller", description="A simulated Jenkins controller.")
    parser.add_argument("--port", type=int, required=True, help="HTTP port on 127.0.0.1")
    parser.add_argument("--broker", required=True, metavar="HOST:PORT", help="the broker's gRPC address")
    parser.add_argument("--token-file", type=Path, required=True, help="the controller's token at the broker")
    parser.add_argument("--secret-key-file", type=Path, required=True, help="the key K that agents' secrets come from")
    parser.add_argument("--ca", type=Path, help="the authority of the broker's certificate; without it plaintext")
    parser.add_argument("--cert", type=Path, help="the controller's own certificate")
    parser.add_argument("--key", type=Path, help="the key of that certificate")
    parser.add_argument("--agent-port", type=int, help="TCP port for agents on 127.0.0.1; without it there is none")
    parser.add_argument("--identity-file", type=Path, help="the key of that port, which is made where it is missing")
    parser.add_argument("--agent-jar", type=Path, help="served as /jnlpJars/agent.jar")
    parser.add_argument(
        "--node-delay", type=float, default=0.3, help="seconds from the request to the node, as in core"
    )
    return parser.parse_args()


def _credentials(arguments: argparse.Namespace) -> grpc.ChannelCredentials | None:
    if arguments.ca is None:
        return None
    own = [path.read_bytes() if path else None for path in (arguments.key, arguments.cert)]
    return grpc.ssl_channel_credentials(arguments.ca.read_bytes(), *own)


async def _run(arguments: argparse.Namespace) -> None:
    secret_key = arguments.secret_key_file.read_bytes()
    url = f"http://127.0.0.1:{arguments.port}/"
    controller = Controller(node_delay_s=arguments.node_delay)
    link = BrokerLink(
        controller,
        target=arguments.broker,
        token=arguments.token_file.read_text().strip(),
        secret_key=secret_key,
        url=url,
        credentials=_credentials(arguments),
    )
    side = HttpSide(controller, secret_key=secret_key, agent_jar=arguments.agent_jar, changed=link.changed.set)
    runner = web.AppRunner(side.application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", arguments.port).start()
    print(f"simulated controller at {url}, boot {controller.boot_id}", flush=True)
    async with asyncio.TaskGroup() as group:
        if arguments.agent_port is not None:
            port = PortSide(side, arguments.agent_port, arguments.identity_file)
            side.port_told = link.port_told = (port.port, port.identity)
            group.create_task(port.run(), name="port side")
        group.create_task(side.run(), name="http side")
        group.create_task(link.run(), name="broker link")


def main() -> int:
    """Serves until SIGTERM or SIGINT, then ends at once: nothing is saved."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(_arguments()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
