"""Pools of containers need an image; to pools of processes it means nothing."""

from collections.abc import Mapping
from typing import Final

from broker.config.diagnostics import Diagnostics, Note
from broker.config.model import BrokerFile
from broker.config.nodes import Node

_NEED_IMAGES: Final = frozenset({"container"})
_RUN_ON_THE_HOST: Final = frozenset({"process"})
_OF_CONTAINERS: Final = ("image", "inject", "user", "read_only", "mounts")


def check(root: Node, file: BrokerFile, pool_types: Mapping[str, str], diagnostics: Diagnostics) -> None:
    """Says which policy sends a template without an image to containers, and which keys of a template nobody reads."""
    types: dict[str, set[str]] = {}
    for name, policy in file.policies.items():
        template = policy.template or "default"
        first = [(("pools", n), use.pool) for n, use in enumerate(policy.pools)]
        for at, pool in (*first, *((("fallback", n), step.pool) for n, step in enumerate(policy.fallback))):
            kind = pool_types.get(pool, "")
            types.setdefault(template, set()).add(kind)
            known = file.templates.get(template)
            if kind in _NEED_IMAGES and not (known and known.image) and (known or template == "default"):
                message = f"policy '{name}' runs template '{template}' in containers of pool '{pool}'"
                help_ = Note("help", f"give template '{template}' an 'image'")
                span = root.at("policies", name, *at).span
                diagnostics.error("no-image", span, f"{message}, but it has no image", help_)
    for template, kinds in types.items():
        if kinds <= _RUN_ON_THE_HOST and root.has("templates", template):
            _unread(root.at("templates", template), template, diagnostics)


def _unread(node: Node, template: str, diagnostics: Diagnostics) -> None:
    for key in _OF_CONTAINERS:
        if key in node.map and node.map[key].data is not None:
            message = f"'{key}' of template '{template}' means nothing: it is used by pools of processes alone"
            help_ = Note("help", "remove it, or run the template in a pool of containers")
            diagnostics.warning("unused-key", node.keys[key], message, help_)
