"""What an agent is given, and the script that starts agent.jar where the image has nothing that would."""

import itertools
import os
import shutil
import subprocess
import sys
from ast import literal_eval
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from broker.backends.bootstrap import HOME, SCRIPT, Start, start_of, work_dir
from broker.domain.template import Inject
from broker.ports import LaunchSpec
from broker.testing.factories import make_spec, make_template

FETCHER = """
import sys, urllib.request
where = next(sys.argv[n + 1] for n, word in enumerate(sys.argv) if word in {"-o", "-O"})
url = next(word for word in sys.argv if word.startswith("http"))
open(where, "wb").write(urllib.request.urlopen(url).read())
"""
"""Stands in for curl or wget on a machine that has none of it."""


def spec_with(**changes: object) -> LaunchSpec:
    return make_spec(template=make_template(image="acme/agent", **changes))


def said(start: Start) -> str:
    return " ".join([*(start.entrypoint or ()), *start.arguments])


@pytest.mark.parametrize("inject", [Inject.ENV, Inject.SCRIPT])
def test_a_secret_goes_by_environment_and_never_by_argument(inject: Inject) -> None:
    spec = spec_with(inject=inject)
    start = start_of(spec)
    assert start.environment["JENKINS_SECRET"] == spec.secret
    assert spec.secret not in said(start)
    assert spec.secret not in repr(start)


def test_the_stock_entrypoint_is_given_all_that_it_reads() -> None:
    spec = spec_with(env={"TZ": "UTC", "MAVEN_OPTS": "-Xmx1g", "JENKINS_URL": "http://elsewhere/"})
    start = start_of(spec)
    assert start.entrypoint is None
    assert start.arguments == ()
    assert start.environment == {
        "TZ": "UTC",
        "MAVEN_OPTS": "-Xmx1g",
        "JENKINS_URL": spec.url,
        "JENKINS_AGENT_NAME": spec.name,
        "JENKINS_SECRET": spec.secret,
        "JENKINS_AGENT_WORKDIR": HOME,
        "JENKINS_WEB_SOCKET": "true",
        "REMOTING_OPTS": "-noReconnectAfter 10m",
    }


def test_args_are_agent_jar_s_own_options() -> None:
    spec = spec_with(inject=Inject.ARGS)
    assert " ".join(start_of(spec).arguments) == (
        f"-url {spec.url} -secret {spec.secret} -name {spec.name} -webSocket -workDir {HOME} -noReconnectAfter 10m"
    )
    assert "JENKINS_SECRET" not in start_of(spec).environment


def test_legacy_is_what_older_images_were_given() -> None:
    spec = spec_with(inject=Inject.LEGACY)
    start = start_of(spec)
    assert start.arguments[:2] == ("-url", spec.url)
    assert start.arguments[-2:] == (spec.secret, spec.name)
    assert start.environment == {"SLAVE_NODE_NAME": spec.name, "SLAVE_NODE_SECRET": spec.secret}


def test_a_command_is_started_by_the_script() -> None:
    start = start_of(spec_with(), ("/opt/agent", "-v"))
    assert start.entrypoint == ("/bin/sh", "-c", SCRIPT, "agentbroker")
    assert start.arguments == ("/opt/agent", "-v")


@pytest.mark.parametrize(
    ("remote_fs", "expected"), [("", HOME), ("ws", f"{HOME}/ws"), ("/data/jenkins", "/data/jenkins")]
)
def test_a_relative_remote_fs_is_below_the_agent_s_own_directory(remote_fs: str, expected: str) -> None:
    assert work_dir(make_spec(template=make_template(remote_fs=remote_fs))) == expected


@pytest.mark.parametrize(
    ("remote_fs", "expected"),
    [
        ("", f"{HOME}/linux-1"),
        ("work", f"{HOME}/work/linux-1"),
        ("/srv/agents/", "/srv/agents/linux-1"),
        ("C:\\jenkins", "C:\\jenkins\\linux-1"),
        ("C:/jenkins", "C:/jenkins/linux-1"),
    ],
)
def test_an_agent_with_a_directory_of_its_own_works_in_one_called_as_it_is(remote_fs: str, expected: str) -> None:
    spec = make_spec(template=make_template(remote_fs=remote_fs, unique_remote_fs=True))
    expected = expected.replace("linux-1", spec.name)
    assert work_dir(spec) == expected
    assert start_of(spec).environment["JENKINS_AGENT_WORKDIR"] == expected


