"""Task definitions: families, revisions, and what becomes of a revision that is no longer wanted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from broker.demo.clouds.ecs import definition_rules, errors, fargate, normal, tags
from broker.demo.clouds.ecs.names import NAME, CloudTime, Names, stamp
from broker.demo.clouds.ecs.paging import Entry, page
from broker.demo.clouds.model import ApiError

_CONCURRENT: Final = "Too many concurrent attempts to create a new revision of the specified family."
_STILL_ACTIVE: Final = (
    "The specified task definition is still in ACTIVE status. Please deregister the target and try again."
)


@dataclass(slots=True, kw_only=True)
class Definition:
    """One revision of a family. Its content never changes."""

    arn: str
    family: str
    revision: int
    content: dict[str, Any]
    """As AWS completed it."""
    tags: dict[str, str]
    compatibilities: list[str]
    required: list[tuple[str, str | None]]
    status: str = "ACTIVE"
    registered_at: float
    registered_by: str
    deregistered_at: float | None = None
    delete_requested_at: float | None = None

    def container(self, name: str) -> dict[str, Any] | None:
        """The definition of a container, None if there is none of that name."""
        found = (one for one in self.content["containerDefinitions"] if one["name"] == name)
        return next(found, None)

    def told(self) -> dict[str, Any]:
        """As DescribeTaskDefinition tells it."""
        view = {
            "taskDefinitionArn": self.arn,
            **self.content,
            "revision": self.revision,
            "status": self.status,
            "requiresAttributes": [
                {"name": name} if value is None else {"name": name, "value": value} for name, value in self.required
            ],
            "compatibilities": self.compatibilities,
            "registeredAt": stamp(self.registered_at),
            "registeredBy": self.registered_by,
        }
        if self.deregistered_at is not None:
            view["deregisteredAt"] = stamp(self.deregistered_at)
        if self.delete_requested_at is not None:
            view["deleteRequestedAt"] = stamp(self.delete_requested_at)
        return view


@dataclass(slots=True)
class Definitions:
    """All of one account and region."""

    names: Names
    time: CloudTime
    is_used: Callable[[str], bool]
    """Whether a task that is not over runs the revision with this ARN."""
    revisions_per_family: int = 1_000_000
    registering_s: float = 0.0
    """A registration takes so long: another of the same family that begins meanwhile is refused."""
    families: dict[str, dict[int, Definition]] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)
    _begun: dict[str, float] = field(default_factory=dict)

    def register(self, request: Mapping[str, Any], by: str) -> Definition:
        """A new revision; raises ClientException, InvalidParameterException or LimitExceededException."""
        content = normal.completed(request)
        definition_rules.check(content)
        compatibilities = _compatibilities(content)
        checked = tags.of(request.get("tags"))
        family, now = content["family"], self.time.now()
        if now - self._begun.get(family, float("-inf")) < self.registering_s:
            raise errors.refused(_CONCURRENT)
        if self._last.get(family, 0) >= self.revisions_per_family:
            raise errors.over_limit(f"The limit of {self.revisions_per_family} revisions per family is reached.")
        self._begun[family] = now
        revision = self._last[family] = self._last.get(family, 0) + 1
        definition = Definition(
            arn=self.names.arn("task-definition", f"{family}:{revision}"),
            family=family,
            revision=revision,
            content=content,
            tags=checked,
            compatibilities=compatibilities,
            required=normal.required(content),
            registered_at=now,
            registered_by=by,
        )
        self.families.setdefault(family, {})[revision] = definition
        return definition

    def find(self, reference: str) -> Definition | None:
        """What `family`, `family:revision` or an ARN means; of a family alone the latest active revision."""
        *_, last = self.names.path(reference, "task-definition")
        family, colon, revision = last.partition(":")
        if not NAME.fullmatch(family) or (colon and not revision.isdecimal()):
            raise errors.refused("Invalid revision number." if NAME.fullmatch(family) else "Invalid identifier.")
        revisions = self.families.get(family, {})
        if colon:
            return revisions.get(int(revision))
        active = [number for number, one in revisions.items() if one.status == "ACTIVE"]
        return revisions[max(active)] if active else None

    def runnable(self, reference: str) -> Definition:
        """The revision that RunTask is to run; raises ClientException or InvalidParameterException."""
        found = self.find(reference)
        if found is None:
            raise errors.refused("TaskDefinition not found.")
        if found.status != "ACTIVE":
            raise errors.invalid("TaskDefinition is inactive")
        return found

    def describe(self, reference: str) -> Definition:
        """A revision; raises ClientException."""
        found = self.find(reference)
        if found is None:
            raise errors.refused("Unable to describe task definition.")
        return found

    def deregister(self, reference: str) -> Definition:
        """Makes a revision inactive; one that is so already stays so. Needs the revision's number."""
        *_, last = self.names.path(reference, "task-definition")
        if ":" not in last:
            raise errors.invalid("Revision is missing.")
        found = self.find(reference)
        if found is None or found.status == "DELETE_IN_PROGRESS":
            raise errors.refused("The specified task definition does not exist.")
        if found.status == "ACTIVE":
            found.status, found.deregistered_at = "INACTIVE", self.time.now()
        return found

    def delete(self, references: list[str]) -> tuple[list[Definition], list[dict[str, str]]]:
        """Ends inactive revisions: those deleted, and the failures of those that cannot be."""
        if not 1 <= len(references) <= 10:
            raise errors.invalid("Between 1 and 10 task definitions can be deleted at once.")
        deleted, failures = [], []
        for reference in references:
            found = self.find(reference) if ":" in reference.rpartition("/")[2] else None
            if found is None:
                failures.append({"arn": reference, "reason": "The specified task definition does not exist."})
            elif found.status == "ACTIVE":
                failures.append({"arn": found.arn, "reason": _STILL_ACTIVE})
            else:
                if found.status == "INACTIVE":
                    found.status, found.delete_requested_at = "DELETE_IN_PROGRESS", self.time.now()
                deleted.append(found)
        return deleted, failures

    def listed(self, request: Mapping[str, Any]) -> tuple[list[str], str | None]:
        """One page of ARNs: of one family if `familyPrefix` names it, of one status, by family and revision."""
        self._sweep()
        status, descending = request.get("status", "ACTIVE"), request.get("sort") == "DESC"
        prefix = request.get("familyPrefix")
        chosen = [self.families.get(prefix, {})] if prefix else list(self.families.values())
        found = [one for revisions in chosen for one in revisions.values() if one.status == status]
        found.sort(key=lambda one: (one.family, one.revision), reverse=descending)
        entries = [Entry((one.family, one.revision), one.arn) for one in found]
        return page(entries, request, descending=descending)

    def listed_families(self, request: Mapping[str, Any]) -> tuple[list[str], str | None]:
        """One page of families; here `familyPrefix` is a prefix."""
        self._sweep()
        status, prefix = request.get("status", "ALL"), request.get("familyPrefix") or ""
        found = []
        for family, revisions in sorted(self.families.items()):
            active = any(one.status == "ACTIVE" for one in revisions.values())
            if revisions and family.startswith(prefix) and status in {"ALL", "ACTIVE" if active else "INACTIVE"}:
                found.append(Entry((family,), family))
        return page(found, request)

    def _sweep(self) -> None:
        """Revisions to be deleted go once no task runs them."""
        for revisions in self.families.values():
            for number, one in list(revisions.items()):
                if one.status == "DELETE_IN_PROGRESS" and not self.is_used(one.arn):
                    del revisions[number]


def _compatibilities(content: Mapping[str, Any]) -> list[str]:
    """What a definition can run on; raises ClientException if it is less than it requires."""
    found = ["EC2"]
    wanted = content.get("requiresCompatibilities", [])
    try:
        fargate.check(content)
        found.append("FARGATE")
    except ApiError:
        if "FARGATE" in wanted:
            raise
    if content.get("networkMode") != "awsvpc" and not fargate.is_windows(content):
        found.append("EXTERNAL")
    elif "EXTERNAL" in wanted:
        raise errors.refused("The awsvpc network mode is not supported for the EXTERNAL launch type.")
    found.append("MANAGED_INSTANCES")
    return found
