"""What to write for a key that is none, by what a pool or backend is of: the plugins called many things otherwise."""

from collections.abc import Sequence

from broker.config import alibaba_names, ecs_names
from broker.config.model_pools import WITH_HOSTS
from broker.config.nodes import Node


def instead_of(key: str, path: Sequence[str | int], root: Node) -> str:
    """What to write for an unknown key of the map at `path`; empty if nothing is known of it."""
    of_hosts = alibaba_names.instead_of(key, path)
    of_ecs = ecs_names.instead_of(key, path)
    kind = _type_of(path, root)
    if kind in WITH_HOSTS:
        return of_hosts
    return of_ecs or ("" if kind else of_hosts)


def _type_of(path: Sequence[str | int], root: Node) -> str:
    """The type of the backend that the map at `path` is of; empty if the file does not say."""
    if len(path) < 2 or path[0] not in {"backends", "pools"}:
        return ""
    backend = path[1]
    if path[0] == "pools":
        if not root.has("pools", path[1], "backend"):
            return ""
        backend = str(root.at("pools", path[1], "backend").data)
    if root.has("backends", backend, "type"):
        return str(root.at("backends", backend, "type").data)
    return str(backend) if backend in {"process", "container"} else ""
