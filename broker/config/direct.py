"""Direct mode: what its values may be, and which of them agents cannot be given together (hudson.remoting.Launcher)."""

import re
from collections.abc import Callable
from typing import Final

from broker.config.controllers import in_clear
from broker.config.diagnostics import Diagnostics, Note
from broker.config.model import BrokerFile
from broker.config.model_pools import DirectModel, PoolModel
from broker.config.nodes import Node


def check(root: Node, file: BrokerFile, diagnostics: Diagnostics) -> None:
    """Reports what cannot be meant; what is inherited, where it stands and once."""
    for name, pool in file.pools.items():
        if pool.direct is not None and not pool.abstract:
            _pool(root, name, pool, pool.direct, file, diagnostics)


def _pool(
    root: Node, name: str, pool: PoolModel, direct: DirectModel, file: BrokerFile, diagnostics: Diagnostics
) -> None:
    if pool.connect != "direct":
        message = f"pool '{name}' says how agents reach Jenkins itself, but they connect through the gateway"
        help_ = Note("help", "add 'connect: direct', or remove 'direct'")
        diagnostics.warning("direct-unused", root.key("pools", name, "direct"), message, help_)
    for keys, wrong, why in _TOGETHER:
        if wrong(direct):
            span = root.at("pools", name, "direct", keys[0]).span
            if not diagnostics.has_error_at(span):
                other = [Note("note", f"'{key}' is at {root.key('pools', name, 'direct', key)}") for key in keys[1:]]
                diagnostics.error("direct-conflict", span, f"pool '{name}': {why}", *other)
    urls = [direct.url] if direct.url else [controller.url for controller in file.controllers.values()]
    if direct.websocket and any(in_clear(url) for url in urls):
        message = f"agents of pool '{name}' send their secret in clear, and it is the real one, which is good for ever"
        help_ = Note("help", "use an https:// URL in 'direct.url'")
        diagnostics.warning("secret-in-clear", root.at("pools", name, "direct", "websocket").span, message, help_)


_WHOLE: Final = re.compile(r".+:[0-9]+")
_TOGETHER: Final[tuple[tuple[tuple[str, ...], Callable[[DirectModel], bool], str], ...]] = (
    (
        ("tunnel", "websocket"),
        lambda direct: bool(direct.websocket and direct.tunnel),
        "a WebSocket has no tunnel: it goes to the URL, so give the address that agents reach as 'url'",
    ),
    (
        ("instance_identity", "websocket"),
        lambda direct: bool(direct.websocket and direct.instance_identity),
        "a WebSocket has no instance identity: the certificate of the URL says who Jenkins is",
    ),
    (
        ("instance_identity", "url"),
        lambda direct: bool(direct.url and direct.instance_identity),
        "with an instance identity agents ask no URL: they dial 'tunnel'; remove 'url' or 'instance_identity'",
    ),
    (
        ("instance_identity",),
        lambda direct: bool(direct.instance_identity and not _WHOLE.fullmatch(direct.tunnel or "")),
        "with an instance identity agents ask no URL: 'tunnel' has to be the whole HOST:PORT of the agent port",
    ),
)
