"""A control plane that lets everybody in, and the page of a controller: `python -m … SOCKET PAGES PORT IDENTITY`."""

import asyncio
import base64
import sys
from contextlib import suppress
from pathlib import Path

from broker.clock import SystemClock
from broker.domain.ids import AgentId, ControllerName, HostId
from broker.gateway.control import ControlServer
from broker.inbound.discovery import Discovered, discovery_reply
from broker.ports import Admitted, Knock, Refused


class OpenDoor:
    """A `Doorkeeper` without a question."""

    async def admit(self, knock: Knock, until: float = 0.0) -> Admitted | Refused:
        """Yes."""
        return Admitted(agent_id=AgentId(knock.name), attempt=1, secret="cd" * 32, controller=ControllerName("main"))


class Nobody:
    """A `Nudge` that nobody waits for."""

    def agent(self, agent_id: AgentId) -> None:
        """Nothing."""

    def placement(self) -> None:
        """Nothing."""

    def host(self, host_id: HostId) -> None:
        """Nothing."""

    def hosts(self) -> None:
        """Nothing."""


async def main(socket: str, pages: str, port: str, identity: str) -> None:
    """Runs until it is killed."""
    control = ControlServer(Path(socket), OpenDoor(), Nobody(), SystemClock())
    page = discovery_reply(Discovered(host="127.0.0.1", port=int(port), identity=base64.b64decode(identity)))

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(EOFError):  # it only looks whether the port is there
            await reader.readuntil(b"\r\n\r\n")
        writer.write(page)
        writer.close()

    await control.start()
    await asyncio.start_server(tell, "127.0.0.1", int(pages))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
