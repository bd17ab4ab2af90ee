"""What a host printed, as instances."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.backends.ssh.looking import understand
from broker.backends.ssh.over_ssh import command_of
from broker.backends.ssh.ownership import Ownership, name_of, parse_ref
from broker.domain.host_order import HostPlace
from broker.domain.ids import HostId, HostRef
from broker.domain.instance import InstanceState
from broker.errors import BackendRejected
from broker.testing.factories import agent_name, make_key, make_pool

OWN = Ownership("installation", lambda text: f"signed {len(text)} {hash(text)}")
PLACE = HostPlace(id=HostId("h-1"), pool=make_pool(), ref=HostRef("i-1"), address="10.0.0.1")
NAME = name_of(make_key(), agent_name())


def marks(host: str = "h-1") -> dict[str, str]:
    return OWN.marks(make_key(), NAME, host)


def directory(state: str, host: str = "h-1") -> str:
    return f"@{NAME}\n" + "".join(f"={name}={value}\n" for name, value in marks(host).items()) + f"#{state}\n"


def container(*state: object) -> str:
    told = [*state, None, None, "", marks(), ["JENKINS_SECRET=hidden"], ["-secret", "other"]]
    return f"%{json.dumps(told)}\n"


def test_an_answer_that_is_cut_off_says_nothing() -> None:
    assert understand(directory("running -"), PLACE, OWN) is None


def test_a_directory_whose_marks_are_of_another_host_is_not_ours() -> None:
    looked = understand(directory("running -", host="h-2") + "=looked\n", PLACE, OWN)
    assert looked is not None
    assert looked.unsigned == {NAME}


@pytest.mark.parametrize(
    ("told", "state", "code"),
    [
        ("made -", InstanceState.PENDING, None),
        ("running -", InstanceState.RUNNING, None),
        ("ending 3", InstanceState.STOPPING, 3),
        ("ended 3", InstanceState.STOPPED, 3),
        ("ended -", InstanceState.STOPPED, None),
        ("what is this", InstanceState.RUNNING, None),
    ],
)
def test_a_state_is_one_of_ours_and_an_unknown_one_is_taken_to_run(
    told: str, state: InstanceState, code: int | None
) -> None:
    looked = understand(directory(told) + "=looked\n", PLACE, OWN)
    assert looked is not None
    assert (looked.instances[NAME].state, looked.instances[NAME].exit_code) == (state, code)
    assert looked.instances[NAME].agent_id == make_key().agent_id


def test_the_lines_of_a_container_are_without_its_secrets() -> None:
    name = f"{NAME}-{OWN.folder[:8]}"
    output = container("exited", f"/{name}", 137, False, 64 << 20) + "|it is hidden\n|and other\n\n=looked\n"
    looked = understand(output, PLACE, OWN)
    assert looked is not None
    seen = looked.instances[NAME]
    assert seen.last_lines == ("it is ***", "and ***")
    assert seen.message == "killed (out of memory, its limit is 64 MiB; or by a person)"


def test_an_engine_that_does_not_answer_is_told() -> None:
    looked = understand("!engine no daemon\n=looked\n", PLACE, OWN)
    assert looked is not None
    assert looked.broken == "no daemon"
    assert looked.instances == {}


@pytest.mark.parametrize("line", ["%[1, 2]", "%{", "%[[[[", "%null"])
def test_an_answer_with_a_line_that_nobody_understands_says_nothing(line: str) -> None:
    assert understand(f"{line}\n=looked\n", PLACE, OWN) is None


@given(st.text(max_size=200))
def test_nothing_that_a_host_prints_is_a_crash(text: str) -> None:
    understand(f"{text}\n=looked\n", PLACE, OWN)


def test_only_what_is_called_as_ours_is_a_reference() -> None:
    assert parse_ref(f"h-1/{NAME}") == ("h-1", NAME)
    for ref in (
        "",
        "h-1",
        "h-1/",
        "/a-1",
        "h-1/../a-1",
        "h-1/.wipe-a-1",
        "h-1/a",
        "h-1/a b-1",
        "h-1/a-1\n",
        "h-1/$(x)-1",
    ):
        assert parse_ref(ref) is None


def test_a_script_that_no_host_can_take_is_refused() -> None:
    with pytest.raises(BackendRejected, match="bytes at once"):
        command_of("x" * 90_001)
