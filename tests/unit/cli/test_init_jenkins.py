"""`agentbroker init jenkins`: installs, repeats and uninstalls without a trace."""

import hashlib
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker import jenkins_files
from broker.cli.init import init
from broker.cli.jenkins_home import PROPERTIES, TOKEN, read_properties


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source tree with a client jar."""
    for name in (
        "init.groovy.d/agentbroker.groovy",
        "src/Cloud.groovy",
        "src/test/Fake.groovy",
        "src/main/java/A.java",
    ):
        (tmp_path / "clone/groovy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clone/groovy" / name).write_text(name)
    (tmp_path / "clone/groovy/target").mkdir()
    (tmp_path / "clone/groovy/target/agentbroker-client.jar").write_bytes(b"jar")
    monkeypatch.setattr(jenkins_files, "_PACKAGE", tmp_path / "clone/broker")
    return tmp_path / "clone"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which somebody else's files are."""
    for name in ("config.xml", "secrets/master.key", "init.groovy.d/other.groovy"):
        (tmp_path / "home" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "home" / name).write_text(name)
    return tmp_path / "home"


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(init, ["jenkins", "--home", str(home), *arguments])


def tree(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("clone")
def test_it_installs_sources_jar_properties_and_a_private_token_and_says_so(home: Path) -> None:
    result = run(home, "--broker", "127.0.0.1:7071")
    assert result.exit_code == 0, result.output
    new = tree(home).keys() - {"config.xml", "secrets/master.key", "init.groovy.d/other.groovy"}
    assert new == {
        "init.groovy.d/agentbroker.groovy",
        "agentbroker/src/Cloud.groovy",
        "agentbroker/lib/agentbroker-client.jar",
        "agentbroker/files.sha256",
        "agentbroker/agentbroker.properties",
        "secrets/agentbroker.token",
    }
    assert (home / TOKEN).stat().st_mode & 0o777 == 0o600
    for written in ("agentbroker.groovy", "agentbroker-client.jar", "agentbroker.properties", "agentbroker.token"):
        assert f"{written}" in result.output
    assert (home / TOKEN).read_text() not in result.output


@pytest.mark.usefixtures("clone")
def test_a_secret_is_for_the_homes_user_alone_from_the_moment_it_is_there(home: Path) -> None:
    (home / "secrets/master.key").unlink()
    (home / "secrets").rmdir()
    before = os.umask(0)
    try:
        assert run(home, "--broker", "127.0.0.1:7071").exit_code == 0
    finally:
        os.umask(before)
    assert (home / "secrets").stat().st_mode & 0o777 == 0o700
    assert (home / TOKEN).stat().st_mode & 0o777 == 0o600
    (home / TOKEN).chmod(0o644)
    assert run(home).exit_code == 0
    assert (home / TOKEN).stat().st_mode & 0o777 == 0o600, "one that was opened by hand is closed again"


@pytest.mark.usefixtures("clone")
def test_what_belongs_together_is_written_down_as_sha256sum_reads_it(home: Path) -> None:
    assert run(home, "--broker", "127.0.0.1:7071").exit_code == 0
    lines = [line.split("  ") for line in (home / "agentbroker/files.sha256").read_text().splitlines()]
    names = {
        "agentbroker/lib/agentbroker-client.jar",
        "agentbroker/src/Cloud.groovy",
        "init.groovy.d/agentbroker.groovy",
    }
    assert {name for _, name in lines} == names
    assert all(digest == hashlib.sha256((home / name).read_bytes()).hexdigest() for digest, name in lines)


@pytest.mark.usefixtures("clone")
def test_a_second_run_keeps_token_and_properties_and_takes_new_sources(clone: Path, home: Path) -> None:
    run(home, "--broker", "127.0.0.1:7071", "--cloud", "mine")
    before = tree(home)
    (clone / "groovy/src/Cloud.groovy").rename(clone / "groovy/src/Renamed.groovy")
    assert run(home).exit_code == 0
    after = tree(home)
    assert after[str(PROPERTIES)] == before[str(PROPERTIES)]
    assert after[str(TOKEN)] == before[str(TOKEN)]
    assert [name for name in after if name.startswith("agentbroker/src")] == ["agentbroker/src/Renamed.groovy"]


@pytest.mark.usefixtures("clone")
def test_flags_of_a_second_run_win(home: Path) -> None:
    run(home, "--broker", "127.0.0.1:7071", "--cloud", "mine")
    run(home, "--broker", "127.0.0.1:9999")
    values = read_properties(home / PROPERTIES)
    assert (values["broker"], values["name"], values["tls"]) == ("127.0.0.1:9999", "mine", "false")


@pytest.mark.usefixtures("clone")
def test_tls_is_off_on_loopback_only(home: Path) -> None:
    run(home, "--broker", "broker.example.com:7071")
    assert read_properties(home / PROPERTIES)["tls"] == "true"


@pytest.mark.usefixtures("clone")
def test_a_given_token_is_installed(home: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    run(home, "--broker", "127.0.0.1:7071", "--token-file", str(tmp_path / "token"))
    assert (home / TOKEN).read_text() == "abc"


@pytest.mark.usefixtures("clone")
def test_removing_leaves_the_home_as_it_was_however_often(home: Path) -> None:
    before = tree(home)
    run(home, "--broker", "127.0.0.1:7071")
    assert run(home, "--remove").exit_code == 0
    assert tree(home) == before
    assert "nothing of agentbroker" in run(home, "--remove").output


@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize("arguments", [[], ["--broker", "nowhere"]])
def test_without_a_sound_address_it_says_what_it_needs(home: Path, arguments: list[str]) -> None:
    before = tree(home)
    result = run(home, *arguments)
    assert result.exit_code != 0
    assert "--broker" in f"{result.output}{result.exception}"
    assert tree(home) == before


def test_without_a_client_jar_it_says_how_to_build_one(clone: Path, home: Path) -> None:
    (clone / "groovy/target/agentbroker-client.jar").unlink()
    before = tree(home)
    result = run(home, "--broker", "127.0.0.1:7071")
    assert "make jar" in f"{result.output}{result.exception}"
    assert tree(home) == before


@pytest.mark.usefixtures("clone")
def test_a_certificate_of_jenkins_and_its_key_are_noted_together(home: Path, tmp_path: Path) -> None:
    for name in ("ca.crt", "jenkins.crt", "jenkins.key"):
        (tmp_path / name).write_text(name)
    files = ["--ca-file", str(tmp_path / "ca.crt"), "--cert-file", str(tmp_path / "jenkins.crt")]
    broker = ["--broker", "broker.example.com:7071"]
    assert run(home, *broker, *files).exit_code == 2
    assert run(home, *broker, *files, "--key-file", str(tmp_path / "jenkins.key")).exit_code == 0
    values = read_properties(home / PROPERTIES)
    names = ("ca.crt", "jenkins.crt", "jenkins.key")
    assert [values[key] for key in ("ca_file", "cert_file", "key_file")] == [str(tmp_path / name) for name in names]


@pytest.mark.usefixtures("clone")
def test_the_older_name_of_the_authority_is_taken_over(home: Path) -> None:
    assert run(home, "--broker", "broker.example.com:7071").exit_code == 0
    older = (home / PROPERTIES).read_text().replace("ca_file=", "ca=/etc/ca.pem")
    (home / PROPERTIES).write_text(older)
    assert run(home).exit_code == 0
    values = read_properties(home / PROPERTIES)
    assert (values["ca_file"], "ca" in values) == ("/etc/ca.pem", False)


def test_each_further_broker_has_properties_and_a_token_of_its_own(clone: Path, home: Path) -> None:
    before = tree(home)
    run(home, "--broker", "127.0.0.1:7071")
    assert run(home, "--name", "eu", "--broker", "127.0.0.1:8071").exit_code == 0
    eu = home / "agentbroker/agentbroker-eu.properties"
    assert read_properties(home / PROPERTIES)["name"] == "agentbroker"
    assert (read_properties(eu)["name"], read_properties(eu)["broker"]) == ("eu", "127.0.0.1:8071")
    token = home / "secrets/agentbroker-eu.token"
    assert read_properties(eu)["token_file"] == "$JENKINS_HOME/secrets/agentbroker-eu.token"
    assert (token.stat().st_mode & 0o777, token.read_text() != (home / TOKEN).read_text()) == (0o600, True)
    (clone / "groovy/src/Cloud.groovy").write_text("newer")
    both = {path: path.read_text() for path in (eu, token, home / PROPERTIES, home / TOKEN)}
    assert run(home).exit_code == 0
    assert run(home, "--name", "eu").exit_code == 0
    assert both == {path: path.read_text() for path in both}
    assert run(home, "--remove", "--name", "eu").exit_code == 0
    assert (eu.exists(), token.exists(), (home / TOKEN).exists()) == (False, False, True)
    assert "no broker 'eu'" in run(home, "--remove", "--name", "eu").output
    run(home, "--name", "eu", "--broker", "127.0.0.1:8071")
    assert run(home, "--remove").exit_code == 0
    assert tree(home) == before


@pytest.mark.usefixtures("clone")
def test_the_last_broker_that_is_removed_takes_all_with_it(home: Path) -> None:
    before = tree(home)
    assert run(home, "--name", "eu", "--broker", "127.0.0.1:8071").exit_code == 0
    assert not (home / PROPERTIES).exists()
    assert run(home).exit_code == 0, "renewing the files needs no first broker"
    assert not (home / PROPERTIES).exists()
    assert run(home, "--remove", "--name", "eu").exit_code == 0
    assert tree(home) == before


@pytest.mark.usefixtures("clone")
def test_a_name_that_no_cloud_can_have_is_refused(home: Path) -> None:
    before = tree(home)
    result = run(home, "--name", "../eu", "--broker", "127.0.0.1:8071")
    assert "--name '../eu'" in str(result.exception)
    assert tree(home) == before
