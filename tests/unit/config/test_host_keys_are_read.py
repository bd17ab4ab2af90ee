"""No key of pools with hosts, or of their backends, is without effect: what makes hosts reads each of them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest

import broker
from broker.backends.alibaba_ecs.session import _NAMES
from broker.config.base import Model, known_keys
from broker.config.model_alibaba import ALIBABA_BACKEND_KEYS, ALIBABA_POOL_KEYS
from broker.config.model_hosts import HostPoolKeys
from broker.config.model_pools import BackendModel, PoolModel

ROOT = Path(broker.__file__).parent
PLACES = ("backends/ssh", "backends/ssh_hosts", "backends/alibaba_ecs")
CORE = {"host", "idle_timeout", "max_age", "max_uses", "boot_timeout", "api_rate", "agents_per_host"}
"""These the core has as values of its own: `Pool.hosts` and `Rate`."""


def _models(kind: Any) -> Iterator[type[Model]]:
    """The models within an annotation."""
    if isinstance(kind, type) and issubclass(kind, Model):
        yield kind
    for part in get_args(kind):
        yield from _models(part)


def _keys(model: type[Model], only: frozenset[str] | None = None) -> Iterator[str]:
    for key, name in known_keys(model).items():
        if only is None or key in only:
            yield key
            for inner in _models(model.model_fields[name].annotation):
                yield from _keys(inner)


@cache
def _read() -> tuple[set[str], set[str]]:
    """Names by which options are read, and names of attributes that are used, in the code that makes hosts."""
    told: set[str] = set()
    used: set[str] = set()
    for place in PLACES:
        for file in (ROOT / place).glob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    told.add(node.value)
                elif isinstance(node, ast.Attribute):
                    used.add(node.attr)
    return told, used


KEYS = sorted(
    {
        *_keys(BackendModel, ALIBABA_BACKEND_KEYS),
        *_keys(PoolModel, ALIBABA_POOL_KEYS),
        *_keys(HostPoolKeys),
    }
    - CORE
)


def test_all_keys_are_walked() -> None:
    assert {"auto_release", "legacy_marker", "on_no_stock", "bandwidth_in", "known_hosts_file", "import", "slots"} <= {
        *KEYS
    }


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_read_and_used(key: str) -> None:
    told, used = _read()
    by_name = key.removesuffix("_file") in _NAMES  # `Sessions` reads the files of these by their names
    assert by_name or key in used | told, f"{key}: nothing in {', '.join(PLACES)} reads it"
