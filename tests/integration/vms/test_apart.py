"""A virtual machine is one of its own: address, processes, files, people."""

from pathlib import Path

import pytest

from broker.demo.clouds.vms.vms import Vms
from tests.vms import a_spec, login

MARKER = "agentbroker-marker-of-a-machine"


@pytest.mark.parametrize("place", ["/root", "/home/jenkins", "/tmp", "/var/lib", "/etc", "/opt", "/usr/local/bin"])
async def test_what_a_login_writes_is_there_and_not_outside(vms: Vms, place: str) -> None:
    vm, other = await vms.start(a_spec()), await vms.start(a_spec())
    async with login(vm) as connection:
        await connection.run(f"echo from inside >{place}/{MARKER}", check=True)
    assert vm.path(f"{place}/{MARKER}").read_text() == "from inside\n"
    assert not (Path(place) / MARKER).exists()
    assert not other.path(f"{place}/{MARKER}").exists()
