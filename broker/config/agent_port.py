"""Where an agent port is and whose it is, as agents are told in direct mode."""

import base64
import binascii
import re
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer

from broker.config.settings import Address
from broker.config.units import describe, parse_address, pattern_schema, problem

_HOST: Final = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)"
_PORT: Final = r"0*(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_TUNNEL: Final = re.compile(rf"(?:{_HOST}:(?:{_PORT})?|:{_PORT})", re.ASCII)
_WHOLE: Final = re.compile(rf"{_HOST}:{_PORT}", re.ASCII)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{24,4000}={0,2}", re.ASCII)
_RSA: Final = bytes.fromhex("06092a864886f70d010101")
"""The object identifier rsaEncryption, as it stands in a SubjectPublicKeyInfo (RFC 8017)."""


def _tunnel(value: object) -> object:
    if isinstance(value, str) and not _TUNNEL.fullmatch(value):
        message = f"expected HOST:PORT, HOST: or :PORT, got {describe(value)}"
        raise problem("bad-tunnel", message, "such as 'ci.example.com:50000', without http:// and without a path")
    return value


def _identity(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        spki = base64.b64decode(value, validate=True)
    except binascii.Error:
        spki = b""
    if not spki.startswith(b"\x30") or _RSA not in spki[:40]:
        message = "this is not the identity of a controller: an RSA key in base64, on one line"
        raise problem(
            "bad-identity", message, "it is the header X-Instance-Identity of JENKINS_URL/tcpSlaveAgentListener/"
        )
    return value


def _dial_address(value: object) -> object:
    if not isinstance(value, str) or not _WHOLE.fullmatch(value) or parse_address(value).is_wildcard:
        message = f"expected an address that the gateway can connect to, got {describe(value)}"
        raise problem("bad-address", message, "such as 'ci.example.com:50000', without http:// and without a path")
    return parse_address(value)


DialAddress = Annotated[
    Address,
    BeforeValidator(_dial_address),
    PlainSerializer(str, return_type=str),
    pattern_schema(_WHOLE.pattern, "ci.example.com:50000"),
]
Tunnel = Annotated[str, BeforeValidator(_tunnel), pattern_schema(_TUNNEL.pattern, "ci.example.com:50000")]
InstanceIdentity = Annotated[
    str, BeforeValidator(_identity), pattern_schema(_BASE64.pattern, "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A")
]
