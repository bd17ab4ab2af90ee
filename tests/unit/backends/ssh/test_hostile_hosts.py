"""What a host prints is the words of a stranger: of builds on it, or of a host that is not what it was."""

import asyncio
import hashlib
import hmac
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from broker.backends.ssh import containers, launching
from broker.backends.ssh.connections import Connections
from broker.backends.ssh.look_script import FIND
from broker.backends.ssh.looking import understand
from broker.backends.ssh.options import HostKeyMode, Init, Reach, Runner
from broker.backends.ssh.ownership import Ownership
from broker.backends.ssh.preparations import Preparations
from broker.backends.ssh.preparing import Order, failure, read
from broker.backends.ssh.shell import FUNCTIONS, PROLOGUE, STARTING, lines_of, masked, script_of
from broker.backends.ssh.transport import Ran
from broker.backends.ssh.trust import HostKeys, NoKeys
from broker.domain.host_order import HostPlace, Preparing
from broker.domain.ids import HostId, HostRef, PoolName
from broker.domain.instance import InstanceState
from broker.errors import BackendRejected
from broker.testing.clock import ManualClock, settle
from broker.testing.factories import make_pool, make_spec, make_template


def sign(text: str) -> str:
    return hmac.new(b"key", text.encode(), hashlib.sha256).hexdigest()


OWNERSHIP = Ownership("0123abcd", sign)
PLACE = HostPlace(
    id=HostId("h-1"),
    pool=make_pool(options={}),
    ref=HostRef("pool/one"),
    address="192.0.2.1",
    facts={"base": f"/root/agentbroker/{OWNERSHIP.folder}", "engine": "/usr/bin/docker"},
)


def agent(name: str, state: str, *lines: str) -> str:
    told = "".join(f"|{line}\n" for line in lines)
    return f"@{name}\n#{state}\n{told}"


