"""Broker, gateway and simulated controller as processes, and agents on virtual machines: of a cloud, or of a list."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final, TypeVar

from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.machine_pool import GROUP, IMAGE_ID, vswitch_of
from broker.demo.clouds.machines import QUICK, add_network
from broker.demo.clouds.serving import serving
from broker.demo.clouds.vms.agents import init_script, with_agents
from broker.demo.clouds.vms.runner import VmRunner, running_vms
from broker.demo.clouds.vms.spec import Image
from broker.demo.clouds.vms.vm import Vm
from broker.demo.files import write_private
from broker.demo.http import get_json
from broker.demo.leftovers import end, marked_processes
from broker.demo.stack import Ports, Stack
from tests.e2e.containers import REPOSITORY, host_python
from tests.e2e.world import controller_of
from tests.podman import INBOUND_IMAGE
from tests.vms import a_spec, client_key, running_machines

AGENT: Final = (str(Path(sys.executable).resolve()), str(REPOSITORY / "tests/e2e/boxed_agent.py"))
BLOCK: Final = IPv4Network("10.0.0.0/22")
"""Of the fake's VPC; its first vSwitch has the first part of it."""
STEP: Final = """
hostname
tr '\\0' '\\n' </proc/1/cmdline
"""
"""What a build does: a container's first process is its own, that of a machine is none of ours."""
T = TypeVar("T")


@contextmanager
def in_a_thread(opened: Callable[[], Any]) -> Iterator[tuple[Any, asyncio.AbstractEventLoop]]:
    """An async context that is entered in a loop of its own while this is; what it gives, and the loop."""
    ready, over = Event(), list[asyncio.Event]()
    given: list[Any] = []
    failed: list[BaseException] = []

    async def run() -> None:
        over.append(asyncio.Event())
        async with opened() as made:
            given.extend((made, asyncio.get_running_loop()))
            ready.set()
            await over[0].wait()

    def work() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:  # it is raised by the thread that waits
            failed.append(error)
        finally:
            ready.set()

    thread = Thread(target=work, name="cloud")
    thread.start()
    ready.wait()
    try:
        if failed:
            raise failed[0]
        yield given[0], given[1]
    finally:
        if given:
            given[1].call_soon_threadsafe(over[0].set)
        thread.join()
    if failed:
        raise failed[0]


@dataclass(slots=True)
class Cloud:
    """The fake of Alibaba Cloud, served, with its instances as virtual machines."""

    fake: FakeAlibaba
    runner: VmRunner
    url: str
    address: str
    """This machine as its machines find it."""
    loop: asyncio.AbstractEventLoop | None = None

    def do(self, work: Callable[[], T]) -> T:
        """Something in the cloud's own thread."""

        async def does() -> T:
            return work()

        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(does(), self.loop).result(30)

    def run(self, vm: Vm, script: str) -> str:
        """A script on a machine, as root; what it printed."""
        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(vm.run(script), self.loop).result(30)

    def machines(self) -> list[Vm]:
        """Those that are there, by the order in which they were made."""
        return self.do(lambda: [self.runner.vms[name] for name in self.runner.vms.ids])

    def instances(self) -> list[str]:
        """The ids of instances that live."""
        return self.do(lambda: [one.id for one in self.fake.ecs.living])


@asynccontextmanager
async def _cloud(directory: Path, image: Image) -> AsyncIterator[Cloud]:
    fake = FakeAlibaba(bare=True)
    fake.ecs.timing = QUICK
    vswitch, *_ = add_network(fake, BLOCK)
    async with serving(fake) as url, running_vms(fake, directory / "vms") as runner:
        runner.image = image
        yield Cloud(fake, runner, url, await runner.vms.listen_in(vswitch.cidr))
    assert runner.problems == []
    assert fake.ledger.problems == []


@contextmanager
def a_cloud(directory: Path, image: Image) -> Iterator[Cloud]:
    """A cloud of this process; `directory` is there, with a short path."""
    with in_a_thread(lambda: _cloud(directory, image)) as (cloud, loop):
        cloud.loop = loop
        yield cloud


@asynccontextmanager
async def _machines(image: Image, count: int) -> AsyncIterator[tuple[str, list[Vm]]]:
    async with running_machines() as vms:
        made = [await vms.start(a_spec(image)) for _ in range(count)]
        yield made[0].gateway, made


@contextmanager
def some_machines(image: Image, count: int) -> Iterator[tuple[str, list[Vm]]]:
    """Virtual machines that nobody makes or ends; this machine's address as they find it, and they."""
    with in_a_thread(lambda: _machines(image, count)) as (made, _):
        yield made


