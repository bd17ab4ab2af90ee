"""Systems Manager's parameters."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from broker.demo.clouds.model import ApiError, Call, Parameters, Service
from broker.demo.clouds.pages import page_of
from broker.demo.clouds.world import World

_NAME: Final = re.compile(r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+){0,14}")
_STANDARD_BYTES: Final = 4096
_ADVANCED_BYTES: Final = 8192


@dataclass(slots=True, kw_only=True)
class Parameter:
    """One parameter in one version."""

    name: str
    value: str = field(repr=False)
    kind: str
    version: int
    changed_at: datetime
    region: str
    key_id: str = ""
    tier: str = "Standard"
    tags: dict[str, str] = field(default_factory=dict)


class FakeSsm(Service):
    """Parameters by region and name. Secure ones come as nonsense unless decryption is asked for."""

    name = "ssm"

    def __init__(self, world: World) -> None:
        """None yet."""
        self._world = world
        self._parameters: dict[tuple[str, str], Parameter] = {}

    @property
    def parameters(self) -> list[Parameter]:
        """All that are there."""
        return list(self._parameters.values())

    def value_of(self, reference: str, region: str = "") -> str | None:
        """The value that a task gets for `valueFrom`: a name, or an ARN; None if there is none."""
        found = self._found(region or self._world.region, reference)
        return found.value if found else None

    def _found(self, region: str, reference: str) -> Parameter | None:
        """By name; or by ARN, in which a name's leading slash is not told from the separator."""
        _, mark, name = reference.partition(":parameter/")
        names = (f"/{name}", name) if mark else (reference,)
        return next((self._parameters[region, one] for one in names if (region, one) in self._parameters), None)

    async def PutParameter(self, call: Call) -> Parameters:
        """A new one, or with `Overwrite` a new version."""
        said = call.parameters
        name, place = said["Name"], (call.region, said["Name"])
        before = self._parameters.get(place)
        self._check(said, before)
        now = Parameter(
            name=name,
            value=said["Value"],
            kind=said.get("Type") or (before.kind if before else ""),
            version=before.version + 1 if before else 1,
            changed_at=self._world.clock.now(),
            region=call.region,
            key_id=said.get("KeyId", ""),
            tier=said.get("Tier", "Standard"),
            tags=before.tags if before else {one["Key"]: one["Value"] for one in said.get("Tags", [])},
        )
        self._parameters[place] = now
        return {"Version": now.version, "Tier": now.tier}

    def _check(self, said: Parameters, before: Parameter | None) -> None:
        if not _NAME.fullmatch(said["Name"]) or re.match(r"/?(aws|ssm)", said["Name"], re.IGNORECASE):
            raise ApiError("ValidationException", f"Parameter name: can't be {said['Name']!r}")
        if before and not said.get("Overwrite"):
            raise ApiError("ParameterAlreadyExists", "The parameter already exists; Overwrite is not set.")
        if said.get("Tags") and said.get("Overwrite"):
            raise ApiError("ValidationException", "Tags and Overwrite can't be used together.")
        if not before and not said.get("Type"):
            raise ApiError("ValidationException", "A parameter type is required when you create a parameter.")
        most = _ADVANCED_BYTES if said.get("Tier") == "Advanced" else _STANDARD_BYTES
        if not 1 <= len(said["Value"].encode()) <= most:
            raise ApiError("ValidationException", f"A value has between 1 and {most} characters in this tier.")

    async def GetParameter(self, call: Call) -> Parameters:
        """One by name or ARN."""
        found = self._found(call.region, call.parameters["Name"])
        if found is None:
            raise _not_found(call)
        return {"Parameter": self._told(found, decrypted=call.parameters.get("WithDecryption", False))}

    async def GetParameters(self, call: Call) -> Parameters:
        """Several; those that are not there are named."""
        there, gone = self._split(call)
        decrypted = call.parameters.get("WithDecryption", False)
        told = [self._told(one, decrypted=decrypted) for one in there]
        return {"Parameters": told, "InvalidParameters": gone} if gone else {"Parameters": told}

    async def DeleteParameter(self, call: Call) -> Parameters:
        """Deletes one that is there."""
        if self._parameters.pop((call.region, call.parameters["Name"]), None) is None:
            raise _not_found(call)
        return {}

    async def DeleteParameters(self, call: Call) -> Parameters:
        """Deletes several; those that are not there are named."""
        there, gone = self._split(call)
        for one in there:
            del self._parameters[call.region, one.name]
        deleted = [one.name for one in there]
        return {
            **({"DeletedParameters": deleted} if deleted else {}),
            **({"InvalidParameters": gone} if gone else {}),
        }

    async def DescribeParameters(self, call: Call) -> Parameters:
        """Names, kinds and versions, in pages; filtered by name and path."""
        found = [one for one in self._parameters.values() if one.region == call.region and _is_wanted(one, call)]
        wrong = ApiError("InvalidNextToken", "The specified token is not valid.")
        size, token = call.parameters.get("MaxResults", 50), call.parameters.get("NextToken")
        page, following = page_of(found, token=token, size=size, wrong=wrong)
        told = [{"Name": one.name, "Type": one.kind, "Version": one.version} for one in page]
        return {"Parameters": told, "NextToken": following} if following else {"Parameters": told}

    async def AddTagsToResource(self, call: Call) -> Parameters:
        """More tags of a parameter."""
        self._tagged(call).tags.update({one["Key"]: one["Value"] for one in call.parameters["Tags"]})
        return {}

    async def ListTagsForResource(self, call: Call) -> Parameters:
        """The tags of a parameter."""
        return {"TagList": [{"Key": key, "Value": value} for key, value in self._tagged(call).tags.items()]}

    def _tagged(self, call: Call) -> Parameter:
        found = self._parameters.get((call.region, call.parameters["ResourceId"]))
        if found is None or call.parameters["ResourceType"] != "Parameter":
            raise ApiError("InvalidResourceId", "The resource ID isn't valid.")
        return found

    def _split(self, call: Call) -> tuple[list[Parameter], list[str]]:
        names = {name: self._found(call.region, name) for name in call.parameters["Names"]}
        return [one for one in names.values() if one], [name for name, one in names.items() if one is None]

    def _told(self, one: Parameter, *, decrypted: bool) -> Parameters:
        plain = decrypted or one.kind != "SecureString"
        arn = f"arn:aws:ssm:{one.region}:{self._world.account}:parameter/{one.name.removeprefix('/')}"
        return {
            "Name": one.name,
            "Type": one.kind,
            "Value": one.value if plain else "AQICAHencrypted",
            "Version": one.version,
            "LastModifiedDate": one.changed_at,
            "ARN": arn,
            "DataType": "text",
        }


def _is_wanted(one: Parameter, call: Call) -> bool:
    return all(_is_matching(one, wanted) for wanted in call.parameters.get("ParameterFilters", []))


def _is_matching(one: Parameter, wanted: Parameters) -> bool:
    key, values, way = wanted["Key"], wanted.get("Values", []), wanted.get("Option", "Equals")
    if key == "Name" and way in {"Equals", "BeginsWith"}:
        return any(one.name == value or (way == "BeginsWith" and one.name.startswith(value)) for value in values)
    if key == "Path":
        return any(one.name.startswith(value.rstrip("/") + "/") for value in values)
    if key.startswith("tag:"):
        return one.tags.get(key.removeprefix("tag:")) in values
    raise ApiError("InvalidFilterKey", "The specified key isn't valid.")


def _not_found(call: Call) -> ApiError:
    return ApiError("ParameterNotFound", f"Parameter {call.parameters['Name']} not found.")
