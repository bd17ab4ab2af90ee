"""TagResource, UntagResource, ListTagsForResource: by long ARN, of all that has tags."""

from collections.abc import Mapping
from typing import Any

from broker.demo.clouds.ecs import errors, tags
from broker.demo.clouds.ecs.region import Region


def put(region: Region, request: Mapping[str, Any]) -> None:
    """Adds tags, over those of the same keys."""
    found = tags_of(region, request["resourceArn"])
    joined = tags.join(found, tags.of(request["tags"]))
    found.update(joined)
    _changed(region, request["resourceArn"])


def take(region: Region, request: Mapping[str, Any]) -> None:
    """Removes tags; one that is not there is a success."""
    found = tags_of(region, request["resourceArn"])
    for key in request["tagKeys"]:
        if key.lower().startswith("aws:"):
            raise errors.invalid("aws: prefixed tag key names are not allowed for external use.")
        found.pop(key, None)
    _changed(region, request["resourceArn"])


def listed(region: Region, request: Mapping[str, Any]) -> list[dict[str, str]]:
    """The tags of a resource."""
    return tags.listed(tags_of(region, request["resourceArn"]))


def tags_of(region: Region, arn: str) -> dict[str, str]:
    """A resource's own tags; raises InvalidParameterException for one that is not there."""
    now = region.settle()
    kind, _, path = arn.removeprefix(region.names.arn("", "").removesuffix("/")).partition("/")
    found: Any = None
    if kind == "cluster":
        found = region.clusters.known.get(path)
    elif kind == "task-definition" and ":" in path:
        found = region.definitions.find(arn)
    elif kind == "capacity-provider":
        found = region.clusters.providers.get(path)
    elif kind in {"task", "container-instance"}:
        if "/" not in path:
            raise errors.invalid("Long arn format must be used for tagging operations")
        cluster = region.clusters.known.get(path.partition("/")[0])
        found = region.tasks.get(arn) if kind == "task" else cluster.instances.get(arn) if cluster else None
        if kind == "task" and found is not None and found.visible_at > now:
            found = None
    else:
        raise errors.invalid("Invalid resource ARN.")
    if found is None:
        raise errors.invalid(f"The specified {kind} could not be found. Specify a valid ARN and try again.")
    own: dict[str, str] = found.tags
    return own


def _changed(region: Region, arn: str) -> None:
    task = region.tasks.get(arn)
    if task is not None:
        task.edits += 1
