import stat
import subprocess
from pathlib import Path

import yaml

from broker.demo.secured import Secured
from broker.demo.stack import QUICK_JVM, Ports, Stack, java_pool, simulated_pool

PORTS = Ports(http=1, grpc=2, agents=3, controller=4)


def test_token_and_config_are_for_their_owner_alone(tmp_path: Path) -> None:
    stack = Stack(root=tmp_path, controller_url="http://127.0.0.1:4/", pools={"linux": simulated_pool()}, ports=PORTS)
    for path in (stack.token_file, stack.config_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stack.token not in stack.config_file.read_text()


def test_the_java_of_the_pool_notes_each_agent_and_becomes_the_real_java(tmp_path: Path) -> None:
    log = tmp_path / "it's a log"
    java = java_pool("/bin/echo", tmp_path, log)["java"]
    shown = subprocess.run(
        [str(java), "-jar", "agent.jar", "-name", "linux-1"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == " ".join([*QUICK_JVM, "-jar agent.jar -name linux-1"])
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["linux-1"]


def test_a_java_that_is_no_agent_is_not_counted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    subprocess.run([str(java_pool("/bin/true", tmp_path, log)["java"]), "-version"], check=True)
    assert not log.exists()


def test_a_given_directory_keeps_its_token_from_run_to_run(tmp_path: Path) -> None:
    def stack() -> Stack:
        return Stack(
            root=tmp_path, controller_url="http://127.0.0.1:4/", pools={"linux": simulated_pool()}, ports=PORTS
        )

    first = stack()
    first.launch_log.write_text("linux-1 1 1\n")
    second = stack()
    assert second.token == first.token
    assert second.launched() == []


def test_a_secured_stack_asks_controllers_for_certificates_and_gives_agents_its_authority(tmp_path: Path) -> None:
    secured = Secured.new(tmp_path / "tls")
    stack = Stack(
        root=tmp_path,
        controller_url="http://127.0.0.1:4/",
        pools={"linux": simulated_pool()},
        ports=PORTS,
        secured=secured,
        others={"mobile": "http://127.0.0.1:5/"},
        controller_keys={"mobile": {"path": "/m/"}},
    )
    config = yaml.safe_load(stack.config_file.read_text())
    assert config["server"]["grpc"]["tls"]["client_ca_file"] == str(secured.ca)
    assert config["templates"]["default"]["env"]["SSL_CERT_FILE"] == str(secured.ca)
    assert stack.gateway_url_of("mobile") == "https://127.0.0.1:3/m/"
    hashes = {name: controller["token_sha256"] for name, controller in config["controllers"].items()}
    assert len(set(hashes.values())) == 2
    for key in (tmp_path / "tls").glob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_options_of_the_pools_java_are_passed_whole(tmp_path: Path) -> None:
    java = java_pool("/bin/echo", tmp_path, tmp_path / "log", ["-Done=a b"])["java"]
    shown = subprocess.run([str(java), "-version"], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == " ".join([*QUICK_JVM, "-Done=a b", "-version"])
