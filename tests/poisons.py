"""Configs that must change nothing of a broker that runs, made from a sound one."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

import yaml

_HUGE: Final = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Poison:
    """What stands in the file, and the code of what is said of it."""

    content: bytes
    code: str


def poisons(sound: Mapping[str, Any], *, pool: str, policy: str) -> dict[str, Poison]:
    """By what is wrong. `sound` names the pool and the policy."""

    def edited(code: str, *path: str, value: object) -> Poison:
        whole: dict[str, Any] = deepcopy(dict(sound))
        owner = whole
        for key in path[:-1]:
            owner = owner.setdefault(key, {})
        owner[path[-1]] = value
        return Poison(yaml.safe_dump(whole).encode(), code)

    text = yaml.safe_dump(dict(sound))
    of_policy = ("policies", policy)
    bomb = "\n".join(["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10))])
    circle = {"a": {"inherit_from": "b"}, "b": {"inherit_from": "a"}}
    weights = {"strategy": "weighted", "pools": [{"pool": pool, "weight": 0}], "labels": ["x"]}
    return {
        "an unknown pool": edited("unknown-pool", *of_policy, "pools", value=["nowhere"]),
        "a chain that is a circle": edited("fallback-repeats", *of_policy, "fallback", value=[{"pool": pool}]),
        "templates that are a circle": edited("inherit-cycle", "templates", value=circle),
        "a cap of 0": edited("out-of-range", *of_policy, "limits", value={"agents": 0}),
        "weights that are 0 in sum": edited("zero-weights", *of_policy, value=weights),
        "an unknown currency": edited("unknown-currency", *of_policy, "budget", value={"amount": 1, "currency": "XTS"}),
        "a time zone that is none": edited(
            "unknown-zone",
            *of_policy,
            "warm",
            value={"schedule": [{"cron": "0 8 * * *", "timezone": "Mars/Base", "min_idle": 1}]},
        ),
        "a key of another strategy": edited("unused-key", *of_policy, "spread", value={"by": "pool"}),
        "a YAML bomb": Poison(f"{text}{bomb}\n".encode(), "yaml-alias"),
        "ten megabytes": Poison(text.encode() + b"# " + b"x" * _HUGE, "no-file"),
        "UTF-16": Poison(text.encode("utf-16"), "yaml-syntax"),
        "Latin-1": Poison(f"# K\xf6ln\n{text}".encode("latin-1"), "yaml-syntax"),
        "half a file": Poison(f"{text}server: {{ http: {{".encode(), "yaml-syntax"),
        "nothing at all": Poison(b"", "missing-key"),
    }
