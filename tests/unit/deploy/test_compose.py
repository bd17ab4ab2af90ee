"""The two containers: one image and one config, bound to each other by the control link alone, and the config works."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from broker.config.load import load
from broker.config.settings import Config

DEPLOY = Path(__file__).parents[3] / "deploy"
COMPOSE, DOCKER = DEPLOY / "compose", DEPLOY / "docker"
HALVES = ("control", "gateway")
TOKEN = "ab" * 32
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)(:[-?][^}]*)?\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
    assert isinstance(content, dict)
    return content


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tls/ as the script makes it."""
    directory = tmp_path_factory.mktemp("compose")
    script = directory / "certificates"
    script.write_bytes((COMPOSE / "certificates").read_bytes())
    for _ in range(2):  # again: nothing changes
        subprocess.run(["/bin/sh", script, "broker.example.com"], check=True, capture_output=True, timeout=60)
    return directory / "tls"


def config(text: str, directory: Path) -> Config:
    path = directory / "broker.yaml"
    path.write_text(text)
    path.chmod(0o600)
    return load(path, env={"JENKINS_TOKEN_SHA256": TOKEN})


def test_both_halves_are_one_image_with_one_config(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert tuple(services) == HALVES
    assert services["control"]["image"] == services["gateway"]["image"]
    mounted = "./broker.yaml:/etc/agentbroker/broker.yaml:ro"
    assert all(mounted in services[half]["volumes"] for half in HALVES)
    assert [services[half]["command"][:-2] for half in HALVES] == [["serve", "--no-gateway"], ["gateway"]]
    assert {services[half]["command"][-1] for half in HALVES} == {"/etc/agentbroker/broker.yaml"}


def test_neither_half_takes_the_other_down(compose: dict[str, Any]) -> None:
    assert [compose["services"][half].get("depends_on") for half in HALVES] == [None, None]


@pytest.mark.parametrize("half", HALVES)
def test_a_half_can_write_its_state_and_gain_nothing(compose: dict[str, Any], half: str) -> None:
    service = compose["services"][half]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert f"{half}:/var/lib/agentbroker" in service["volumes"]
    assert half in compose["volumes"]


def test_only_the_control_plane_has_its_keys_and_only_the_gateway_its_own(compose: dict[str, Any]) -> None:
    has = {half: {s["source"] for s in compose["services"][half]["secrets"]} for half in HALVES}
    assert has["control"] & has["gateway"] == {"link-ca.crt"}
    assert "control.key" not in has["gateway"]
    assert "gateway.key" not in has["control"]


def test_every_secret_is_made_by_the_script_and_no_key_is_open_to_others(
    compose: dict[str, Any], certificates: Path
) -> None:
    for secret in compose["secrets"].values():
        file = certificates.parent / secret["file"]
        assert file.stat().st_mode & 0o077 == 0, file
    used = {s["source"] for half in HALVES for s in compose["services"][half]["secrets"]}
    assert used == compose["secrets"].keys()


def test_a_stop_of_the_gateway_waits_for_longer_than_its_sessions_may_last(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    grace = timedelta(minutes=int(compose["services"]["gateway"]["stop_grace_period"].removesuffix("m")))
    assert grace > config((COMPOSE / "broker.yaml").read_text(), tmp_path).gateway.drain_timeout


def test_ports_are_those_of_the_config_and_each_is_published_once(compose: dict[str, Any], tmp_path: Path) -> None:
    read = config((COMPOSE / "broker.yaml").read_text(), tmp_path)
    inner = {half: [int(p.rpartition(":")[2]) for p in compose["services"][half]["ports"]] for half in HALVES}
    assert read.gateway.tcp is not None
    assert read.server.http is not None
    assert inner["control"] == [read.server.grpc.listen.port, read.server.http.listen.port]
    assert inner["gateway"] == [read.gateway.websocket.port, read.gateway.tcp.port]


def test_each_variable_of_the_config_reaches_the_containers(compose: dict[str, Any]) -> None:
    wanted = {found[1] for found in VARIABLE.finditer((COMPOSE / "broker.yaml").read_text())}
    for half in HALVES:
        given = compose["services"][half]["environment"]
        assert given.keys() == wanted
        assert all(re.fullmatch(rf"\$\{{{name}:[-?].+\}}", value) for name, value in given.items())


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def running(log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "broker", *arguments],
            stdout=said,
            stderr=said,
            start_new_session=True,
            env={**os.environ, "JENKINS_TOKEN_SHA256": TOKEN},
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_halves_find_each_other_with_that_config_and_those_certificates(certificates: Path, tmp_path: Path) -> None:
    """As processes of one machine: names and places of containers are replaced by those here."""
    ports = {port: free_port() for port in (7070, 7071, 7072, 7074, 7080, 7081)}
    logs = {half: tmp_path / f"{half}.log" for half in HALVES}
    commands = {"control": ["serve", "--no-gateway"], "gateway": ["gateway"]}
    for half in HALVES:
        text = (COMPOSE / "broker.yaml").read_text()
        text = text.replace("/run/secrets/link.", f"{certificates}/{half}.")
        text = text.replace("/run/secrets", str(certificates)).replace("tls://control", "tls://localhost")
        text = text.replace("/var/lib/agentbroker", str(tmp_path / half)).replace("0.0.0.0", "127.0.0.1")
        for port, free in ports.items():
            text = text.replace(f":{port}", f":{free}")
        file = tmp_path / f"{half}.yaml"
        file.write_text(text)
        file.chmod(0o600)
    with (
        running(logs["control"], *commands["control"], "--config", str(tmp_path / "control.yaml")),
        running(logs["gateway"], *commands["gateway"], "--config", str(tmp_path / "gateway.yaml")),
    ):
        deadline = time.monotonic() + 60
        while logs["control"].read_text().count('"gateway_linked"') < 2:
            assert time.monotonic() < deadline, "\n".join(log.read_text() for log in logs.values())
            time.sleep(0.1)


def test_the_image_runs_as_nobody_special_and_is_told_to_end_by_what_drains() -> None:
    lines = (DOCKER / "Dockerfile").read_text().splitlines()
    assert "USER 10001:10001" in lines
    assert "STOPSIGNAL SIGTERM" in lines
    assert 'ENTRYPOINT ["agentbroker"]' in lines
    assert all("--require-hashes" in line for line in lines if "pip install" in line and "-r " in line)


def test_what_the_image_is_made_of_is_let_through_to_it() -> None:
    copied = [
        word
        for line in (DOCKER / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    let_through = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    assert let_through == ["*", *(f"!{path}" for path in sorted(copied))]
    assert (DEPLOY.parent / "requirements" / "runtime.txt").is_file()
