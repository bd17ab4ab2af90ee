"""As much of ECS as a part of the backend needs, in the process and in virtual time: the client of an SDK."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from broker.backends.aws_ecs.calls import Calls
from broker.backends.aws_ecs.rates import QUOTAS
from broker.backends.throttle import Buckets
from broker.domain.ids import BackendName, InstanceRef
from broker.testing.clock import ManualClock

DEFINITION = "arn:aws:ecs:eu-west-1:111122223333:task-definition/agentbroker-base:1"


class ApiError(Exception):
    """As botocore's ClientError."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code, "Message": "words"}, "ResponseMetadata": {"HTTPStatusCode": 400}}


def ref_of(n: int, cluster: str = "ci", region: str = "eu-west-1") -> InstanceRef:
    return InstanceRef(f"arn:aws:ecs:{region}:111122223333:task/{cluster}/{n:032x}")


@dataclass
class Cloud:
    """Tasks by ARN, as a test puts them; and the requests that were made."""

    clock: ManualClock
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    regions: list[str | None] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)
    """In which something was stopped."""
    error: str = ""
    broken: str = ""
    """A cluster that is not there."""
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    """Looks at tasks are answered once it is set, as it is from the beginning."""
    hollow: bool = False
    """Whether answers have nothing in them."""
    undeletable: bool = False
    """Whether parameters may not be deleted."""
    deletions: int = 0

    def __post_init__(self) -> None:
        self.answers.set()

    def put(self, ref: InstanceRef, last: str = "RUNNING", **more: Any) -> None:
        version = self.tasks.get(ref, {}).get("version", 0) + 1
        task = {"taskArn": ref, "lastStatus": last, "desiredStatus": "RUNNING", "taskDefinitionArn": DEFINITION}
        self.tasks[ref] = {**task, "version": version, "containers": [{"name": "agent"}], **more}

    def calls(self) -> Calls:
        return Calls(
            self, Buckets(QUOTAS, self.clock), BackendName("aws"), self.clock, lambda action, failed, seconds: None
        )

    async def client(self, service: str, region: str | None = None) -> "Cloud":
        self.regions.append(region)
        return self

    async def close(self) -> None:
        return

    async def describe_tasks(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        await self.answers.wait()
        if self.hollow:
            return {}
        if self.error:
            raise ApiError(self.error)
        if self.broken == request["cluster"]:
            raise ApiError("ClusterNotFoundException")
        found = [self.tasks[arn] for arn in request["tasks"] if arn in self.tasks]
        if "TAGS" not in request.get("include", ()):
            found = [{name: value for name, value in task.items() if name != "tags"} for task in found]
        missing = [{"arn": arn, "reason": "MISSING"} for arn in request["tasks"] if arn not in self.tasks]
        return {"tasks": found, "failures": missing}

    async def stop_task(self, **request: Any) -> dict[str, Any]:
        self.stopped.append(request["task"])
        self.clusters.append(request["cluster"])
        return {}

    async def delete_parameter(self, **_: Any) -> dict[str, Any]:
        self.deletions += 1
        if self.undeletable:
            raise ApiError("AccessDeniedException")
        return {}

    async def describe_task_definition(self, **_: Any) -> dict[str, Any]:
        return {"taskDefinition": {"containerDefinitions": [{"name": "agent"}]}}
