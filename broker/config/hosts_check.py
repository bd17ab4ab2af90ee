"""What could not work on hosts of ours, said when the config is loaded: keys, scripts, sizes, the cloud's rules."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from broker.config import (
    alibaba_check_backends,
    alibaba_check_disks,
    alibaba_check_machines,
    alibaba_check_network,
    hosts_check_init,
    hosts_check_keys,
    hosts_check_limits,
    hosts_check_ssh,
)
from broker.config.diagnostics import Diagnostics
from broker.config.hosts_uses import Check, Hosts
from broker.config.model import BrokerFile
from broker.config.nodes import Node

_PARTS: Final[tuple[Check, ...]] = (
    alibaba_check_backends.check,
    alibaba_check_network.check,
    alibaba_check_machines.check,
    alibaba_check_disks.check,
    hosts_check_keys.check,
    hosts_check_ssh.check,
    hosts_check_init.check,
    hosts_check_limits.check,
)


def check(root: Node, file: BrokerFile, pool_types: Mapping[str, str], base: Path, diagnostics: Diagnostics) -> None:
    """Reports all of it; `root` has inheritance resolved, `pool_types` is the type of each pool's backend.

    Relative file names start at `base`.
    """
    hosts = Hosts(root, file, pool_types, base, diagnostics)
    for part in _PARTS:
        part(hosts)
