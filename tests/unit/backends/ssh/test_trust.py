"""Which host keys are believed."""

from pathlib import Path

import pytest

from broker.backends.ssh.options import HostKeyMode, Reach
from broker.backends.ssh.trust import HostKeys, keys_in, pinned_keys
from broker.domain.host_order import HostPlace
from broker.domain.ids import HostId, HostRef
from broker.domain.reason import Reason
from broker.errors import BackendRejected
from broker.testing.factories import make_pool

ED = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGjDNdXTqYlvLjYJd1sSUUOXCEBp9i4YdRsY0aCPzzWd"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIBBCdGuxBmGTRXRQMLcnlHHkQrYjlmoPCFv3JkkBl2d"
CONSOLE = f"""\
[   12.3] kernel: something\r
-----BEGIN SSH HOST KEY FINGERPRINTS-----\r
256 SHA256:xyz root@host (ED25519)\r
-----END SSH HOST KEY FINGERPRINTS-----\r
-----BEGIN SSH HOST KEY KEYS-----\r
{ED} root@host\r
[   12.4] kernel: in between\r
-----END SSH HOST KEY KEYS-----\r
host login: """


def place(host_key: str = "") -> HostPlace:
    return HostPlace(id=HostId("h-1"), pool=make_pool(), ref=HostRef("i-1"), address="10.0.0.1", host_key=host_key)


def reach(mode: HostKeyMode, **changes: object) -> Reach:
    return Reach(address="10.0.0.1", host_key=mode, **changes)  # type: ignore[arg-type]  # the caller's


def test_the_keys_of_a_console_are_those_between_the_last_whole_marks() -> None:
    assert keys_in(CONSOLE) == (ED,)
    assert keys_in(CONSOLE.replace("-----END SSH HOST KEY KEYS-----", "")) == ()
    assert keys_in("") == ()
    second = CONSOLE.replace(ED, OTHER)
    assert keys_in(CONSOLE + second) == (OTHER,)


async def test_the_console_is_asked_until_it_has_told_the_keys_once() -> None:
    said = ["", "boots", CONSOLE]
    asked: list[str] = []

    async def console(of: HostPlace) -> str:
        asked.append(of.id)
        return said[len(asked) - 1]

    trust = HostKeys(lambda _: reach(HostKeyMode.FROM_CONSOLE), console)
    assert await trust.keys(place()) is None
    assert await trust.keys(place()) is None
    assert await trust.keys(place()) == (ED,)
    assert await trust.keys(place()) == (ED,)
    assert len(asked) == 3


async def test_without_a_console_nothing_is_ever_believed() -> None:
    assert await HostKeys(lambda _: reach(HostKeyMode.FROM_CONSOLE)).keys(place()) is None


async def test_what_the_row_says_is_believed_before_all_that_was_found() -> None:
    trust = HostKeys(lambda _: reach(HostKeyMode.ACCEPT_NEW))
    assert await trust.keys(place()) == ()
    trust.saw(place(), OTHER)
    assert await trust.keys(place()) == (OTHER,)
    assert await trust.keys(place(ED)) == (ED,)


async def test_pinned_keys_stand_whatever_the_row_says_and_none_is_an_error() -> None:
    trust = HostKeys(lambda _: reach(HostKeyMode.PINNED, pinned=(ED,)))
    assert await trust.keys(place(OTHER)) == (ED,)
    with pytest.raises(BackendRejected) as caught:
        await HostKeys(lambda _: reach(HostKeyMode.PINNED)).keys(place(OTHER))
    assert caught.value.reason is Reason.SSH_HOST_KEY_MISMATCH


def test_a_file_of_known_hosts_gives_the_keys_of_that_host_alone(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"10.0.0.1 {ED} comment\n10.0.0.2 {OTHER}\n")
    assert pinned_keys(reach(HostKeyMode.PINNED, known_hosts_file=str(file))) == (ED,)
    with pytest.raises(BackendRejected, match="cannot read"):
        pinned_keys(reach(HostKeyMode.PINNED, known_hosts_file=str(tmp_path / "none")))
    file.write_text("10.0.0.1 ssh-ed25519 garbage\n")
    with pytest.raises(BackendRejected) as caught:
        pinned_keys(reach(HostKeyMode.PINNED, known_hosts_file=str(file)))
    assert caught.value.reason is Reason.SSH_HOST_KEY_MISMATCH
