"""Security Token Service: who calls, and sessions of roles."""

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from broker.demo.clouds.model import ApiError, Call, Identity, Parameters, Service
from broker.demo.clouds.signature import Key
from broker.demo.clouds.world import World

_CHAINED_S: Final = 3600
"""The longest session of a role that another role's session assumes."""


@dataclass(slots=True, kw_only=True)
class Role:
    """A role and whom it trusts: ARNs of users and roles, or of whole accounts (`arn:aws:iam::ACCOUNT:root`)."""

    arn: str
    trusts: list[str]
    external_id: str = ""
    max_duration_s: int = 3600
    id: str = field(default_factory=lambda: "AROA" + secrets.token_hex(8).upper())

    def trusts_caller(self, identity: Identity) -> bool:
        """Whether a caller is named, as itself, as its role or with its account."""
        return bool({identity.arn, role_of(identity.arn), f"arn:aws:iam::{identity.account}:root"} & {*self.trusts})


class FakeSts(Service):
    """Sessions are keys on the world's ring; they end by the wall clock, by which they are used."""

    name = "sts"

    def __init__(self, world: World) -> None:
        """No role yet."""
        self._world = world
        self.roles: dict[str, Role] = {}

    def add_role(
        self, name: str, *, trusts: list[str], external_id: str = "", account: str = "", max_duration_s: int = 3600
    ) -> Role:
        """One more role, by its name with its path."""
        arn = f"arn:aws:iam::{account or self._world.account}:role/{name}"
        role = Role(arn=arn, trusts=trusts, external_id=external_id, max_duration_s=max_duration_s)
        self.roles[arn] = role
        return role

    def end_sessions(self) -> None:
        """The time of every session is over now."""
        self._world.keyring.end_sessions(self._world.wall.now())

    async def GetCallerIdentity(self, call: Call) -> Parameters:
        """Who signed."""
        who = call.identity
        return {"UserId": who.user_id, "Account": who.account, "Arn": who.arn}

    async def AssumeRole(self, call: Call) -> Parameters:
        """Keys of a session, for `DurationSeconds` or an hour."""
        said = call.parameters
        role = self.roles.get(said["RoleArn"])
        if role is None or not role.trusts_caller(call.identity) or role.external_id != said.get("ExternalId", ""):
            message = f"User: {call.identity.arn} is not authorized to perform: sts:AssumeRole on resource: "
            raise ApiError("AccessDenied", message + said["RoleArn"], 403)
        duration_s = said.get("DurationSeconds", 3600)
        if duration_s > role.max_duration_s:
            raise _too_long("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
        if duration_s > _CHAINED_S and ":assumed-role/" in call.identity.arn:
            raise _too_long("The requested DurationSeconds exceeds the 1 hour session limit for role chaining.")
        key = self._session(role, said["RoleSessionName"], duration_s)
        return {
            "Credentials": {
                "AccessKeyId": key.access_key,
                "SecretAccessKey": key.secret,
                "SessionToken": key.token,
                "Expiration": key.expires_at,
            },
            "AssumedRoleUser": {"AssumedRoleId": key.identity.user_id, "Arn": key.identity.arn},
        }

    def _session(self, role: Role, session: str, duration_s: int) -> Key:
        account, name = role.arn.split(":")[4], role.arn.rpartition("/")[2]
        identity = Identity(
            account=account,
            arn=f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
            user_id=f"{role.id}:{session}",
        )
        return self._world.keyring.add(
            Key(
                access_key="ASIA" + secrets.token_hex(8).upper(),
                secret=secrets.token_urlsafe(30),
                identity=identity,
                token=secrets.token_urlsafe(60),
                expires_at=self._world.wall.now().replace(microsecond=0) + timedelta(seconds=duration_s),
            )
        )


def role_of(arn: str) -> str:
    """The ARN of the role of a session; any other ARN as it is. A role's path is not in its sessions' ARNs."""
    head, mark, rest = arn.partition(":assumed-role/")
    return f"{head.replace(':sts:', ':iam:')}:role/{rest.partition('/')[0]}" if mark else arn


def _too_long(message: str) -> ApiError:
    return ApiError("ValidationError", message)
