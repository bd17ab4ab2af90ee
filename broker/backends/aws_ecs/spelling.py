"""From the config's spelling to the API's: `mount_points: [{source_volume: m2}]` is `mountPoints: [{sourceVolume}]`."""

from datetime import timedelta
from typing import Any, Final

_OWN_NAMES: Final = frozenset({"docker_labels", "options", "labels", "driver_opts"})
"""Keys whose values are maps with names of the user's own."""
_SECRETS: Final = frozenset({"secrets", "secret_options"})
_SPELT: Final = {
    "managed_ebs_volume": "managedEBSVolume",
    "size_in_gib": "sizeInGiB",
    "env": "environment",
    "read_only_root": "readonlyRootFilesystem",
}


def api_name(key: str) -> str:
    """A member's name in the API's model (botocore: ecs 2014-11-13)."""
    first, *rest = key.split("_")
    return _SPELT.get(key) or first + "".join(word.capitalize() for word in rest)


def api_form(value: Any, key: str = "") -> Any:
    """A value of the key `key` as the API takes it. Durations become seconds, maps of names become lists."""
    if isinstance(value, dict):
        if key in _OWN_NAMES:
            return dict(value)
        if key in _SECRETS:
            return [{"name": name, "valueFrom": reference} for name, reference in value.items()]
        if key == "env":
            return [{"name": name, "value": text} for name, text in value.items()]
        if key == "tags":
            return [{"key": name, "value": text} for name, text in value.items()]
        return {api_name(name): api_form(below, name) for name, below in value.items() if below is not None}
    if isinstance(value, list | tuple):
        return [api_form(item, "") for item in value]
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    return value
