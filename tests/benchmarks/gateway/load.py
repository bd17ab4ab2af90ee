"""The load tool: agents and controllers in C, for the measured side is to be the slow one. Compiled when it is used."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from broker.inbound.identity import Identity
from tests.benchmarks.gateway.pinned import cores, start

_SOURCE: Final = Path(__file__).parent / "load.c"


class Missing(Exception):
    """A program is not here; the text says which, and what cannot be had without it."""


class LoadFailed(Exception):
    """The load did not get through; the text is the tool's."""


class Load:
    """The running tool, on the core that is not the measured one's. One order at a time."""

    def __init__(self, directory: Path, identity: Identity, certificate: Path, key: Path) -> None:
        """Compiles and starts it. Raises `Missing` without a compiler or OpenSSL's headers."""
        program = directory / "load"
        _compile(program)
        self.identity = identity
        command = [program, certificate, key]
        self._process = start(command, cores()[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        told = self._answer()
        self.openssl = str(told.pop("openssl"))
        self.controllers: dict[str, int] = told

    def ask(self, order: str) -> dict[str, float]:
        """What the tool answers. Raises `LoadFailed`."""
        self.tell(order)
        return self.answer()

    def tell(self, order: str) -> None:
        """Begins; `answer` is its end."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n".encode())
        self._process.stdin.flush()

    def answer(self) -> dict[str, float]:
        """The answer to what was told. Raises `LoadFailed`."""
        found: dict[str, float] = self._answer()
        return found

    def close(self) -> None:
        """Ends it, and so all that is connected to it. Safe to repeat."""
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LoadFailed(f"the load tool has ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise LoadFailed(str(answer["error"]))
        return answer


def _compile(program: Path) -> None:
    compiler = shutil.which(os.environ.get("CC", "gcc"))
    if compiler is None:
        raise Missing("there is no gcc: the load tool is in C, and nothing of the gateway is measured without it")
    command = [compiler, "-O2", "-Wall", "-o", str(program), str(_SOURCE), "-lssl", "-lcrypto"]
    compiled = subprocess.run(command, check=False, capture_output=True, text=True)
    if compiled.returncode:
        raise Missing(f"the load tool does not compile; it needs OpenSSL's headers (libssl-dev): {compiled.stderr}")
