"""The private key that opens hosts is in memory alone: nothing that is written here or there has it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from broker.demo.clouds.vms.vms import Vms
from tests.contract.ssh_rig import SshRig

_written: list[str] = []
_watching = [False]


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching[0] and event == "open" and isinstance(arguments[0], str) and str(arguments[1] or "r")[0] in "wax+":
        _written.append(arguments[0])


sys.addaudithook(_hear)


@contextmanager
def watching() -> Iterator[list[str]]:
    """The files that this process opens to write, meanwhile."""
    _written.clear()
    _watching[0] = True
    try:
        yield _written
    finally:
        _watching[0] = False


def test_what_is_written_is_noticed(tmp_path: Path) -> None:
    with watching() as written:
        (tmp_path / "key").write_text("x")
    assert written == [str(tmp_path / "key")]


async def test_no_key_is_written_to_a_file_here_nor_on_the_host(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    key = str(rig.pool.options["ssh"]["private_key"])  # type: ignore[index]  # a map
    body = key.splitlines()[1]
    with watching() as written:
        await rig.backend.launch(rig.spec(await rig.prepared()))
    assert [file for file in written if not file.startswith("/dev/")] == []
    for folder in ("/root", "/tmp"):
        for file in rig.vm.path(folder).rglob("*"):
            if file.is_file() and not file.is_symlink():
                assert body not in file.read_text(errors="replace"), file
    await rig.close()