@dataclass(slots=True, kw_only=True)
class HostStack(Stack):
    """A stack whose agents are on virtual machines; `address` is where those find this machine."""

    address: str
    backend: Mapping[str, object]
    template: Mapping[str, object]
    env: Mapping[str, str] = field(default_factory=dict)

    def gateway_url_of(self, controller: str) -> str:
        return f"http://{self.address}:{self.ports.agents}/c/{controller}/"

    @property
    def told_in(self) -> Path:
        """What agents write to, whoever they are on their machine."""
        return self.root / "told"

    @property
    def launch_log(self) -> Path:
        return self.told_in / "launches.log"

    def _config(self) -> dict[str, object]:
        config: dict[str, Any] = Stack._config(self)
        (default,) = config["templates"].values()
        config["server"]["log"] = {"format": "json"}
        config["gateway"]["websocket"]["listen"] = f"{self.address}:{self.ports.agents}"
        config["backends"] = {"hosts": self.backend}
        env = {name: value.replace("$", "$$") for name, value in {**default["env"], **self.env}.items()}
        config["templates"]["default"] = {"cpu": 0.25, "memory": "256Mi", "env": env, **self.template}
        for label in self.pools:
            config["pools"][label]["backend"] = "hosts"
        return config


class HostWorld:
    """One broker and its machines; a build prints where it runs."""

    def __init__(
        self,
        root: Path,
        pools: Mapping[str, Mapping[str, object]],
        *,
        address: str,
        backend: Mapping[str, object],
        template: Mapping[str, object] | None = None,
    ) -> None:
        (root / "told").mkdir(parents=True, exist_ok=True)
        (root / "told").chmod(0o777)
        ports = Ports()
        self.stack = HostStack(
            root=root,
            controller_url=f"http://127.0.0.1:{ports.controller}/",
            pools=pools,
            ports=ports,
            address=address,
            backend=backend,
            template=template or {},
            env={"PYTHONPATH": str(REPOSITORY), "BUILD_STEP": STEP},
        )
        self.controller = controller_of(self.stack)
        jar = root / "agent.jar"
        jar.write_text("no Java reads this\n")
        self.controller.serve_jar(jar)

    def start(self) -> None:
        self.stack.start()
        self.controller.start()

    def stop(self) -> None:
        for child in [*self.controller.children(), *self.stack.children]:
            child.stop()
        end(marked_processes(self.stack.search.marker))

    def results(self) -> list[str | None]:
        return [build.result for build in self.controller.builds()]

    def printed(self) -> list[list[str]]:
        """What each build's step has printed, in lines."""
        return [path.read_text().splitlines() for path in sorted(self.stack.told_in.glob("build-*.txt"))]

    def hosts(self) -> list[dict[str, Any]]:
        """Hosts that live, as the API shows them."""
        found: list[dict[str, Any]] = get_json(f"{self.stack.http_url}api/v1/hosts")["items"]
        return found

    def timeline(self, agent: str) -> list[dict[str, Any]]:
        """What an agent's history tells."""
        found: list[dict[str, Any]] = get_json(f"{self.stack.http_url}api/v1/agents/{agent}")["timeline"]
        return found

    def events(self, name: str) -> list[dict[str, Any]]:
        """What the broker's log tells under a name."""
        lines = (self.stack.root / "broker.log").read_text(errors="replace").splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in told if event.get("event") == name]

    def nodes(self) -> list[str]:
        return [name for name in self.controller.nodes() if name != "Built-In Node"]


def image_for(told_in: Path, image: Image | None = None, agent: Sequence[str] = AGENT, **more: Any) -> Image:
    """What is on the machines: agents run there, and write into `told_in`."""
    return with_agents(image or Image(), agent, shared=(*host_python(), REPOSITORY), written=(told_in,), **more)


def ssh_key(root: Path) -> Path:
    """A file with the key that opens machines."""
    file = root / "ssh-key"
    write_private(file, client_key().export_private_key())
    return file


def host_pool(root: Path, **more: object) -> dict[str, object]:
    """A pool whose hosts are prepared once and take two agents."""
    return {
        "agents_per_host": 2,
        "ssh": {"user": "root", "private_key_file": str(ssh_key(root))},
        "init": {"script": init_script(INBOUND_IMAGE).replace("$", "$$")},
        "host": {"idle_timeout": "2s"},
        **more,
    }


def alibaba_pool(root: Path, **more: object) -> dict[str, object]:
    """The same of a cloud."""
    return {
        **host_pool(root),
        "image_id": IMAGE_ID,
        "instance_types": ["ecs.c7.xlarge"],
        "vswitches": [vswitch_of("cn-hangzhou-h")],
        "security_groups": [GROUP],
        "key_pair": {"import": True},
        **more,
    }


def alibaba_backend(cloud: Cloud) -> dict[str, object]:
    """The fake as a backend."""
    return {
        "type": "alibaba-ecs",
        "region": cloud.fake.region,
        "access_key_id": cloud.fake.access_key,
        "access_key_secret": cloud.fake.secret_key,
        "endpoints": dict.fromkeys(("ecs", "vpc", "sts"), cloud.url),
        "poll_interval": "1s",
    }
