"""Pools of containers and tasks need an image; to pools of processes it means nothing."""

from collections.abc import Mapping, Sequence
from typing import Final

from broker.config.diagnostics import Diagnostics, Note
from broker.config.model import BrokerFile
from broker.config.nodes import Node, Path

_NEED_IMAGES: Final = frozenset({"container", "aws-ecs"})
_RUN_ON_THE_HOST: Final = frozenset({"process"})
_OF_CONTAINERS: Final = ("image", "inject", "user", "read_only", "mounts")


def check(root: Node, file: BrokerFile, pool_types: Mapping[str, str], diagnostics: Diagnostics) -> None:
    """Says which policy sends a template without an image to containers, and which keys of a template nobody reads."""
    types: dict[str, set[str]] = {}
    for name, policy in file.policies.items():
        template, at = policy.template or "default", ("policies", name)
        used: dict[Path, str] = {(*at, "pools", n): use.pool for n, use in enumerate(policy.pools)}
        used |= {(*at, "fallback", n, "pool"): step.pool for n, step in enumerate(policy.fallback)}
        kind_at = {path: pool_types.get(pool, "") for path, pool in used.items()}
        types.setdefault(template, set()).update(kind_at.values())
        known = file.templates.get(template)
        for path, kind in ((path, kind) for path, kind in kind_at.items() if kind in _NEED_IMAGES):
            defined = known is not None and known.task_definition is not None and kind == "aws-ecs"
            if not (known and (known.image or defined)) and (known or template == "default"):
                message = f"policy '{name}' runs template '{template}' in containers of pool '{used[path]}'"
                either = " or a 'task_definition'" if kind == "aws-ecs" else ""
                help_ = Note("help", f"give template '{template}' an 'image'{either}")
                diagnostics.error("no-image", root.at(*path).span, f"{message}, but it has no image", help_)
        if policy.overrides and "image" in policy.overrides.allow:
            hosts = [f"'{used[path]}'" for path, kind in kind_at.items() if kind in _RUN_ON_THE_HOST]
            _chosen_in_vain(root, name, hosts, diagnostics)
    for template, kinds in types.items():
        if kinds <= _RUN_ON_THE_HOST and root.has("templates", template):
            _unread(root.at("templates", template), template, diagnostics)


def _chosen_in_vain(root: Node, policy: str, pools: Sequence[str], diagnostics: Diagnostics) -> None:
    if pools:
        message = f"policy '{policy}' lets builds choose an image, which means nothing in {', '.join(pools)}"
        help_ = Note("help", "take 'image' out of 'allow', or use pools of containers alone")
        span = root.key("policies", policy, "overrides", "allow")
        diagnostics.warning("unused-key", span, message, help_)


def _unread(node: Node, template: str, diagnostics: Diagnostics) -> None:
    for key in _OF_CONTAINERS:
        if key in node.map and node.map[key].data is not None:
            message = f"'{key}' of template '{template}' means nothing: it is used by pools of processes alone"
            help_ = Note("help", "remove it, or run the template in a pool of containers")
            diagnostics.warning("unused-key", node.keys[key], message, help_)