class Place:
    """A directory that plays the image: programs of its own first on the PATH, and what they note."""

    def __init__(self, root: Path, url: str = "http://127.0.0.1:9/c/main/") -> None:
        self.root = root
        self.url = url
        (root / "bin").mkdir()

    def program(self, name: str) -> None:
        """A program that notes its arguments, its directory, its environment and the file that holds the secret."""
        noted = [
            "#!/bin/sh",
            f'printf "%s\\n" "$@" >{self.root}/arguments',
            f"pwd >{self.root}/directory",
            f"env >{self.root}/env",
            f'for word; do case $word in @*) ls -l "${{word#@}}"; cat "${{word#@}}";; esac; done >{self.root}/secret',
        ]
        (self.root / "bin" / name).write_text("\n".join(noted))
        (self.root / "bin" / name).chmod(0o755)

    def link(self, name: str) -> bool:
        """A program of the machine; says whether there is one."""
        found = shutil.which(name)
        if found is not None:
            (self.root / "bin" / name).symlink_to(found)
        return found is not None

    def run(self, *command: str, path: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.root}/bin:{os.environ['PATH']}" if path is None else path
        given = {
            "PATH": path,
            "TMPDIR": str(self.root),
            "JENKINS_URL": self.url,
            "JENKINS_SECRET": "canary-4711",
            "JENKINS_AGENT_NAME": "linux-1",
            "JENKINS_AGENT_WORKDIR": str(self.root / "work"),
            "JENKINS_WEB_SOCKET": "true",
            "REMOTING_OPTS": "-noReconnectAfter 10m",
        }
        words = ["/bin/sh", "-c", SCRIPT, "agentbroker", *command]
        return subprocess.run(
            words, env=given | environment, capture_output=True, text=True, check=False, timeout=60, cwd=self.root
        )

    def noted(self, what: str) -> list[str]:
        return (self.root / what).read_text().splitlines()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_script_gives_a_command_the_options_of_agent_jar(place: Place) -> None:
    place.program("agent")
    done = place.run("agent", "first", "two words")
    assert done.returncode == 0, done.stderr
    words = place.noted("arguments")
    assert words[:2] == ["first", "two words"]
    assert words[2:5] == ["-webSocket", "-url", place.url]
    assert words[5] == "-secret"
    assert words[7:] == ["-name", "linux-1", "-workDir", f"{place.root}/work", "-noReconnectAfter", "10m"]
    assert place.noted("directory") == [f"{place.root}/work"]


def test_the_script_keeps_the_secret_from_arguments_and_environment(place: Place) -> None:
    place.program("agent")
    place.run("agent")
    assert "canary-4711" not in "".join(place.noted("arguments") + place.noted("env"))
    listed, secret = place.noted("secret")
    assert secret == "canary-4711"
    assert listed.startswith("-rw-------")


def test_the_script_starts_the_jar_that_the_image_has(place: Place) -> None:
    place.program("java")
    (place.root / "agent.jar").write_text("jar")
    done = place.run(JENKINS_AGENT_FILE=f"{place.root}/agent.jar", JENKINS_JAVA_OPTS="-Xmx64m -Xss1m", JAVA_HOME="")
    assert done.returncode == 0, done.stderr
    assert place.noted("arguments")[:4] == ["-Xmx64m", "-Xss1m", "-jar", f"{place.root}/agent.jar"]


@pytest.fixture
def jar_server() -> Iterator[str]:
    """A gateway that serves agent.jar; the first time it says that the controller is away."""
    answers = iter([503])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = next(answers, 200) if self.path == "/c/main/jnlpJars/agent.jar" else 404
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"the jar" if status == 200 else b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/c/main/"
        server.shutdown()


@pytest.mark.parametrize("fetcher", ["curl", "wget"])
def test_the_script_fetches_the_jar_through_the_gateway_until_it_is_there(
    tmp_path: Path, jar_server: str, fetcher: str
) -> None:
    place = Place(tmp_path, jar_server)
    place.program("java")
    for program in ("mkdir", "sleep", "ls", "cat", "env"):
        place.link(program)
    if not place.link(fetcher):
        (tmp_path / "bin" / fetcher).write_text(f"#!{sys.executable}\n{FETCHER}")
        (tmp_path / "bin" / fetcher).chmod(0o755)
    done = place.run(path=f"{tmp_path}/bin", JENKINS_AGENT_FILE=f"{tmp_path}/none.jar")
    assert done.returncode == 0, done.stderr
    (jar,) = tmp_path.glob("agentbroker-*/agent.jar")
    assert jar.read_text() == "the jar"
    assert place.noted("arguments")[:2] == ["-jar", str(jar)]


def test_the_script_says_what_is_missing_where_nothing_can_be_fetched(place: Place) -> None:
    for program in ("mkdir", "sleep"):
        place.link(program)
    done = place.run(path=f"{place.root}/bin", JENKINS_AGENT_FILE=f"{place.root}/none.jar")
    assert done.returncode == 69
    assert "neither curl nor wget" in done.stderr
    assert f"{place.url}jnlpJars/agent.jar" in done.stderr


