"""What the fake's images make of variables and arguments."""

from pathlib import Path

from broker.demo.clouds.images import Process, process_of


def made(
    home: Path, environment: dict[str, str], command: tuple[str, ...] = (), entry_point: tuple[str, ...] = ()
) -> Process:
    """What is started."""
    return process_of(
        entry_point=entry_point,
        command=command,
        environment=environment,
        agent=("java", "-jar", "agent.jar"),
        home=home,
    )


def test_variables_become_the_options_of_the_agent_and_the_secret_a_file(tmp_path: Path) -> None:
    process = made(
        tmp_path,
        {
            "JENKINS_URL": "https://gateway/c/ci/",
            "JENKINS_AGENT_NAME": "a1",
            "JENKINS_SECRET": "s3cret",
            "JENKINS_AGENT_WORKDIR": "/home/jenkins/agent/work",
            "JENKINS_WEB_SOCKET": "true",
            "REMOTING_OPTS": "-noReconnectAfter 10m",
            "TEAM": "ci",
        },
    )
    assert process.argv == (
        *("java", "-jar", "agent.jar", "-secret", f"@{tmp_path}/secret", "-name", "a1", "-webSocket"),
        *("-url", "https://gateway/c/ci/", "-workDir", f"{tmp_path}/work", "-noReconnectAfter", "10m"),
    )
    assert (tmp_path / "secret").read_text() == "s3cret\n"
    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0
    assert process.environment["TEAM"] == "ci"
    assert "s3cret" not in str(process)


def test_arguments_with_a_dash_go_behind_the_variables(tmp_path: Path) -> None:
    process = made(tmp_path, {"JENKINS_URL": "https://gateway/"}, ("-cert", "PEM"))
    assert process.argv[3:] == ("-url", "https://gateway/", "-cert", "PEM")


def test_a_direct_connection_takes_the_place_of_the_url(tmp_path: Path) -> None:
    given = {"JENKINS_DIRECT_CONNECTION": "host:50000", "JENKINS_INSTANCE_IDENTITY": "key", "JENKINS_URL": "https://x/"}
    assert made(tmp_path, given).argv[3:] == ("-direct", "host:50000", "-instanceIdentity", "key")


def test_an_entrypoint_of_its_own_and_another_command_are_run_as_they_are(tmp_path: Path) -> None:
    given = {"JENKINS_SECRET": "s3cret"}
    assert made(tmp_path, given, ("echo",), ("/bin/sh", "-c")).argv == ("/bin/sh", "-c", "echo")
    assert made(tmp_path, given, ("sleep", "5")).argv == ("sleep", "5")