@pytest.mark.parametrize("mark", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_what_an_agent_has_printed_says_nothing_of_another(mark: str) -> None:
    forged = json.dumps(["exited", f"victim-1-{OWNERSHIP.folder[:8]}", 1, False, 0, "", "", "", {}, [], []])
    lines = f"bye{mark}%{forged}", f"bye{mark}@victim-1{mark}#ended 1", f"{mark}=looked"
    output = agent("victim-1", "running -") + agent("evil-1", "ended 0", *lines) + "=looked\n"
    looked = understand(output, PLACE, OWNERSHIP)
    assert looked is not None
    assert set(looked.instances) == {"victim-1", "evil-1"}
    assert looked.instances["victim-1"].state is InstanceState.RUNNING
    assert understand(output.removesuffix("=looked\n"), PLACE, OWNERSHIP) is None


@pytest.mark.parametrize(
    "garbage",
    [
        "%no json",
        "%[]",
        "%{}",
        "%null",
        '%["exited", "x-1-y", "a code", false, "much", 1, 2, 3, 4, 5, 6]',
        "%" + "[" * 100_000,
        f"@a-1\n#ended {'9' * 5000}",
        "@a-1\n" * 200_000,
        "\n" * 200_000,
    ],
)
def test_garbage_is_no_answer(garbage: str) -> None:
    assert understand(f"{garbage}\n=looked\n", PLACE, OWNERSHIP) is None


def test_names_that_no_agent_has_are_no_agents() -> None:
    names = "../../etc", "a b-1", "*", "x-1/..", "-rf-1", f"a-{'9' * 5000}", "$(id)-1"
    looked = understand("".join(agent(name, "ended 0") for name in names) + "=looked\n", PLACE, OWNERSHIP)
    assert looked is not None
    assert looked.instances == {}


def test_a_container_without_an_exit_code_is_still_seen() -> None:
    told: list[Any] = ["exited", f"x-1-{OWNERSHIP.folder[:8]}", None, False, 0, "", "", "", {}, [], []]
    looked = understand(f"%{json.dumps(told)}\n=looked\n", PLACE, OWNERSHIP)
    assert looked is not None
    assert looked.instances["x-1"].exit_code is None


def test_lines_end_at_newlines_alone() -> None:
    assert lines_of("a\rb\u2028c\nd\n\ne") == ["a\rb\u2028c", "d", "", "e"]
    assert lines_of("") == []
    assert len(lines_of("\n" * 3_000_000)) == 20_000


# secrets


@pytest.mark.parametrize("cut", range(4, 17))
def test_a_secret_that_is_cut_at_the_end_of_a_line_is_masked_too(cut: int) -> None:
    secrets = {"TOKEN": "correct-horse-ba", "OTHER": "corredor"}
    assert masked(f"token {'correct-horse-ba'[:cut]}", secrets) == "token ***"


def test_what_only_looks_like_the_beginning_of_a_secret_is_shown() -> None:
    assert masked("a correct answer", {"TOKEN": "correct-horse"}) == "a correct answer"
    assert masked("cor", {"TOKEN": "correct-horse"}) == "cor"


def order(**env: str) -> Order:
    return Order(pool=PoolName("pool"), init=Init(script="x", env=env), runner=Runner(), folder="f")


def test_no_word_of_a_failed_preparation_has_a_secret() -> None:
    given = order(TOKEN="correct-horse")
    output = ">it is correct-horse\n!sudo correct-horse\n=engine docker correct-horse 1\n=broken correct-horse\n"
    ran = Ran(code=1, output=output, errors="eval: correct-horse")
    told = read(ran, given)
    for problem in (told, replace(told, problem="")):
        assert "correct" not in f"{failure(problem, ran, given)}"
    assert "correct" not in repr(told)


def test_a_host_that_never_stops_talking_is_told_of_in_few_words() -> None:
    given = order()
    output = f">{'x' * 1_000_000}\n" * 4 + ">line\n" * 100_000 + f"!exit {'9' * 1_000_000}\n"
    ran = Ran(code=1, output=output)
    assert len(str(failure(read(ran, given), ran, given))) < 25_000
    assert len(read(Ran(code=0, output="=java 17 /x\n" * 19_000), given).javas) <= 20


def test_variables_that_the_engine_has_too_are_in_no_command_and_no_script() -> None:
    names = ("DOCKER_AUTH_CONFIG", "GOOGLE_TOKEN", "HTTPS_PROXY", "CONTAINER_TOKEN", "PLAIN")
    template = make_template(image="jenkins/inbound-agent", env={name: f"secret of {name}" for name in names})
    spec = make_spec(template=template)
    script, stdin = launching.script_and_input(spec, PLACE, OWNERSHIP)
    assert "secret of" not in script
    assert all(f"secret of {name}" in stdin.decode() for name in names)
    bad = replace(spec, template=replace(template, env={"GO_KEY": "two\nlines"}))
    with pytest.raises(BackendRejected, match=r"GO_KEY"):
        containers.launch_input(bad)


ENGINE = """#!/bin/sh
[ "$1" = run ] || { [ "$1" = image ]; exit; }
echo "$@" >"$0.argv"
while [ $# -gt 0 ]; do
  if [ "$1" = --env-file ]; then cp "$2" "$0.env"; stat -c %a "$2" >"$0.mode"; fi
  shift
done
env >"$0.own"
"""


def test_variables_that_the_engine_has_too_reach_the_container_by_a_file_of_ours_alone(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    base = f"{tmp_path}/work/{OWNERSHIP.folder}"
    place = replace(PLACE, facts={"base": base, "engine": str(engine)})
    value = """a 'quoted' "$HOME" # \\ value"""
    template = make_template(image="tiny", env={"GO_KEY": value, "DOCKER_HOST": "tcp://x", "PLAIN": "plain"})
    script, stdin = launching.script_and_input(make_spec(template=template), place, OWNERSHIP)
    done = subprocess.run(["/bin/sh", "-c", script], input=stdin, capture_output=True, check=True, timeout=20)
    assert done.stdout == b"=started\n"
    assert f"GO_KEY={value}\nDOCKER_HOST=tcp://x\n" in (tmp_path / "engine.env").read_text()
    assert (tmp_path / "engine.mode").read_text() == "600\n"
    assert "quoted" not in (tmp_path / "engine.argv").read_text()
    own = (tmp_path / "engine.own").read_text()
    assert "PLAIN=plain" in own
    assert "DOCKER_HOST" not in own
    assert list(Path(base, "starting").iterdir()) == []


# what was begun


def found(tmp_path: Path, note: str) -> str:
    notes = tmp_path / "work" / "f" / "starting"
    notes.mkdir(parents=True, exist_ok=True)
    (notes / f"abc.{os.getpid()}").write_text(note)
    script = script_of(FIND, work=str(tmp_path / "work"), folder="f", engine="", launch="abc", mark="abc")
    return subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True, timeout=20).stdout.decode()


def test_a_launch_is_under_way_while_the_process_that_noted_it_runs_and_not_while_another_has_its_number(
    tmp_path: Path,
) -> None:
    script = f"{FUNCTIONS}began {os.getpid()}\nprintf '%s %s %s\\n' {os.getpid()} $began $boot\n"
    note = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True).stdout.decode()
    assert "!starting" in found(tmp_path, note)
    number, began, boot = note.split()
    assert found(tmp_path, f"{number} {int(began) + 1} {boot}\n") == "=looked\n"
    assert found(tmp_path, f"{number} {began} another-boot\n") == "=looked\n"


