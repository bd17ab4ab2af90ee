"""What a gateway makes of a controller's answer over HTTP."""

import socket
from pathlib import Path

import pytest

from broker.gateway.settings import GatewaySettings
from broker.gateway.upstream import Upstream
from broker.inbound.descriptor import Descriptor
from broker.inbound.http import parse_response


@pytest.mark.parametrize("length", [b"13", b"9" * 5000, b"-1", b"\xb9"])
async def test_a_body_is_read_whatever_length_is_told(length: bytes) -> None:
    upstream = Upstream(GatewaySettings(control=Path("/nowhere"), controllers={}, paths={}))
    head = parse_response(b"HTTP/1.1 400 x\r\nContent-Length: " + length)
    with socket.socket() as sock:
        leg = Descriptor(sock)
        leg.surplus = b"no such agent"
        assert await upstream._body(leg, head) == b"no such agent"
