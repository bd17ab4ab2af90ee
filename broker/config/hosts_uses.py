"""Which pools are on hosts of ours, and where the file says so."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from broker.config.diagnostics import Diagnostics
from broker.config.model import BrokerFile
from broker.config.model_hosts import Ssh
from broker.config.model_pools import WITH_HOSTS, PoolModel
from broker.config.nodes import Node
from broker.config.places import Places

ALIBABA: Final = "alibaba-ecs"
SSH_HOSTS: Final = "ssh-hosts"
PAGE: Final[Mapping[str, str]] = {
    ALIBABA: "see docs/how-to/alibaba-ecs.md",
    SSH_HOSTS: "see docs/how-to/ssh-hosts.md",
}


class Hosts(Places):
    """The file's part that is of hosts."""

    def __init__(
        self, root: Node, file: BrokerFile, pool_types: Mapping[str, str], base: Path, diagnostics: Diagnostics
    ) -> None:
        """`root` has inheritance resolved, `pool_types` is the type of each pool's backend."""
        super().__init__(root, file, diagnostics)
        self.base = base
        self.kinds = {name: kind for name, kind in pool_types.items() if kind in WITH_HOSTS}
        self.pools = {name: pool for name, pool in file.pools.items() if name in self.kinds and not pool.abstract}
        self.templates = {name: one for name, one in file.templates.items() if not one.abstract}
        self.find_uses(self.pools)

    def of(self, kind: str) -> dict[str, PoolModel]:
        """The pools of one type."""
        return {name: pool for name, pool in self.pools.items() if self.kinds[name] == kind}

    def said(self, *path: str | int) -> bool:
        """Whether the file has a key, with a value."""
        return self.root.has(*path) and self.root.at(*path).data is not None

    def names(self, *path: str | int) -> bool:
        """Whether the file has a list with something in it, be it sound or not."""
        return self.root.has(*path) and bool(self.root.at(*path).items)

    def read(self, name: str, most: int) -> bytes | None:
        """The beginning of a file, one byte more than `most`; None if it cannot be read, which is told of elsewhere."""
        try:
            with (self.base / name).open("rb") as file:
                return file.read(most + 1)
        except (OSError, ValueError):
            return None


def over_ssh(pool: PoolModel) -> bool:
    """Whether agents get onto hosts by SSH."""
    return pool.start_by != "cloud-assistant"


def ssh_of(pool: PoolModel) -> Ssh:
    """What a pool says of the way onto its hosts."""
    return pool.ssh or Ssh()


Check = Callable[[Hosts], None]
