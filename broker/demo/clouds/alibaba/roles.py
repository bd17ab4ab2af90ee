"""RAM roles of the account: who may take them on, and which ones instances may have."""

from dataclasses import dataclass, field
from typing import Final

from broker.demo.clouds.model import Identity

ECS: Final = "ecs.aliyuncs.com"


@dataclass(slots=True, kw_only=True)
class Role:
    """A role and whom it trusts: users and roles by their ARNs, whole accounts (`acs:ram::ACCOUNT:root`), services."""

    name: str
    arn: str
    trusts: list[str]
    external_id: str = ""
    max_duration_s: int = 3600
    id: str = "300000000000000000"

    def trusts_caller(self, identity: Identity) -> bool:
        """Whether a caller is named, as itself or with its account."""
        return bool({identity.arn, f"acs:ram::{identity.account}:root"} & {*self.trusts})


@dataclass(slots=True)
class Roles:
    """Those of the account, by name."""

    account: str
    known: dict[str, Role] = field(default_factory=dict)

    def add(self, name: str, *, trusts: list[str], external_id: str = "", max_duration_s: int = 3600) -> Role:
        """One more role, or another in its place."""
        arn = f"acs:ram::{self.account}:role/{name.lower()}"
        role = Role(name=name, arn=arn, trusts=trusts, external_id=external_id, max_duration_s=max_duration_s)
        self.known[name] = role
        return role

    def by_arn(self, arn: str) -> Role | None:
        """A role by its ARN; names in ARNs are taken whatever their case."""
        return next((role for role in self.known.values() if role.arn.lower() == arn.lower()), None)
