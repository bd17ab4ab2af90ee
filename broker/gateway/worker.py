"""One process of a gateway: `python -m broker.gateway.worker FD`, with its supervisor at the other end of FD.

SIGTERM: it accepts nobody any more and leaves with its last session. SIGINT: it leaves now. When its supervisor is no
more it does as after SIGTERM: sessions are not cut, and whoever takes the place may listen at the same addresses.
"""

import asyncio
import gc
import resource
import signal
import socket
import sys
from contextlib import suppress
from typing import Final

from broker.errors import BrokerError, GatewayError
from broker.gateway.channel import MAX_LINE, Report, line, read_order
from broker.gateway.link import Counts
from broker.gateway.process import Gateway
from broker.telemetry.log import configure

_ORDER_S: Final = 30.0
_REPORT_EVERY_S: Final = 1.0
_MAX_UNREAD: Final = 256 * 1024


async def work(channel: socket.socket) -> int:
    """Runs a gateway as it is told; its exit code. Takes the socket over."""
    reader, writer = await asyncio.open_connection(sock=channel, limit=MAX_LINE)
    try:
        async with asyncio.timeout(_ORDER_S):
            order = read_order(await reader.readline())
        configure(order.settings.log_format, order.settings.log_level)
        gateway = Gateway(order.settings, order.generation)
        gc.freeze()  # what is there now stays: a collection is about connections only
    except (BrokerError, OSError, ValueError) as error:  # an address, a certificate or a URL that cannot be used
        writer.write(line(Report(failure=_words(error))))
        with suppress(OSError):
            await writer.drain()
        return 1
    with suppress(asyncio.CancelledError):  # told to leave now: all sessions have ended
        await _serve(gateway, reader, writer)
    return 0


async def _serve(gateway: Gateway, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, gateway.drain)
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    async with asyncio.TaskGroup() as group:
        asides = [
            group.create_task(_report(gateway, writer), name="worker:report"),
            group.create_task(_supervised(gateway, reader), name="worker:supervised"),
        ]
        await gateway.run()
        for aside in asides:
            aside.cancel()
    _tell(writer, gateway)


async def _report(gateway: Gateway, writer: asyncio.StreamWriter) -> None:
    while True:
        _tell(writer, gateway)
        await asyncio.sleep(_REPORT_EVERY_S)


def _tell(writer: asyncio.StreamWriter, gateway: Gateway) -> None:
    if writer.transport.is_closing() or writer.transport.get_write_buffer_size() > _MAX_UNREAD:
        return
    health = gateway.health()
    report = Report(
        listen=gateway.address,
        tcp=gateway.tcp_address,
        up=health.up,
        draining=gateway.draining,
        sessions=sum(health.counts.connections.values()),
        counts=Counts.of(health.counts),
    )
    writer.write(line(report))


async def _supervised(gateway: Gateway, reader: asyncio.StreamReader) -> None:
    with suppress(OSError, ValueError):
        while await reader.readline():
            pass
    gateway.drain()


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, GatewayError) else f"the gateway cannot start: {error}"


def main(descriptor: int) -> int:
    """Works with the supervisor at the other end of a descriptor."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # of a terminal, or for the supervisor
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the real secrets of all its agents are in its memory
    with socket.socket(fileno=descriptor) as channel:
        channel.setblocking(False)
        return asyncio.run(work(channel))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
