"""Security Token Service: who calls, and sessions of roles.

https://www.alibabacloud.com/help/en/ram/developer-reference/api-sts-2015-04-01-assumerole
"""

import re
import secrets
from datetime import timedelta
from typing import Final

from broker.demo.clouds.alibaba import errors
from broker.demo.clouds.alibaba.formats import told_exactly
from broker.demo.clouds.alibaba.roles import Role
from broker.demo.clouds.alibaba.service import Service, action
from broker.demo.clouds.alibaba.shapes import Shape, structure
from broker.demo.clouds.alibaba.signature import Key
from broker.demo.clouds.alibaba.world import World
from broker.demo.clouds.model import ApiError, Call, Identity, Parameters

_TEXT: Final = Shape("text")
_SESSION: Final = re.compile(r"[A-Za-z0-9.@_-]{2,64}")
_REQUESTS: Final = {
    "AssumeRole": structure(
        RoleArn=_TEXT, RoleSessionName=_TEXT, DurationSeconds=Shape("integer"), Policy=_TEXT, ExternalId=_TEXT,
        SourceIdentity=_TEXT,
    ),
    "GetCallerIdentity": structure(),
}  # fmt: skip
_REPLIES: Final = {
    "AssumeRole": structure(
        Credentials=structure(
            AccessKeyId=_TEXT, AccessKeySecret=_TEXT, SecurityToken=_TEXT, Expiration=_TEXT
        ),
        AssumedRoleUser=structure(Arn=_TEXT, AssumedRoleId=_TEXT),
    ),
    "GetCallerIdentity": structure(
        IdentityType=_TEXT, AccountId=_TEXT, PrincipalId=_TEXT, UserId=_TEXT, Arn=_TEXT, RoleId=_TEXT
    ),
}  # fmt: skip


class FakeSts(Service):
    """Sessions are keys on the world's ring; they end by the wall clock, by which they are used."""

    name = "sts"
    version = "2015-04-01"

    def __init__(self, world: World) -> None:
        """No role yet."""
        self._world = world
        self.actions = {
            "AssumeRole": action(self._assume, "RoleArn RoleSessionName", "DurationSeconds ExternalId Policy"),
            "GetCallerIdentity": action(self._identity),
        }

    def request(self, name: str) -> Shape | None:
        """The SDK of STS is none of ours: its models are here."""
        return _REQUESTS.get(name)

    def reply(self, name: str) -> Shape | None:
        """Of the same."""
        return _REPLIES.get(name)

    def add_role(self, name: str, *, trusts: list[str], external_id: str = "", max_duration_s: int = 3600) -> Role:
        """A role of the account."""
        return self._world.roles.add(name, trusts=trusts, external_id=external_id, max_duration_s=max_duration_s)

    def end_sessions(self) -> None:
        """The time of every session is over now."""
        self._world.keyring.end_sessions(self._world.wall.now())

    def _identity(self, call: Call) -> Parameters:
        who = call.identity
        kind = "AssumedRoleUser" if ":assumed-role/" in who.arn else "RAMUser"
        told: Parameters = {"IdentityType": kind, "AccountId": who.account, "PrincipalId": who.user_id, "Arn": who.arn}
        return {**told, "RoleId" if kind == "AssumedRoleUser" else "UserId": who.user_id.partition(":")[0]}

    def _assume(self, call: Call) -> Parameters:
        said = call.parameters
        role = self._world.roles.by_arn(said["RoleArn"])
        if role is None:
            message = f"The role not exists: {said['RoleArn'].rpartition('/')[2]}."
            raise ApiError("EntityNotExist.Role", message, 404)
        if not role.trusts_caller(call.identity) or role.external_id != said.get("ExternalId", ""):
            raise errors.denied(call)
        if not _SESSION.fullmatch(said["RoleSessionName"]):
            message = "The format of the parameter RoleSessionName is incorrect."
            raise ApiError("InvalidParameter.RoleSessionName", message)
        duration_s = said.get("DurationSeconds", 3600)
        if not 900 <= duration_s <= role.max_duration_s:
            message = "The Min/Max value of DurationSeconds is 15min/MaxSessionDuration."
            raise ApiError("InvalidParameter.DurationSeconds", message)
        key = session(self._world, role, said["RoleSessionName"], duration_s)
        assert key.expires_at is not None
        return {
            "Credentials": {
                "AccessKeyId": key.access_key,
                "AccessKeySecret": key.secret,
                "SecurityToken": key.token,
                "Expiration": told_exactly(key.expires_at.timestamp()),
            },
            "AssumedRoleUser": {"Arn": key.identity.arn, "AssumedRoleId": key.identity.user_id},
        }


def session(world: World, role: Role, name: str, duration_s: float) -> Key:
    """Keys of a session of a role."""
    identity = Identity(
        account=world.account,
        arn=f"acs:ram::{world.account}:assumed-role/{role.name.lower()}/{name}",
        user_id=f"{role.id}:{name}",
    )
    return world.keyring.add(
        Key(
            access_key=f"STS.{secrets.token_hex(12)}",
            secret=secrets.token_urlsafe(30),
            identity=identity,
            token=secrets.token_urlsafe(90),
            expires_at=world.wall.now().replace(microsecond=0) + timedelta(seconds=duration_s),
        )
    )
