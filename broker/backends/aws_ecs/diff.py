"""What differs between two task definitions, field by field: for the log, and to know ours again in AWS's own form.

AWS fills in what a request leaves out. The table of what it fills in is of the ECS API reference (of
RegisterTaskDefinition and its types); what a described definition has beyond that and beyond ours is a difference.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_MASK: Final = "***"
_LONGEST: Final = 120
_TELLING: Final = re.compile(r"passw|secret|token|credential|api.?key|access.?key|private.?key", re.IGNORECASE)
_HIDDEN: Final = frozenset({"environment", "secrets", "secretOptions"})
"""Lists of names with values that are nobody's business."""
_DESCRIBED_ONLY: Final = frozenset(
    {
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "deleteRequestedAt",
    }
)
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containerDefinitions": ("name",),
    "environment": ("name",),
    "secrets": ("name",),
    "secretOptions": ("name",),
    "volumes": ("name",),
    "ulimits": ("name",),
    "tags": ("key",),
    "mountPoints": ("containerPath",),
    "tmpfs": ("containerPath",),
    "devices": ("hostPath", "containerPath"),
    "portMappings": ("containerPort", "containerPortRange", "protocol"),
    "dependsOn": ("containerName",),
    "extraHosts": ("hostname", "ipAddress"),
    "systemControls": ("namespace",),
    "resourceRequirements": ("type",),
}
"""Lists whose order says nothing, and what names an item in them."""
_FILLED_IN: Final[Mapping[str, tuple[object, ...]]] = {
    "essential": (True,),
    "protocol": ("tcp",),
    "hostPort": (0,),
    "rootDirectory": ("/",),
    "transitEncryption": ("DISABLED",),
    "iam": ("DISABLED",),
    "scope": ("task",),
    "driver": ("local",),
    "networkMode": ("bridge",),
    "interval": (30,),
    "timeout": (5,),
    "retries": (3,),
    "versionConsistency": ("enabled",),
    "cpuArchitecture": ("X86_64",),
    "operatingSystemFamily": ("LINUX",),
    "sizeInGiB": (20,),
    "mountOptions": (["defaults"],),
    "permissions": (["read", "write", "mknod"],),
}
"""Member → what AWS may have put there by itself."""
_NOTHING: Final[tuple[object, ...]] = (None, "", 0, False, [], {}, ())
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field, with what it was and what it is, in words; values of variables and what looks secret are masked."""

    field: str
    before: str
    after: str

    def __str__(self) -> str:
        """In one line."""
        return f"{self.field}: {self.before} -> {self.after}"


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """What makes the body `after` another definition than `before`, as it is described or was sent; sorted by field."""
    old = {name: value for name, value in before.items() if name not in _DESCRIBED_ONLY}
    found = (Difference(field=field, before=_told(field, b), after=_told(field, a)) for field, b, a in _of(old, after))
    return tuple(sorted(found, key=lambda one: one.field))


def _of(before: Any, after: Any, field: str = "", member: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted(before.keys() | after.keys()):
            old, new = before.get(name, _ABSENT), after.get(name, _ABSENT)
            if new is _ABSENT and _filled_in(name, old, before):
                continue
            yield from _of(old, new, f"{field}.{name}" if field else name, name)
    elif member in _KEYS and isinstance(before, Sequence) and isinstance(after, Sequence):
        yield from _of(_by_key(member, before), _by_key(member, after), field)
    elif _plain(before) != _plain(after):
        yield field, before, after


def _filled_in(name: str, value: Any, among: Mapping[str, Any]) -> bool:
    """Whether AWS has put it there, and not somebody who wanted another definition."""
    if value in _NOTHING or value in _FILLED_IN.get(name, ()):
        return True
    if isinstance(value, Mapping):
        return all(_filled_in(member, below, value) for member, below in value.items())
    return name == "hostPort" and value == among.get("containerPort")


def _by_key(member: str, items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for one in items:
        with_defaults = {"protocol": "tcp", **one} if member == "portMappings" else one
        key = "/".join(str(with_defaults[name]) for name in _KEYS[member] if name in with_defaults)
        named[key if key not in named else f"{key}#{len(named)}"] = one
    return named


def _plain(value: Any) -> Any:
    """Absent and empty are the same; so are the two forms of a number."""
    if value is _ABSENT or value in ("", [], {}, None):
        return None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _told(field: str, value: Any) -> str:
    if _plain(value) is None:
        return "unset"
    text = str(_masked(value, field.split(".")))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _masked(value: Any, path: Sequence[str]) -> Any:
    """Without the values of variables, without what they are taken from, and without what its name gives away."""
    if isinstance(value, Mapping):
        return {name: _masked(below, [*path, name]) for name, below in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(one, path) for one in value]
    hidden = not _HIDDEN.isdisjoint(path) and path[-1] not in {"name", *_HIDDEN}
    return _MASK if hidden or _TELLING.search(path[-1]) else value
