"""What a controller says of itself in a handshake, as our own value."""

import re
from typing import Final

from broker.domain.introduction import Introduction
from broker.wire.v1 import agents_pb2 as wire

_LONGEST_IDENTITY: Final = 4_000
_LAST_PORT: Final = 65_535
_HOST: Final = re.compile(r"[A-Za-z0-9_.:-]{0,255}", re.ASCII)
_VERSION: Final = re.compile(r"[A-Za-z0-9_.+-]{0,64}", re.ASCII)


def introduction(request: wire.HandshakeRequest) -> Introduction:
    """The port for agents of a controller; what cannot be understood counts as not told."""
    oldest = request.remoting_minimum_version
    return Introduction(
        identity=request.instance_identity if len(request.instance_identity) <= _LONGEST_IDENTITY else "",
        host=request.agent_host if _HOST.fullmatch(request.agent_host) else "",
        port=request.agent_port if request.agent_port <= _LAST_PORT else 0,
        minimum_version=oldest if _VERSION.fullmatch(oldest) else "",
    )