def test_a_note_of_a_launch_is_whole_when_it_is_there_and_gone_after_it(tmp_path: Path) -> None:
    script = script_of(
        f'{PROLOGUE}mkdir -p "$base/starting"\n{STARTING}ls -A "$base/starting"\nalive "$started" && echo alive\n',
        work=str(tmp_path),
        folder="f",
        launch="abc",
    )
    told = subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True).stdout.decode()
    assert told.startswith("abc.")
    assert told.endswith("\nalive\n")
    assert list((tmp_path / "f" / "starting").iterdir()) == []


# preparation


class Answering:
    """A transport that answers at once, always the same."""

    def __init__(self, output: str) -> None:
        self.output, self.count = output, 0

    async def run(
        self,
        place: HostPlace,
        script: str,
        *,
        stdin: bytes = b"",
        limit_s: float,
        heard: Callable[[str], None] | None = None,
    ) -> Ran:
        self.count += 1
        return Ran(code=0, output=self.output)

    async def forget(self, host: HostId) -> None:
        return

    async def close(self) -> None:
        return


async def test_a_host_that_always_says_that_it_goes_on_is_asked_at_a_pace() -> None:
    clock, transport = ManualClock(settle=settle), Answering("~\n")
    preparations = Preparations(clock, transport, NoKeys(), "f")
    assert isinstance(preparations.ask(PLACE), Preparing)
    await clock.advance(10.0)
    assert 15 <= transport.count <= 25
    await preparations.close()


def prepare_command(tmp_path: Path) -> tuple[list[str], bytes]:
    script = f"#!/bin/sh\necho ran >>{tmp_path}/ran\nsleep 0.5\n"
    runner = Runner(work_dir=str(tmp_path / "work"), java=sys.executable, engine="none")
    one = Order(pool=PoolName("pool"), init=Init(script=script, env={"A": "b"}), runner=runner, folder="f")
    return ["/bin/sh", "-c", one.script()], one.stdin


async def test_of_brokers_that_prepare_a_host_at_once_one_runs_the_init_script(tmp_path: Path) -> None:
    async def prepare() -> str:
        output = "~"
        command, stdin = prepare_command(tmp_path)  # each with a nonce of its own
        while "~" in output.splitlines():
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            output = (await process.communicate(stdin))[0].decode()
        return output

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        tasks = [group.create_task(prepare(), name=f"broker-{n}") for n in range(8)]
    assert ["=ready" in task.result() for task in tasks] == [True] * 8, [task.result() for task in tasks]
    assert (tmp_path / "ran").read_text() == "ran\n"
    assert {one.name for one in (tmp_path / "work").glob("f/init/*/env")} == set()


# trust


class Noted(Connections):
    """Connects to nobody, and notes with which keys it would."""

    asked: list[tuple[str, tuple[str, ...]]]

    async def _connect(self, reach: Reach, keys: tuple[str, ...], shown: Any, tunnel: Any) -> Any:
        self.asked.append((reach.address, keys))
        return SimpleNamespace(is_closed=lambda: False, abort=lambda: None)


async def test_a_jump_host_whose_key_is_pinned_is_not_gone_through_as_it_was_believed_before() -> None:
    believed = Reach(address="192.0.2.9", host_key=HostKeyMode.ACCEPT_NEW)
    pinned = replace(believed, host_key=HostKeyMode.PINNED, pinned=("ssh-ed25519 AAAA",))
    jumps = {"h-1": believed, "h-2": pinned, "h-3": pinned}

    def reach_of(place: HostPlace) -> Reach:
        return Reach(address=place.address, host_key=HostKeyMode.ACCEPT_NEW, jump=jumps[place.id])

    connections = Noted(ManualClock(settle=settle), HostKeys(reach_of), reach_of)
    connections.asked = []
    for name in jumps:
        await connections.take(replace(PLACE, id=HostId(name)))
    assert [keys for address, keys in connections.asked if address == "192.0.2.9"] == [(), ("ssh-ed25519 AAAA",)]
