"""Secrets Manager."""

import secrets
import string
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from broker.demo.clouds.model import ApiError, Call, Parameters, Service
from broker.demo.clouds.pages import page_of
from broker.demo.clouds.world import World

_LETTERS: Final = string.ascii_letters + string.digits


@dataclass(slots=True, kw_only=True)
class Secret:
    """One secret; its value by version. A deleted one keeps its name until its window is over."""

    name: str
    arn: str
    region: str
    created_at: datetime
    key_id: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    deleted_at: datetime | None = None
    versions: dict[str, Parameters] = field(default_factory=dict, repr=False)
    current: str = ""


class FakeSecretsManager(Service):
    """Secrets by region and name."""

    name = "secretsmanager"

    def __init__(self, world: World) -> None:
        """None yet."""
        self._world = world
        self._secrets: dict[tuple[str, str], Secret] = {}

    @property
    def secrets(self) -> list[Secret]:
        """Those that are there, deleted ones aside."""
        return [one for one in self._secrets.values() if not one.deleted_at]

    def value_of(self, reference: str) -> str | None:
        """The text that a task gets for `valueFrom`: an ARN, perhaps with `:json-key:stage:version` behind it."""
        arn = ":".join(reference.split(":")[:7])
        found = next((one for one in self.secrets if one.arn == arn), None)
        text = found.versions[found.current].get("SecretString") if found and found.current else None
        return text if isinstance(text, str) else None

    async def CreateSecret(self, call: Call) -> Parameters:
        """A new one. The same token with the same value again is a success."""
        said = call.parameters
        token, value = said.get("ClientRequestToken") or str(uuid.uuid4()), _value(said)
        there = self._secrets.get((call.region, said["Name"]))
        if there is None or (there.deleted_at and self._world.clock.now() >= there.deleted_at):
            there = self._new(call)
        elif there.deleted_at:
            raise ApiError("InvalidRequestException", "A secret with this name is already scheduled for deletion.")
        elif there.versions.get(token) != value:
            raise ApiError("ResourceExistsException", f"The secret {said['Name']} already exists.")
        if value:
            there.versions[token], there.current = value, token
        return {"ARN": there.arn, "Name": there.name, "VersionId": token}

    def _new(self, call: Call) -> Secret:
        said = call.parameters
        suffix = "".join(secrets.choice(_LETTERS) for _ in range(6))
        made = Secret(
            name=said["Name"],
            arn=f"arn:aws:secretsmanager:{call.region}:{call.account}:secret:{said['Name']}-{suffix}",
            region=call.region,
            created_at=self._world.clock.now(),
            key_id=said.get("KmsKeyId", ""),
            tags={one["Key"]: one["Value"] for one in said.get("Tags", [])},
        )
        self._secrets[call.region, made.name] = made
        return made

    async def PutSecretValue(self, call: Call) -> Parameters:
        """A new version, which is the current one."""
        found, value = self._living(call), _value(call.parameters)
        token = call.parameters.get("ClientRequestToken") or str(uuid.uuid4())
        if not value:
            raise ApiError("InvalidParameterException", "You must provide either SecretString or SecretBinary.")
        if found.versions.setdefault(token, value) != value:
            raise ApiError("ResourceExistsException", "A version with this token and another value exists.")
        found.current = token
        return {"ARN": found.arn, "Name": found.name, "VersionId": token, "VersionStages": ["AWSCURRENT"]}

    async def GetSecretValue(self, call: Call) -> Parameters:
        """The current version, or the one that is named."""
        found = self._living(call)
        version = call.parameters.get("VersionId", found.current)
        if version not in found.versions:
            raise ApiError("ResourceNotFoundException", "Secrets Manager can't find the specified secret value.")
        stages = {"VersionStages": ["AWSCURRENT"]} if version == found.current else {}
        return {
            "ARN": found.arn,
            "Name": found.name,
            "VersionId": version,
            "CreatedDate": found.created_at,
            **stages,
            **found.versions[version],
        }

    async def DescribeSecret(self, call: Call) -> Parameters:
        """All but the value; deleted ones too."""
        found = self._found(call)
        deleted = {"DeletedDate": found.deleted_at} if found.deleted_at else {}
        return {"ARN": found.arn, "Name": found.name, "Tags": _tags(found), "CreatedDate": found.created_at, **deleted}

    async def ListSecrets(self, call: Call) -> Parameters:
        """In pages."""
        here = [one for one in self.secrets if one.region == call.region]
        wrong = ApiError("InvalidNextTokenException", "The NextToken value is invalid.")
        size, token = call.parameters.get("MaxResults", 100), call.parameters.get("NextToken")
        page, following = page_of(here, token=token, size=size, wrong=wrong)
        told = [{"ARN": one.arn, "Name": one.name, "Tags": _tags(one)} for one in page]
        return {"SecretList": told, "NextToken": following} if following else {"SecretList": told}

    async def TagResource(self, call: Call) -> Parameters:
        """More tags."""
        self._living(call).tags.update({one["Key"]: one["Value"] for one in call.parameters["Tags"]})
        return {}

    async def DeleteSecret(self, call: Call) -> Parameters:
        """At once with `ForceDeleteWithoutRecovery`; else in 7 to 30 days."""
        said = call.parameters
        days, force = said.get("RecoveryWindowInDays"), said.get("ForceDeleteWithoutRecovery", False)
        if (days is not None and force) or (days is not None and not 7 <= days <= 30):
            raise ApiError("InvalidParameterException", "The recovery window is 7 to 30 days, and not with a force.")
        found = self._found(call)
        now = self._world.clock.now()
        if force:
            del self._secrets[call.region, found.name]
            return {"ARN": found.arn, "Name": found.name, "DeletionDate": now}
        found.deleted_at = now + timedelta(days=days or 30)
        return {"ARN": found.arn, "Name": found.name, "DeletionDate": found.deleted_at}

    def _found(self, call: Call) -> Secret:
        wanted = call.parameters["SecretId"]
        found = [one for one in self._secrets.values() if one.region == call.region and wanted in {one.name, one.arn}]
        if not found:
            raise ApiError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        return found[0]

    def _living(self, call: Call) -> Secret:
        found = self._found(call)
        if found.deleted_at:
            raise ApiError("InvalidRequestException", "The secret was marked for deletion.")
        return found


def _value(said: Parameters) -> Parameters:
    both: Parameters = {name: said[name] for name in ("SecretString", "SecretBinary") if name in said}
    if len(both) > 1:
        raise ApiError("InvalidParameterException", "You can't specify both SecretString and SecretBinary.")
    return both


def _tags(one: Secret) -> list[Parameters]:
    return [{"Key": key, "Value": value} for key, value in one.tags.items()]