IDENTITY = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"
INJECTS = pytest.mark.parametrize("inject", list(Inject))


def words_of(start: Start) -> str:
    """All that an agent is given, as a command line and an environment."""
    return " ".join([*start.arguments, *(f"{name}={value}" for name, value in start.environment.items())])


@INJECTS
def test_a_direct_agent_gets_its_tunnel_in_the_words_of_its_image(inject: Inject) -> None:
    given = replace(spec_with(inject=inject), url="https://ci/", websocket=False, tunnel="nlb:50000")
    said_to_it = words_of(start_of(given))
    by_variable = inject in {Inject.ENV, Inject.SCRIPT}
    assert ("JENKINS_TUNNEL=nlb:50000" if by_variable else "-url https://ci/ -tunnel nlb:50000") in said_to_it
    assert "WEB_SOCKET" not in said_to_it
    assert "-webSocket" not in said_to_it


@INJECTS
def test_a_direct_agent_with_an_identity_is_given_no_url_to_ask(inject: Inject) -> None:
    given = replace(spec_with(inject=inject), url="https://ci/", websocket=False, tunnel="nlb:50000", identity=IDENTITY)
    start = start_of(given)
    said_to_it = words_of(start)
    if inject in {Inject.ENV, Inject.SCRIPT}:
        assert start.environment["JENKINS_DIRECT_CONNECTION"] == "nlb:50000"
        assert start.environment["JENKINS_INSTANCE_IDENTITY"] == IDENTITY
    else:
        assert f"-direct nlb:50000 -instanceIdentity {IDENTITY}" in said_to_it
        assert "-url" not in said_to_it
    assert "TUNNEL" not in said_to_it
    assert ("JENKINS_URL" in start.environment) is (inject is Inject.SCRIPT)  # which fetches the jar there


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tunnel": "nlb:50000"}, ["-url", "https://ci/", "-tunnel", "nlb:50000"]),
        ({"tunnel": "nlb:50000", "identity": IDENTITY}, ["-direct", "nlb:50000", "-instanceIdentity", IDENTITY]),
        ({"websocket": True}, ["-webSocket", "-url", "https://ci/"]),
    ],
)
def test_the_script_starts_a_direct_agent_as_agent_jar_takes_it(
    changes: dict[str, object], expected: list[str], tmp_path: Path
) -> None:
    given = replace(spec_with(inject=Inject.SCRIPT), url="https://ci/", **{"websocket": False, **changes})  # type: ignore[arg-type]
    start = start_of(given, ("/bin/echo",))
    assert start.entrypoint is not None
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), **start.environment}
    environment["JENKINS_AGENT_WORKDIR"] = str(tmp_path)
    done = subprocess.run(
        [*start.entrypoint, *start.arguments], capture_output=True, text=True, timeout=30, check=True, env=environment
    )
    printed = done.stdout.split()
    assert printed[: len(expected)] == expected
    assert given.secret not in done.stdout


PEMS = (
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\nBB\n-----END CERTIFICATE-----\n",
)


@INJECTS
def test_a_private_ca_is_handed_on_certificate_by_certificate(inject: Inject) -> None:
    start = start_of(replace(spec_with(inject=inject), authorities=PEMS))
    if inject is Inject.SCRIPT:
        assert start.environment["AGENTBROKER_CA"] == "".join(PEMS)
        assert "-cert" not in start.arguments
    else:
        given = [after for word, after in zip(start.arguments, start.arguments[1:], strict=False) if word == "-cert"]
        assert tuple(given) == PEMS
        assert "AGENTBROKER_CA" not in start.environment


@INJECTS
def test_without_a_private_ca_nothing_is_said_of_one(inject: Inject) -> None:
    start = start_of(spec_with(inject=inject))
    assert "-cert" not in start.arguments
    assert "AGENTBROKER_CA" not in start.environment


def test_the_script_gives_each_certificate_to_the_agent_and_keeps_none_in_its_environment(tmp_path: Path) -> None:
    start = start_of(replace(spec_with(inject=Inject.SCRIPT), authorities=PEMS), ("/usr/bin/env", "--", sys.executable))
    assert start.entrypoint is not None
    program = "import os, sys; print([sys.argv[1:], 'AGENTBROKER_CA' in os.environ])"
    start = replace(start, arguments=(sys.executable, "-c", program))
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), **start.environment}
    environment["JENKINS_AGENT_WORKDIR"] = str(tmp_path)
    words = [*(start.entrypoint or ()), *start.arguments]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True, env=environment)
    arguments, left = literal_eval(done.stdout)
    assert [after for word, after in itertools.pairwise(arguments) if word == "-cert"] == list(PEMS)
    assert not left
