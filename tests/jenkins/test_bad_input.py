"""Whatever is wrong with a setting, a file, a certificate, a token or a clock: one line says it, Jenkins is well."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from broker.demo.authority import Authority, Pair
from broker.demo.files import write_private
from tests.jenkins.conftest import new_rig
from tests.jenkins.controller import Controller, free_port, wait_for
from tests.jenkins.odd_broker import OddBroker, policy
from tests.jenkins.rig import Rig

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(400)]

TOKEN = "a1" * 32


@dataclass
class Home:
    """A controller with a cloud for each thing that can be wrong, and `sound`, whose broker is well."""

    rig: Rig
    sound: OddBroker
    others: dict[str, OddBroker]
    ports: dict[str, int]

    @property
    def controller(self) -> Controller:
        return self.rig.controller

    @property
    def folder(self) -> Path:
        return self.controller.home / "agentbroker"

    def warnings(self, name: str) -> list[str]:
        """The warnings that are about a cloud, or its file."""
        lines = self.controller.lines("agentbroker", "WARNING", "SEVERE")
        lines = [line for line in lines if "no answer in time" not in line]  # a machine that has much to do
        return [line for line in lines if f"agentbroker: {name}: " in line or f"agentbroker-{name}.properties:" in line]


def write(home: Path, name: str, port: int | str, *lines: str, token: str = TOKEN, mode: int = 0o600) -> None:
    """The properties file of a cloud, and its token."""
    secret = home / f"secrets/agentbroker-{name}.token"
    secret.parent.mkdir(mode=0o700, exist_ok=True)
    write_private(secret, token)
    secret.chmod(mode)
    broker = port if isinstance(port, str) else f"127.0.0.1:{port}"
    text = [f"broker={broker}", f"name={name}", f"token_file=$JENKINS_HOME/secrets/{secret.name}", *lines]
    (home / f"agentbroker/agentbroker-{name}.properties").write_text("\n".join(text) + "\n")


@pytest.fixture(scope="module")
def home(jenkins_root: Path, request: pytest.FixtureRequest) -> Iterator[Home]:
    rig = new_rig(jenkins_root, request)
    rig.install()
    (rig.controller.home / "agentbroker/agentbroker.properties").unlink()
    ours, strangers = Authority("ours"), Authority("strangers")
    ca = f"ca_file={ours.write(rig.root / 'ca.pem')}"

    def server(name: str, by: Authority = ours, host: str = "127.0.0.1", lasts: timedelta = timedelta(days=1)) -> Pair:
        return by.issue(rig.root / name, name, hosts=[host], lasts=lasts)

    sound = OddBroker(policy("linux", "linux"), pair=server("sound"))
    others = {
        "stranger": OddBroker(pair=server("stranger", by=strangers)),
        "wronghost": OddBroker(pair=server("wronghost", host="192.0.2.7")),
        "expired": OddBroker(pair=server("expired", lasts=timedelta(minutes=-1))),
        "notls": OddBroker(),
        "badtoken": OddBroker(),
        "opentoken": OddBroker(policy("open", "open")),
        "ahead": OddBroker(policy("ahead", "ahead"), clock_ahead_s=3 * 3600),
        "behind": OddBroker(policy("behind", "behind"), clock_ahead_s=-90_000),
        "nolabels": OddBroker(policy("empty")),
        "twolines": OddBroker(),
    }
    others["badtoken"].refuses = "the token is not known"
    ports = {name: broker.port for name, broker in others.items()}
    ports["gone"] = free_port()
    folder = rig.controller.home
    write(folder, "sound", sound.port, ca)
    for name in ("stranger", "wronghost", "expired", "notls"):
        write(folder, name, ports[name], ca)
    for name in ("badtoken", "ahead", "behind", "nolabels", "gone"):
        write(folder, name, ports[name], "tls=false")
    write(folder, "opentoken", ports["opentoken"], "tls=false", mode=0o644)
    write(folder, "twolines", ports["twolines"], "tls=false", token="one\ntwo\n")
    write(folder, "far", "192.0.2.1:7071", "tls=false")
    write(folder, "nohost", "broker.invalid:7071", ca)
    write(folder, "noport", "broker.example.com")
    write(folder, "letters", "broker.example.com:grpc")
    write(folder, "noca", 1, f"ca_file={rig.root}/none.pem")
    write(folder, "unknownkey", free_port(), "tls=false", "tokenfile=/x")
    write(folder, "twice", 1, "tls=false", "tls=true")
    write(folder, "latin", 1, "tls=false")
    (folder / "agentbroker/agentbroker-latin.properties").write_bytes("broker=m\u00fcller:1\n".encode("latin-1"))
    try:
        rig.controller.start()
        wait_for("sound is connected", lambda: "sound: connected to" in rig.controller.log(), 60)
        yield Home(rig, sound, others, ports)
    finally:
        rig.stop()
        for broker in [sound, *others.values()]:
            broker.stop()


@pytest.fixture(autouse=True)
def _version(home: Home, record_component: Callable[[str, str], None]) -> None:
    record_component("jenkins", home.controller.version())


CASES = {
    "stranger": "not trusted (the broker's certificate is of an authority that is not in ca_file={root}/ca.pem; ",
    "wronghost": 'not trusted (the broker\'s certificate is not for "127.0.0.1"; broker= must name it as',
    "expired": "not trusted (the broker's certificate has expired (NotAfter: ",
    "notls": "not reachable (what answers there speaks no TLS; server.grpc.tls of the broker, or broker= and tls= here",
    "badtoken": "refused us (the token is not known; token_file={home}/secrets/agentbroker-badtoken.token must hold",
    "opentoken": "not asked (token_file={home}/secrets/agentbroker-opentoken.token is open to others (mode 0644, "
    "rw-r--r--); "
    "run: chmod 600 {home}/secrets/agentbroker-opentoken.token)",
    "twolines": "token_file={home}/secrets/agentbroker-twolines.token has 2 lines; it must hold the token alone)",
    "gone": "not reachable (Connection refused",
    "nohost": "not reachable (no such host: broker.invalid; broker= names HOST:PORT)",
    "far": "not started: agentbroker-far.properties: tls=false is for loopback addresses only; 192.0.2.1 is none",
    "noport": "not started: agentbroker-noport.properties: line 1: broker=broker.example.com is no HOST:PORT, such as",
    "letters": "line 1: broker=broker.example.com:grpc is no HOST:PORT, such as broker.example.com:7071",
    "noca": "not started: agentbroker-noca.properties: ca_file={root}/none.pem does not exist; Jenkins goes on",
    "twice": "line 5: tls is there twice, on line 4 too; leave one of them",
    "latin": "it is not in UTF-8; save it in that encoding",
    "ahead": "behind the broker's; builds are not held up by it",
    "behind": "the clock of this controller is 1 d",
    "nolabels": 'policy "empty" has no labels and takes no build without one: it serves none',
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_said_in_one_line(home: Home, name: str) -> None:
    [line] = wait_for("its line", lambda: home.warnings(name), seconds=20)
    assert CASES[name].format(root=home.rig.root, home=home.controller.home) in line
    assert "Exception" not in line


def test_the_size_of_the_difference_of_clocks_is_said(home: Home) -> None:
    assert re.search(r"controller is (3 h|2 h 59 min) behind", home.warnings("ahead")[0])
    assert re.search(r"controller is 1 d( 1 h)? ahead", home.warnings("behind")[0])


def test_a_key_that_is_not_known_is_named_with_the_nearest_and_ignored(home: Home) -> None:
    said, lost = wait_for("its lines", lambda: home.warnings("unknownkey"), seconds=20)
    assert 'line 5: unknown key "tokenfile" is ignored; did you mean "token_file"?' in said
    assert "not reachable" in lost


def test_jenkins_is_well_and_the_tries_go_on_in_silence(home: Home) -> None:
    before = {name: len(home.warnings(name)) for name in CASES}
    time.sleep(8)
    assert {name: len(home.warnings(name)) for name in CASES} == before
    controller = home.controller
    assert "SEVERE" not in controller.log()
    assert not re.search(r"^(\[LF\]>)?\s+at (io\.agentbroker|Broker)", controller.log(), re.M), "a stack trace"
    clouds = controller.script("jenkins.model.Jenkins.get().clouds.each { println it.name }").split()
    assert set(clouds) == {"sound", "ahead", "behind", "nolabels"}
    home.sound.wait_for_syncs(2)


@pytest.mark.parametrize("name", ["opentoken", "badtoken"])
def test_what_is_mended_is_taken_up_without_a_restart(home: Home, name: str) -> None:
    secret = home.controller.home / f"secrets/agentbroker-{name}.token"
    assert "b2" * 32 not in home.others[name].tokens
    write_private(secret, "b2" * 32)
    secret.chmod(0o600)
    home.others[name].refuses = ""
    wait_for("it is connected", lambda: f"agentbroker: {name}: connected to" in home.controller.log(), seconds=40)
    assert "b2" * 32 in home.others[name].tokens
    assert len(home.warnings(name)) == 1


def test_an_open_token_has_never_left_this_machine(home: Home) -> None:
    assert home.others["opentoken"].tokens == {"b2" * 32}
    assert home.others["stranger"].tokens == home.others["wronghost"].tokens == home.others["expired"].tokens == set()
    assert home.others["twolines"].tokens == set()


def test_a_build_gets_its_agent_though_the_clocks_are_hours_apart(home: Home) -> None:
    for name in ("ahead", "behind"):
        home.controller.create_job(name, name)
        home.controller.build(name)
        broker = home.others[name]
        [agent] = wait_for("it is asked for", lambda: list(broker.requested), seconds=30)  # noqa: B023 - called at once
        broker.always.agents.add(
            name=agent, policy=name, phase="launching", takes_builds=True, labels=[name], executors=1
        )
        broker.wait_for_syncs(4)
        assert agent in home.controller.nodes()
        assert len(broker.requested) == 1
    home.controller.script("jenkins.model.Jenkins.get().queue.clear()")
