"""What the demo's virtual machines need of this machine, and what it does where that is not there."""

from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml

from broker.config.load import load
from broker.demo.clouds import chosen
from broker.demo.clouds.machine_pool import address_in
from broker.demo.clouds.stack import CloudStack
from broker.demo.stack import Ports, simulated_pool


def a_stack(root: Path, block: IPv4Network | None) -> CloudStack:
    pools = {"linux": simulated_pool()}
    return CloudStack(root=root, controller_url="http://127.0.0.1:1/", pools=pools, ports=Ports(), block=block)


def test_a_block_overlaps_nothing_that_is_routed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = [IPv4Network("10.0.0.0/9"), IPv4Network("10.128.0.0/10")]
    monkeypatch.setattr(chosen, "_routed", lambda: taken)
    for _ in range(20):
        block = chosen.free_block()
        assert block.subnet_of(IPv4Network("10.192.0.0/10"))
        assert block.prefixlen == 22


def test_routes_are_read_as_the_kernel_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "route"
    table.write_text(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
        "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\n"
        "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\n"
    )
    monkeypatch.setattr(chosen, "_ROUTES", table)
    assert chosen._routed() == [IPv4Network("172.17.0.0/16")]


def test_what_is_missing_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen, "missing_here", lambda: ["root: run it as root"])
    monkeypatch.setattr(chosen, "_ENGINE", ("podman-that-is-nowhere",))
    said = chosen.lacking()
    assert "root: run it as root" in said
    assert "install podman-that-is-nowhere" in said


def test_namespaces_that_cannot_be_made_are_missing_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen, "missing_here", list)
    monkeypatch.setattr(chosen, "_ENGINE", ())
    monkeypatch.setattr(chosen, "_PROBE", ("sh", "-c", "echo Operation not permitted >&2; exit 1"))
    assert chosen.lacking().startswith("namespaces, which cannot be made here: Operation not permitted")


def test_a_stack_with_a_block_has_a_pool_of_machines_behind_the_tasks(tmp_path: Path) -> None:
    block = IPv4Network("10.77.0.0/22")
    stack = a_stack(tmp_path / "run", block)
    config = load(str(stack.config_file))
    assert [str(name) for name in config.definitions.pools] == ["linux-spot", "linux", "linux-vm"]
    written = yaml.safe_load(stack.config_file.read_text())
    assert [step["pool"] for step in written["policies"]["linux"]["fallback"]] == ["linux-vm"]
    assert address_in(block) == "10.77.0.253"
    assert stack.gateway_url.startswith("http://10.77.0.253:")


def test_a_stack_without_one_has_tasks_alone_and_dials_loopback(tmp_path: Path) -> None:
    stack = a_stack(tmp_path / "run", None)
    assert [str(name) for name in load(str(stack.config_file)).definitions.pools] == ["linux-spot", "linux"]
    assert stack.gateway_url.startswith("http://127.0.0.1:")
    assert stack.machines_left() is None
