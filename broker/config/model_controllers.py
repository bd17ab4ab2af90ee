"""The noun `controllers`."""

import hashlib
import re
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from broker.config.agent_port import DialAddress, InstanceIdentity
from broker.config.base import Cap, Label, Model, OrOne, Text, Url, UrlPath, one_or_more
from broker.config.units import Rate, pattern_schema, problem

_SHA256 = re.compile(r"[0-9a-f]{64}")


def _sha256(value: object) -> object:
    if isinstance(value, str) and not _SHA256.fullmatch(value):
        message = "expected the SHA-256 of a token: 64 of 0-9 and a-f"
        raise problem(
            "bad-token-hash",
            message,
            "'agentbroker init jenkins --home DIR' makes a token and prints the line",
        )
    return value


TokenHash = Annotated[str, BeforeValidator(_sha256), pattern_schema(_SHA256.pattern, hashlib.sha256(b"").hexdigest())]


class CountLimits(Model):
    """Caps on agents."""

    agents: Cap | None = Field(default=None, description="Most agents at once, in whatever phase.")
    pending: Cap | None = Field(default=None, description="Most agents at once that are launched and not yet online.")


class ControllerModel(Model):
    """A Jenkins that talks to this broker."""

    noun: ClassVar[str] = "a controller"
    url: Url = Field(description="The controller's own URL, which the gateway dials.")
    token_sha256: Annotated[
        list[TokenHash], BeforeValidator(one_or_more), Field(min_length=1, max_length=2), OrOne()
    ] = Field(description="SHA-256 of its token, in hex; a list of two while a token is changed.")
    limits: CountLimits = Field(default=CountLimits(), description="Caps on its agents.")
    labels: list[Label] | None = Field(
        default=None,
        description="The labels it may ask for, '*' and '?' as in file names; default: all.",
        examples=[["linux", "it-*"]],
    )
    rate: Rate | None = Field(default=None, description="Most agents that it may ask for in a time, such as 20/s.")
    path: UrlPath | None = Field(
        default=None,
        description="Path prefix of its agents' URLs at the gateway; default: /c/NAME/.",
        examples=["/ci/main/"],
    )
    agents: Literal["websocket", "tcp"] = Field(
        default="websocket", description="How the gateway reaches it for its agents; tcp: on its TCP port for agents."
    )
    instance_identity: InstanceIdentity | None = Field(
        default=None,
        description="Its identity in base64, which its TCP port must show; default: the one that it tells the broker.",
        examples=["MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"],
    )
    agent_address: DialAddress | None = Field(
        default=None,
        description="Host and port of its TCP port for agents, as the gateway reaches it; default: where it says.",
        examples=["ci.example.com:50000"],
    )
    ca_file: Text | None = Field(
        default=None,
        description="PEM file of the certificates that signed its https:// certificate; default: the system's.",
        examples=["/etc/agentbroker/ci-ca.pem"],
    )
