"""What the config says of hosts gets to the core and to backends as plain values."""

from datetime import timedelta
from pathlib import Path

from broker.config.load import parse
from broker.domain.host import HostRules
from broker.domain.ids import PoolName
from broker.domain.pool import Pool

SSH = "private_key: '${KEY}'"


def pool(text: str, backend: str = "type: ssh-hosts") -> Pool:
    """The pool `it` of a backend `here`."""
    head = f"version: 1\nbackends: {{ here: {{ {backend} }} }}\n"
    return parse(f"{head}pools: {{ it: {{ backend: here, {text} }} }}", env={"KEY": "canary"}).definitions.pools[
        PoolName("it")
    ]


def test_what_a_pool_says_of_its_hosts_are_their_rules() -> None:
    said = """hosts: { a: 10.0.0.1, b: 10.0.0.2, c: 10.0.0.3 }, agents_per_host: 2, limits: { hosts: 2, min_hosts: 1 },
      host: { idle_timeout: 5m, max_age: 24h, max_uses: 50, boot_timeout: 8m },
      init: { script: "#!/bin/sh", timeout: 3m }, ssh: { private_key_file: id }"""
    assert pool(said).hosts == HostRules(
        agents_per_host=2,
        most=2,
        fewest=1,
        idle_timeout=timedelta(minutes=5),
        max_age=timedelta(hours=24),
        max_uses=50,
        boot_timeout=timedelta(minutes=8),
        prepare_timeout=timedelta(minutes=8),
    )


def test_zero_is_without_limit_and_machines_are_no_more_than_there_are() -> None:
    rules = pool(
        "hosts: { a: 10.0.0.1 }, limits: { hosts: 7 }, host: { max_age: 0s, max_uses: 0 }, ssh: { private_key_file: k }"
    ).hosts
    assert rules == HostRules(most=1, prepare_timeout=timedelta(minutes=5))


def test_a_machine_is_a_text_or_a_map_and_takes_the_rest_from_ssh() -> None:
    key = f"ssh-ed25519 {'A' * 64}"
    said = f"""hosts: {{ a: 'ann@[fd00::1]:2200', b: {{ address: b.example.com, cpu: 8, memory: 16Gi, slots: 3,
      zone: r1, host_keys: ['{key}'] }} }}, agents_per_host: 2,
      ssh: {{ user: jenkins, port: 22, private_key_file: keys/id }}"""
    options = pool(said).options
    assert options["hosts"] == {
        "a": {"address": "fd00::1", "port": 2200, "user": "ann", "slots": 2, "host_keys": []},
        "b": {
            "address": "b.example.com",
            "port": 22,
            "user": "jenkins",
            "cpu": 8,
            "memory": 16 * 1024,
            "slots": 3,
            "zone": "r1",
            "host_keys": [key],
        },
    }
    assert options["ssh"] == {
        "user": "jenkins",
        "port": 22,
        "private_key_file": str(Path.cwd() / "keys/id"),
        "host_key": "accept-new",
        "host_keys": [],
        "connect_timeout": 10.0,
    }
