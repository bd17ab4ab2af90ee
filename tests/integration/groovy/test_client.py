"""The client jar against the real broker: TLS both ways, the token of a file, errors for people, the stream."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from broker.demo.authority import Authority, Pair
from broker.demo.files import write_private
from tests.integration.groovy.double import GROOVY, World

pytestmark = [pytest.mark.component("groovy"), pytest.mark.timeout(120)]

SCRIPT = """
import io.agentbroker.client.*
try {
    def (target, tls, ca, cert, key, token, what) = args as List
    def client = BrokerClient.connect(target, tls == 'tls', ca, cert, key, token, 5000)
    if (what == 'watch') {
        def watch = client.watchAgents('boot-1', 0)
        println "${watch.next(5000).kind} ${watch.next(5000).with { it.kind + ' ' + it.number + ' ' + it.interval }}"
        watch.next(200)
    }
    def reply = client.handshake('2.568.2', 'http://127.0.0.1/', 'boot-1', [agent_port: 50000])
    println "${reply.controller} ${reply.policies*.name} ${reply.policies[0].labels} ${reply.sync_interval > 0}"
    client.close()
} catch (BrokerException error) {
    println "${error.code} ${error.temporary} ${error.what} ${error.message}"
} catch (IllegalArgumentException error) {
    println "unusable: ${error.message}"
}
"""
SHAKEN = "demo [linux] [linux, docker] true"


class Secured(World):
    """A broker whose API speaks TLS, and wants a certificate of its clients' authority."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.servers, self.clients = Authority("servers"), Authority("clients")
        self.ca = self.servers.write(root / "servers.crt")
        pair = self.servers.issue(root / "server", "broker")
        config = yaml.safe_load(self.stack.config_file.read_text())
        config["server"]["grpc"]["tls"] = {
            "cert_file": str(pair.certificate),
            "key_file": str(pair.key),
            "client_ca_file": str(self.clients.write(root / "clients.crt")),
        }
        write_private(self.stack.config_file, yaml.safe_dump(config))
        self.own = self.clients.issue(root / "jenkins", "demo", hosts=())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    world = Secured(tmp_path_factory.mktemp("tls"))
    try:
        world.stack.start_broker()
        yield world
    finally:
        world.stop()


