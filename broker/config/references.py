"""Names that one part of the file uses of another, and labels that two policies share."""

from collections.abc import Mapping
from typing import Final

from broker.config.diagnostics import Diagnostics, Note
from broker.config.model_controllers import ControllerModel
from broker.config.model_policies import PolicyModel
from broker.config.model_pools import (
    BACKEND_KEYS,
    COMMON_POOL_KEYS,
    HOST_PATHS,
    HOSTLESS,
    LAUNCH_TYPES_WITH_HOSTS,
    POOL_KEYS,
    WITH_HOSTS,
    BackendModel,
    PoolModel,
    TemplateModel,
)
from broker.config.nodes import Node, Path
from broker.config.suggest import unknown

IMPLICIT_BACKENDS: Final = frozenset({"process", "container"})
"""Types of which a pool may name one without a definition: they take no account."""

_PLURALS: Final = {"backend": "backends", "template": "templates", "pool": "pools", "controller": "controllers"}


class References:
    """Checks the names in valid parts of the file; `root` has inheritance resolved."""

    def __init__(self, root: Node, diagnostics: Diagnostics) -> None:
        """Takes the tree for names and places: a part that is invalid is still defined."""
        self._root = root
        self._diagnostics = diagnostics

    def backends(self, backends: Mapping[str, BackendModel]) -> None:
        """Keys that belong to another type of backend."""
        for name, backend in backends.items():
            self._foreign_keys(("backends", name), backend.type, BACKEND_KEYS, frozenset({"type"}))

    def pools(self, pools: Mapping[str, PoolModel], backends: Mapping[str, BackendModel]) -> dict[str, str]:
        """Backends that are not defined, and keys of another type of backend; the type of each pool that has one."""
        types: dict[str, str] = {}
        for name, pool in pools.items():
            if pool.backend in backends:
                types[name] = backends[pool.backend].type
            elif pool.backend in IMPLICIT_BACKENDS:
                types[name] = pool.backend
            elif not self._root.has("backends", pool.backend):
                path = ("pools", name, "backend")
                self._unknown("backend", pool.backend, f"pool '{name}' runs on backend '{pool.backend}'", path)
            if name in types:
                self._foreign_keys(("pools", name), types[name], POOL_KEYS, COMMON_POOL_KEYS)
                self._keys_of_hosts(name, pool, types[name])
        return types

    def policies(
        self,
        policies: Mapping[str, PolicyModel],
        templates: Mapping[str, TemplateModel],
        pools: Mapping[str, PoolModel],
    ) -> None:
        """Templates, pools and controllers that are not defined or abstract."""
        for name, policy in policies.items():
            at: Path = ("policies", name)
            if policy.template:
                self._use("template", policy.template, templates, name, (*at, "template"))
            for n, use in enumerate(policy.pools):
                self._use("pool", use.pool, pools, name, (*at, "pools", n, "pool"))
            for n, fallback in enumerate(policy.fallback):
                self._use("pool", fallback.pool, pools, name, (*at, "fallback", n, "pool"))
            for n, controller in enumerate(policy.controllers or ()):
                if not self._root.has("controllers", controller):
                    message = f"policy '{name}' is for controller '{controller}'"
                    self._unknown("controller", controller, message, (*at, "controllers", n))

    def _use(
        self, noun: str, name: str, valid: Mapping[str, TemplateModel | PoolModel], policy: str, path: Path
    ) -> None:
        things = _PLURALS[noun]
        if not self._root.has(things, name):
            self._unknown(noun, name, f"policy '{policy}' uses {noun} '{name}'", path)
        elif name in valid and valid[name].abstract:
            children = [n for n, thing in valid.items() if thing.inherit_from == name and not thing.abstract]
            instead = f"use one that inherits from it: {', '.join(children)}" if children else "remove 'abstract'"
            message = f"policy '{policy}' uses {noun} '{name}', which is abstract"
            self._diagnostics.error("abstract", self._root.at(*path).span, message, Note("help", instead))

    def _unknown(self, noun: str, name: str, sentence: str, path: Path) -> None:
        plural = _PLURALS[noun]
        help_ = unknown(name, self._root.at(plural).keys if self._root.has(plural) else {}, plural)
        span = self._root.at(*path).span
        if self._diagnostics.has_error_at(span):  # inherited, and reported where it stands
            return
        self._diagnostics.error(f"unknown-{noun}", span, f"{sentence}, which is not defined", *help_)

    def _foreign_keys(self, path: Path, kind: str, table: Mapping[str, frozenset[str]], common: frozenset[str]) -> None:
        node = self._root.at(*path)
        known = table[kind] | common
        for key in node.map:
            owners = sorted(other for other, keys in table.items() if key in keys)
            if key not in known and owners:
                noun, of = str(path[0])[:-1], " and ".join(owners)
                message = f"'{key}' is of {noun}s of type {of}; {noun} '{path[1]}' is of type '{kind}'"
                help_ = Note("help", "remove it, or check the backend's type")
                self._diagnostics.error("foreign-key", node.keys[key], message, help_)

    def _keys_of_hosts(self, name: str, pool: PoolModel, kind: str) -> None:
        unpriced = kind == "aws-ecs" and pool.launch_type not in LAUNCH_TYPES_WITH_HOSTS
        has, help_ = "has none", "remove it"
        if unpriced:
            has = "knows hosts of launch type EC2 and EXTERNAL alone"
            help_ += ", or set 'launch_type: EC2' where agents run on the cluster's own instances"
        for path in HOST_PATHS:
            if kind in WITH_HOSTS or (path[0] == "cost" and kind not in HOSTLESS and not unpriced):
                continue
            span = self._root.key("pools", name, *path) if self._root.has("pools", name, *path) else None
            if span is not None and not self._diagnostics.has_error_at(span):  # inherited, and reported where it stands
                said = (has, help_) if path[0] == "cost" else self._counted_by_others(kind)
                message = (
                    f"'{'.'.join(path)}' is of pools with hosts; pool '{name}' is of type '{kind}', which {said[0]}"
                )
                self._diagnostics.error("foreign-key", span, message, Note("help", said[1]))

    @staticmethod
    def _counted_by_others(kind: str) -> tuple[str, str]:
        """Why a pool has no number of hosts, and what to do."""
        if kind == "aws-ecs":
            help_ = "remove it: the cluster's capacity providers say how many instances there are"
            return "has those of its cluster", help_
        return "has none", "remove it"

    def labels(self, policies: Mapping[str, PolicyModel]) -> None:
        """Two policies that carry the same labels for the same controller, without saying that this is meant."""
        seen: dict[frozenset[str], list[str]] = {}
        for name, policy in policies.items():
            for other in seen.setdefault(frozenset(policy.labels), []):
                if self._is_meant(name, other) or _disjoint(policy, policies[other]):
                    continue
                first = self._root.key("policies", other, "labels")
                message = f"policies '{other}' and '{name}' carry the same labels, so a job cannot choose"
                note = f"'{other}' is at {first}; it comes first and would get every job"
                help_ = "add a label to one of them, or set 'priority' on both to say that this is meant"
                span = self._root.at("policies", name, "labels").span
                self._diagnostics.error("ambiguous-labels", span, message, Note("note", note), Note("help", help_))
                break
            seen[frozenset(policy.labels)].append(name)

    def _is_meant(self, *names: str) -> bool:
        return all(self._root.has("policies", name, "priority") for name in names)

    def tokens(self, controllers: Mapping[str, ControllerModel]) -> None:
        """A token by which two controllers would be known."""
        owners: dict[str, tuple[str, Path]] = {}
        for name, controller in controllers.items():
            for n, token in enumerate(controller.token_sha256):
                path: Path = ("controllers", name, "token_sha256", n)
                owner, first = owners.setdefault(token, (name, path))
                if owner != name:
                    note = Note("note", f"the other is at {self._root.at(*first).span}")
                    help_ = Note("help", "give each controller a token of its own")
                    message = f"controllers '{owner}' and '{name}' have the same token"
                    self._diagnostics.error("token-reused", self._root.at(*path).span, message, note, help_)


def _disjoint(one: PolicyModel, other: PolicyModel) -> bool:
    return bool(one.controllers and other.controllers and not set(one.controllers) & set(other.controllers))
