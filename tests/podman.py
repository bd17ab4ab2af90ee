"""A real container engine for the tests: podman's service in a directory of its own, or one that is given.

`AGENTBROKER_TEST_DOCKER_HOST` names a socket to use instead, and `AGENTBROKER_TEST_DOCKER_ROOT` where that engine finds
this file system: in a chroot the engine of the machine outside can be used by giving it the chroot's directory.
"""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiodocker import Docker, DockerError

from broker.demo.clouds.vms.inbound import tiny_image
from broker.domain.template import Mount

IMAGE = "localhost/agentbroker-tiny:1"
INBOUND_IMAGE = "localhost/agentbroker-inbound:1"
"""The same with an entrypoint that reads what the one of docker-agent's images reads."""
CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
"""
"""podman's defaults ask for limits that need CAP_SYS_RESOURCE, and for systemd."""
KEEPER = """
"$@" system service --time=0 "unix://$0/podman.sock" &
cat
kill $!
wait $!
"$@" system reset --force
rm -rf "$0"
"""
"""Runs the service until its own input ends, which it also does when a test run is killed; then nothing is left."""
_START_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TestEngine:
    """An engine that runs, with the tiny image in it: the machine's own /usr is mounted over nothing."""

    __test__ = False
    address: str
    root: str = ""
    """What the engine has to put before a path of ours."""

    def path(self, path: Path | str) -> str:
        """A path of ours as the engine finds it."""
        return f"{self.root}{path}"

    def mounts(self, *others: Path, read_only: Sequence[Path] = ()) -> tuple[Mount, ...]:
        """What makes the tiny image a machine, read-only; other directories at their own places, writable or not."""
        system = [path for path in ("/usr", "/etc/alternatives", "/etc/ssl", *_java_etc()) if Path(path).exists()]
        return (
            *(
                Mount(source=self.path(path), target=str(path), read_only=True)
                for path in (*map(Path, system), *read_only)
            ),
            *(Mount(source=self.path(path), target=str(path)) for path in others),
        )

    def containers(self, label: str) -> list[dict[str, Any]]:
        """What the engine lists with this label, ended ones too; asked without the backend."""
        return asyncio.run(self._containers(label))

    async def _containers(self, label: str) -> list[dict[str, Any]]:
        async with Docker(url=self.address) as docker:
            found = await docker.containers.list(all="true", filters=f'{{"label": ["{label}"]}}')
            shown: list[dict[str, Any]] = []
            for container in found:
                with suppress(DockerError):  # it may go between the two calls
                    shown.append(await container.show())
            return shown

    @contextmanager
    def bridge(self) -> Iterator[str]:
        """This machine's address on the engine's own network, which there is only while a container is on it."""
        container, address = asyncio.run(self._sleeper())
        try:
            yield address
        finally:
            self.remove(container)

    async def _sleeper(self) -> tuple[str, str]:
        host = {"NetworkMode": "bridge", "Binds": [f"{self.path('/usr')}:/usr:ro"]}
        async with Docker(url=self.address) as docker:
            sleeper = await docker.containers.create({"Image": IMAGE, "Cmd": ["/bin/sleep", "600"], "HostConfig": host})
            await sleeper.start()
            told = await sleeper.show()
            return told["Id"], str(told["NetworkSettings"]["Gateway"])

    def remove(self, container: str) -> None:
        """Removes a container, as a person would; one that is gone is a success."""
        asyncio.run(self._remove(container))

    async def _remove(self, container: str) -> None:
        async with Docker(url=self.address) as docker:
            with suppress(DockerError):
                await docker.containers.container(container).delete(force=True, v=True)


def _java_etc() -> list[str]:
    return [str(path) for path in Path("/etc").glob("java-*-openjdk")]


@contextmanager
def own_podman() -> Iterator[str]:
    """podman's service over a store of its own; gives its address and leaves nothing behind."""
    podman = shutil.which("podman")
    if podman is None:
        pytest.skip("podman is not installed")
    root = Path(tempfile.mkdtemp(prefix="agentbroker-podman-"))  # a short path: a socket's may have 107 bytes
    (root / "containers.conf").write_text(CONTAINERS_CONF)
    command = [podman, "--root", f"{root}/store", "--runroot", f"{root}/run", "--tmpdir", f"{root}/tmp"]
    with (root / "log").open("wb") as log:
        keeper = subprocess.Popen(
            ["/bin/sh", "-c", KEEPER, str(root), *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, "CONTAINERS_CONF": str(root / "containers.conf")},
            cwd=root,  # containers' monitors leave a file `oom` where they are when memory has run out
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + _START_S
        while not (root / "podman.sock").is_socket():
            assert time.monotonic() < deadline, (root / "log").read_text()
            time.sleep(0.05)
        yield f"unix://{root}/podman.sock"
    finally:
        keeper.communicate(timeout=90)
        assert not root.exists()


async def _load(address: str) -> str:
    """Puts the tiny images into the engine; answers the engine's version."""
    async with Docker(url=address) as docker:
        for image, changes in ((IMAGE, {}), (INBOUND_IMAGE, {"changes": 'ENTRYPOINT ["/jenkins-agent"]'})):
            parameters = {"fromSrc": "-", "repo": image, **changes}
            headers = {"Content-Type": "application/x-tar"}
            create = docker._query("images/create", "POST", params=parameters, data=tiny_image(), headers=headers)
            async with create as reply:
                await reply.read()
            await docker.images.inspect(image)
        told = await docker.version()
        return str(told["Version"])


async def _unload(address: str) -> None:
    async with Docker(url=address) as docker:
        for image in (IMAGE, INBOUND_IMAGE):
            with suppress(DockerError):  # another run's containers use it, or have removed it
                await docker.images.delete(image)


@pytest.fixture(scope="session")
def container_engine(record_component: Callable[[str, str], None]) -> Iterator[TestEngine]:
    """A real engine; one for the whole run."""
    given = os.environ.get("AGENTBROKER_TEST_DOCKER_HOST")
    root = os.environ.get("AGENTBROKER_TEST_DOCKER_ROOT", "").rstrip("/")
    with nullcontext(given) if given else own_podman() as address:
        record_component("podman", asyncio.run(_load(address)))
        yield TestEngine(address=address, root=root if given else "")
        if given:
            asyncio.run(_unload(given))