def say(  # each test names one of them
    world: Secured,
    what: str = "",
    *,
    tls: str = "tls",
    ca: Path | None = None,
    cert: Path | str | None = None,
    key: Path | str | None = None,
    token: Path | None = None,
    host: str = "127.0.0.1",
) -> str:
    script = world.root / "say.groovy"
    script.write_text(SCRIPT)
    class_path = f"{GROOVY / 'target/test-lib'}/*:{GROOVY / 'target/agentbroker-client.jar'}"
    own_cert = world.own.certificate if cert is None else cert
    files = [ca or world.ca, own_cert, world.own.key if key is None else key, token or world.stack.token_file]
    arguments = [f"{host}:{world.stack.ports.grpc}", tls, *map(str, files), what]
    command = ["java", "-cp", class_path, "groovy.ui.GroovyMain", str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip()


def private(path: Path, text: str, mode: int = 0o600) -> Path:
    write_private(path, text)
    path.chmod(mode)
    return path


def test_a_handshake_over_tls_with_a_certificate_of_ours_tells_the_policies(world: Secured) -> None:
    assert say(world) == SHAKEN


def test_a_wrong_token_is_refused_for_good(world: Secured, tmp_path: Path) -> None:
    token = private(tmp_path / "token", "wrong")
    answer = say(world, token=token)
    assert answer.startswith("UNAUTHENTICATED false refused us")
    assert f"token_file={token} must hold the token" in answer


def test_a_missing_token_file_is_named(world: Secured, tmp_path: Path) -> None:
    answer = say(world, token=tmp_path / "nowhere")
    assert answer == f"UNAUTHENTICATED false not asked token_file={tmp_path}/nowhere does not exist"


def test_a_token_file_that_is_open_to_others_is_not_sent(world: Secured, tmp_path: Path) -> None:
    token = private(tmp_path / "token", world.stack.token, 0o644)
    words = f"token_file={token} is open to others (mode 0644, rw-r--r--); run: chmod 600 {token}"
    assert say(world, token=token) == f"UNAUTHENTICATED false not asked {words}"


def test_a_link_to_a_private_token_file_is_followed_and_the_lines_end_is_not_sent(
    world: Secured, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(private(tmp_path / "token", world.stack.token + "\r\n"))
    assert say(world, token=tmp_path / "link") == SHAKEN


def test_a_key_that_others_can_read_is_not_used(world: Secured, tmp_path: Path) -> None:
    key = private(tmp_path / "key.pem", world.own.key.read_text(), 0o640)
    assert say(world, key=key).startswith(f"unusable: key_file={key} is open to others (mode 0640, rw-r-----)")


def test_a_server_that_the_ca_does_not_know_is_not_talked_to(world: Secured, tmp_path: Path) -> None:
    stranger = Authority("strangers").write(tmp_path / "strangers.crt")
    answer = say(world, ca=stranger)
    assert answer.startswith("UNAVAILABLE true not trusted the broker's certificate is of an authority that is not in ")
    assert f"ca_file={stranger}; it must hold the one that issued server.grpc.tls.cert_file of the broker" in answer


def test_without_a_certificate_of_ours_the_broker_does_not_talk_to_us(world: Secured) -> None:
    answer = say(world, cert="", key="")
    assert answer.startswith("UNAVAILABLE true not ")
    assert re.search("does not take (our certificate: )?none", answer), answer


def test_a_certificate_of_another_authority_is_of_no_use(world: Secured, tmp_path: Path) -> None:
    wrong = Authority("strangers").issue(tmp_path / "wrong", "demo", hosts=())
    answer = say(world, cert=wrong.certificate, key=wrong.key)
    assert answer.startswith("UNAVAILABLE true not ")
    assert re.search(f"does not take (our certificate: )?cert_file={wrong.certificate}", answer), answer


def test_plaintext_to_a_broker_that_speaks_tls_is_said(world: Secured) -> None:
    answer = say(world, tls="plain")
    assert answer.startswith("UNAVAILABLE true not reachable")
    assert answer.endswith("; if it speaks TLS, tls=true is needed")


def test_an_address_that_is_none_is_said(world: Secured) -> None:
    assert "not reachable no such host: nowhere.invalid" in say(world, host="nowhere.invalid")


@pytest.fixture
def other(world: Secured, tmp_path: Path) -> Pair:
    return world.clients.issue(tmp_path / "other", "demo", hosts=())


def test_a_file_of_tls_that_cannot_be_used_is_named_with_its_setting(
    world: Secured, other: Pair, tmp_path: Path
) -> None:
    nowhere, text = tmp_path / "nowhere.pem", tmp_path / "text.pem"
    private(text, "no PEM at all")
    own = world.own
    cases = {
        say(world, ca=nowhere): f"ca_file={nowhere} does not exist",
        say(world, ca=text): f"ca_file={text} holds no certificate in PEM",
        say(world, cert=nowhere): f"cert_file={nowhere} does not exist",
        say(world, cert=text): f"cert_file={text} holds no certificate in PEM",
        say(world, key=nowhere): f"key_file={nowhere} does not exist",
        say(world, key=text): f"key_file={text} is not an RSA or EC key in PEM without a password",
        say(world, key=other.key): f"key_file={other.key} is not the key of cert_file={own.certificate}",
        say(world, key=""): "cert_file and key_file belong together; key_file is not set",
    }
    for answer, words in cases.items():
        assert answer.startswith(f"unusable: {words}")


def test_plaintext_leaves_the_machine_never(world: Secured) -> None:
    assert "for loopback addresses only" in say(world, tls="plain", host="192.0.2.1")


def test_a_stream_beats_and_one_that_does_not_is_dead(world: Secured) -> None:
    first, last = say(world, "watch").splitlines()
    assert first == "resync heartbeat 0 10.0"
    assert last == "UNAVAILABLE true not reachable nothing was heard for 200 ms"
