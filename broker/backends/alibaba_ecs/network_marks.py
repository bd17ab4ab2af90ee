"""Tags by which what `auto_network` has made is known again, and told from what others have.

The signature covers what cannot be changed of a thing: the block of a VPC, VPC, zone and block of a vSwitch, the VPC of
a security group. Tags that are copied to a thing of others are worth nothing there.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from broker.domain.ids import BackendName

MANAGED_BY: Final = "managed-by"
AGENTBROKER: Final = "agentbroker"
INSTALLATION: Final = "agentbroker:installation"
BACKEND: Final = "agentbroker:backend"
KIND: Final = "agentbroker:network"
SIGNATURE: Final = "agentbroker:network-signature"


class Kind(StrEnum):
    """What there is to make, in the order in which it is made."""

    VPC = "vpc"
    VSWITCH = "vswitch"
    GROUP = "security-group"


_ID: Final = {Kind.VPC: "VpcId", Kind.VSWITCH: "VSwitchId", Kind.GROUP: "SecurityGroupId"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkMarks:
    """Of one backend of one broker. `sign` signs as only this broker can."""

    backend: BackendName
    installation: str
    sign: Callable[[str], str]

    def name(self, kind: Kind, zone: str = "") -> str:
        """What people see in the console; the same each time."""
        return "-".join(one for one in ("agentbroker", self.backend, kind, zone) if one)[:128]

    def tags(self, kind: Kind, facts: Mapping[str, Any]) -> list[dict[str, str]]:
        """What a new thing is made with; `facts` are what its making says, in the words of its description."""
        marks = {
            MANAGED_BY: AGENTBROKER,
            INSTALLATION: self.installation,
            BACKEND: self.backend,
            KIND: kind,
            SIGNATURE: self._signature(kind, facts),
        }
        return [{"Key": key, "Value": value} for key, value in marks.items()]

    @property
    def searched(self) -> list[dict[str, str]]:
        """The tags that narrow a listing to what may be ours."""
        return [{"Key": INSTALLATION, "Value": self.installation}, {"Key": BACKEND, "Value": self.backend}]

    def are_ours(self, kind: Kind, described: Mapping[str, Any]) -> bool:
        """Whether this very backend has made it."""
        said = tags_of(described)
        same = (said.get(INSTALLATION), said.get(BACKEND), said.get(KIND)) == (self.installation, self.backend, kind)
        true = self._signature(kind, described)
        return same and hmac.compare_digest(said.get(SIGNATURE, "").encode(), true.encode())

    def token(self, kind: Kind, *parts: str) -> str:
        """The client token of one making: the same for whoever of this backend makes the same thing."""
        text = "\n".join((self.installation, self.backend, kind, *parts))
        return hashlib.sha256(text.encode()).hexdigest()[:64]

    def _signature(self, kind: Kind, facts: Mapping[str, Any]) -> str:
        own = {
            Kind.VPC: ("CidrBlock",),
            Kind.VSWITCH: ("VpcId", "ZoneId", "CidrBlock"),
            Kind.GROUP: ("VpcId",),
        }[kind]
        said = (str(facts.get(name) or "") for name in own)
        return self.sign("\n".join(("alibaba-network", kind, self.installation, self.backend, *said)))


def id_of(kind: Kind, described: Mapping[str, Any]) -> str:
    """The id in a description, or in the answer to a making."""
    return str(described.get(_ID[kind]) or "")


def tags_of(described: Mapping[str, Any]) -> dict[str, str]:
    """The tags in a description: VPC says Key and Value, ECS TagKey and TagValue."""
    listed = (described.get("Tags") or {}).get("Tag") or []
    return {
        str(tag.get("TagKey") or tag.get("Key") or ""): str(tag.get("TagValue") or tag.get("Value") or "")
        for tag in listed
    }
