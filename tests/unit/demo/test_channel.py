"""The connection of a simulated agent."""

import socket
import threading
import time

import pytest

from broker.demo.channel import Channel
from broker.inbound.frames import PING, frame


def test_pings_give_a_wait_no_more_time() -> None:
    agent, controller = socket.socketpair()
    over = threading.Event()

    def ping() -> None:
        while not over.wait(0.02):
            controller.sendall(frame(PING, b"", None))

    pinging = threading.Thread(target=ping)
    with agent, controller:
        pinging.start()
        try:
            channel, until = Channel(agent, {}, b""), time.monotonic() + 0.2
            with pytest.raises(TimeoutError):
                channel.receive(until)
            assert time.monotonic() >= until
        finally:
            over.set()
            pinging.join()
