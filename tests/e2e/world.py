"""The whole way as separate processes: broker, gateway, simulated controller and agents."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from broker.demo.channel import Address, Closed, Refused, connect
from broker.demo.controllers import BuildView, SimulatedController
from broker.demo.dev import wait_for_nothing
from broker.demo.leftovers import LeftBehind, end, marked_processes
from broker.demo.ports import free_port
from broker.demo.secured import Secured
from broker.demo.stack import CONTROLLER, Ports, Stack, simulated_pool
from broker.inbound.capability import USUAL

T = TypeVar("T")
QUICK, SLOW = "quick", "slow"
"""Labels: agents that connect at once, and agents that take some seconds before they do."""
SLOW_START_S = 4


def controller_of(stack: Stack) -> SimulatedController:
    """The first controller of a stack, not started."""
    return SimulatedController(
        stack.root,
        port=stack.ports.controller,
        grpc_port=stack.ports.grpc,
        token_file=stack.token_file,
        environment=stack.environment,
        tls=stack.secured.client(CONTROLLER) if stack.secured else None,
    )


class World:
    """One broker, one gateway, one controller or more; agents as the builds ask for them."""

    def __init__(
        self, root: Path, others: Mapping[str, Mapping[str, object]] | None = None, *, secured: bool = False
    ) -> None:
        """`others` are more controllers, with their keys in the config."""
        pools = {QUICK: simulated_pool(), SLOW: simulated_pool("-startDelay", str(SLOW_START_S))}
        ports = Ports()
        url = f"http://127.0.0.1:{ports.controller}/"
        other_ports = {name: free_port() for name in others or {}}
        self.stack = Stack(
            root=root,
            controller_url=url,
            pools=pools,
            ports=ports,
            others={name: f"http://127.0.0.1:{port}/" for name, port in other_ports.items()},
            controller_keys=others or {},
            secured=Secured.new(root / "tls") if secured else None,
        )
        self.others = {
            name: SimulatedController(
                root,
                port=port,
                grpc_port=ports.grpc,
                token_file=self.stack.token_file_of(name),
                environment=self.stack.environment,
                tls=self.stack.secured.client(name) if self.stack.secured else None,
                name=f"controller-{name}",
            )
            for name, port in other_ports.items()
        }
        self.controller = controller_of(self.stack)

    def start(self) -> None:
        self.stack.start()
        for controller in (self.controller, *self.others.values()):
            controller.start()

    def stop(self) -> None:
        others = [child for controller in self.others.values() for child in controller.children()]
        for child in [*self.controller.children(), *others, *self.stack.children]:
            child.stop()
        end(marked_processes(self.stack.search.marker))

    def builds(self) -> list[BuildView]:
        return self.controller.builds()

    def running(self) -> list[BuildView]:
        return [build for build in self.builds() if build.state == "running"]

    def results(self) -> list[str | None]:
        return [build.result for build in self.builds()]

    def have_ended(self) -> bool:
        return all(self.results())

    def launched(self) -> list[str]:
        return self.stack.launched()

    def left_behind(self) -> LeftBehind:
        """What there is when nothing more is expected; waits up to 60 s for it to go."""
        return wait_for_nothing(self.stack, self.controller, *self.others.values())

    def secrets(self) -> dict[str, str]:
        """The minted secrets that lie on disk now, by the directory of their attempt."""
        files = self.stack.search.agents_root.glob("*/secret")
        return {file.parent.name: file.read_text().strip() for file in files}

    def kill_agents(self) -> None:
        """kill -9 of every agent process, its wrapper spared: it has to tell."""
        for pid in marked_processes(self.stack.search.marker):
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"broker.demo.agent" in arguments[:3]:
                os.kill(pid, signal.SIGKILL)

    def knock(self, name: str, secret: str, controller: str = CONTROLLER) -> int:
        """The gateway's HTTP answer to an agent of this name and secret at a controller's path; 101 is let in."""
        ca = str(self.stack.secured.ca) if self.stack.secured else None
        headers = {"Node-Name": name, "Secret-Key": secret, "X-Remoting-Capability": USUAL}
        try:
            connect(Address(self.stack.gateway_url_of(controller), ca), headers).close()
        except Refused as refused:
            return refused.status
        except (OSError, Closed):
            return 0
        return 101


def until(condition: Callable[[], T], *, seconds: float = 60) -> T:
    """Waits for what happens in other processes."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if result := condition():
                return result
        except OSError:  # a server that is being started again
            pass
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s")
        time.sleep(0.1)
