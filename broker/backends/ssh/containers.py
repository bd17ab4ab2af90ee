"""An agent with an image: a container of the host's own engine."""

import hashlib
from typing import Any, Final

from broker.backends.bootstrap import Start, start_dir, start_of
from broker.backends.ssh.container_script import LAUNCH_CONTAINER, PULLER
from broker.backends.ssh.ownership import LAUNCH, Ownership, name_of
from broker.backends.ssh.shell import exports, quote, script_of
from broker.domain.host_order import HostPlace
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.domain.template import Mount, Template
from broker.errors import BackendRejected
from broker.ports import LaunchSpec

_TMP: Final = "/tmp"  # noqa: S108 -- the container's own
_TMP_OPTIONS: Final = "rw,exec,nosuid,nodev"
_PIDS: Final = 4096
_THE_ENGINES_OWN: Final = ("LD_", "DOCKER_", "CONTAINER", "BUILDAH", "XDG_", "DBUS_", "GO", "SSL_", "STORAGE_")
_ITS_SHELLS: Final = frozenset(
    {"PATH", "HOME", "USER", "TMPDIR", "IFS", "ENV", "BASH_ENV", "PWD", "HTTP_PROXY", "HTTPS_PROXY"}
)
"""Variables that would change what the engine's own program does: they go by a file, others by their names."""


def container_of(name: str, ownership: Ownership) -> str:
    """What the container of an agent is called: another broker on the same host has other names."""
    return f"{name}-{ownership.folder[:8]}"


def launch_script(spec: LaunchSpec, place: HostPlace, ownership: Ownership) -> str:
    """See `LAUNCH_CONTAINER`. BackendRejected if the host has no engine."""
    engine, base = place.facts.get("engine", ""), place.facts.get("base", "")
    image = spec.template.image
    assert image is not None
    if not engine or not base:
        why = place.facts.get("no_engine", "nothing is known of the host")
        message = f"template {spec.template.name} has an image, so it needs docker or podman on its host: {why}"
        raise BackendRejected("NoEngine", message, Reason.SETUP_FAILED)
    name = name_of(spec.key, spec.name)
    marks = ownership.marks(spec.key, name, place.id)
    container, start = container_of(name, ownership), _start(spec)
    words = [*_flags(spec, container, start), *_labels({**spec.template.tags, **marks}), *_tail(image, start)]
    return script_of(
        LAUNCH_CONTAINER,
        work=base.rpartition("/")[0],
        folder=base.rpartition("/")[2],
        engine=engine,
        container=container,
        launch=marks[LAUNCH],
        label=LAUNCH,
        image=image,
        image_id=hashlib.sha256(image.encode()).hexdigest()[:16],
        puller=PULLER,
        words=" ".join(quote(word) for word in words),
    )


def launch_input(spec: LaunchSpec) -> bytes:
    """What the script reads: the container's variables, the secret among them."""
    given = _start(spec).environment
    passed = {name: value for name, value in given.items() if not _is_the_engines(name)}
    own = {name: value for name, value in given.items() if name not in passed}
    exports(own)  # for what it refuses
    if wrong := next((name for name, value in own.items() if "\n" in value or "\r" in value), None):
        message = (
            f"env.{wrong}: a value of several lines cannot be given under this name, which the host's engine has too"
        )
        raise BackendRejected("InvalidVariable", message, Reason.INVALID_TEMPLATE)
    lines = "".join(f"{name}={value}\n" for name, value in own.items())
    return f"{exports(passed)}own_env={quote(lines)}\n: end\n".encode()


def _start(spec: LaunchSpec) -> Start:
    command = spec.pool.options.get("command")
    return start_of(spec, tuple(str(word) for word in command) if isinstance(command, list | tuple) else ())


def _flags(spec: LaunchSpec, container: str, start: Start) -> list[str]:
    """The agent may do in its container what an ordinary user may, and nothing to the host."""
    template, options = spec.template, _own_keys(spec.pool)
    words = ["--detach", "--name", container, "--hostname", spec.name, "--workdir", start_dir(template)]
    words += [
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        "--pids-limit",
        str(options.get("pids", _PIDS)),
    ]
    words += [word for cap in options.get("cap_add") or () for word in ("--cap-add", str(cap))]
    words += ["--init"] if options.get("init_process", True) else []
    words += ["--network", str(options["network"])] if options.get("network") else []
    if memory := template.resources.memory_mib:
        words += ["--memory", f"{memory}m", "--memory-swap", f"{memory}m"]  # of both together, so: no swap
    if template.resources.cpu_milli:
        words += ["--cpus", f"{template.resources.cpu_milli / 1000:g}"]
    if template.user:
        words += ["--user", template.user]
    for name in start.environment:
        words += [] if _is_the_engines(name) else ["--env", name]
    if start.entrypoint is not None:
        words += ["--entrypoint", start.entrypoint[0]]
    return [*words, *_files(template)]


def _files(template: Template) -> list[str]:
    """Mounts, and for the agent's directory a volume that goes with the container.

    A volume and no tmpfs: a workspace in memory would count against the agent's own limit.
    """
    words = [word for mount in template.mounts for word in ("--volume", _mount(mount))]
    if all(mount.target != start_dir(template) for mount in template.mounts):
        words += ["--volume", start_dir(template)]
    if template.read_only:
        words.append("--read-only")
        if all(mount.target != _TMP for mount in template.mounts):
            words += ["--tmpfs", f"{_TMP}:{_TMP_OPTIONS}"]
    return words


def _mount(mount: Mount) -> str:
    if ":" in mount.source + mount.target:
        message = f"mounts: {mount.source} at {mount.target}: a path with a colon cannot be mounted on a host"
        raise BackendRejected("InvalidMount", message, Reason.INVALID_TEMPLATE)
    return f"{mount.source}:{mount.target}{':ro' if mount.read_only else ''}"


def _labels(labels: dict[str, str]) -> list[str]:
    return [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]


def _tail(image: str, start: Start) -> list[str]:
    if image.startswith("-"):
        raise BackendRejected("InvalidImage", f"{image!r} is no name of an image", Reason.INVALID_TEMPLATE)
    return [image, *(start.entrypoint or ())[1:], *start.arguments]


def _own_keys(pool: Pool) -> dict[str, Any]:
    """A pool's keys for its containers, which it may have as `backends/container` knows them."""
    return {
        name: pool.options[name]
        for name in ("pids", "cap_add", "init_process", "network")
        if pool.options.get(name) is not None
    }


def _is_the_engines(name: str) -> bool:
    return name in _ITS_SHELLS or name.startswith(_THE_ENGINES_OWN)
