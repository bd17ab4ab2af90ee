"""Cloud Assistant's agent in a virtual machine: it runs scripts that come through the cloud, without SSH.

Where scripts lie, and that they run by `sh -c FILE` as a user in that user's home, is how the vendor's agent does it:
https://github.com/aliyun/aliyun_assist_client, agent/taskengine.
"""

import asyncio
import os
import shlex
import signal
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from broker.demo.clouds.vms.network import ENVIRONMENT

if TYPE_CHECKING:
    from broker.demo.clouds.vms.vm import Vm

_SCRIPTS: Final = "/usr/local/share/aliyun-assist/work/script"
_ENDINGS: Final = {"RunShellScript": "sh", "RunPythonScript": "py"}


class Run:
    """A script that runs or has run."""

    def __init__(self) -> None:
        """Has not begun."""
        self.timed_out = False
        self.exit_code: int | None = None
        """128 + N for a signal N; None while it runs, and if it was stopped, had no time left or lost its machine."""
        self.over = asyncio.Event()
        self._stopped = False
        self._written = tempfile.TemporaryFile()  # noqa: SIM115 - goes with the last who has it open
        self._process: asyncio.subprocess.Process | None = None

    @property
    def output(self) -> bytes:
        """All that it has written so far, on both of its outputs."""
        return os.pread(self._written.fileno(), os.fstat(self._written.fileno()).st_size, 0)

    def stop(self) -> None:
        """Kills it with all in its process group; one that has ended is left alone."""
        self._stopped = True
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def follow(self, vm: "Vm", command: list[str], timeout_s: float) -> None:
        """Runs it to its end."""
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=self._written.fileno(),
                stderr=self._written.fileno(),
                env=ENVIRONMENT,
                start_new_session=True,
            )
            if self._stopped:
                self.stop()
            try:
                async with asyncio.timeout(timeout_s):
                    await process.wait()
            except TimeoutError:
                self.timed_out = True
                self.stop()
                await process.wait()
            code = process.returncode or 0
            if not self._stopped and vm.running:
                self.exit_code = code if code >= 0 else 128 - code
        finally:
            self.over.set()


class Assistant:
    """That of one virtual machine."""

    def __init__(self, vm: "Vm") -> None:
        """Nothing runs."""
        self._vm = vm
        self._runs: dict[str, Run] = {}

    def run(
        self,
        name: str,
        content: str,
        *,
        kind: str = "RunShellScript",
        timeout_s: float = 60,
        user: str = "root",
        directory: str = "",
    ) -> Run:
        """Begins a script; `name` is that of its invocation. Raises CannotRun if the machine does not run."""
        script = f"{_SCRIPTS}/{name}.{_ENDINGS.get(kind, 'sh')}"
        shell = self._vm.inside("sh", "-c")
        command = [*shell, self._words(script, kind, user, directory)]
        place = self._vm.path(script)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
        place.chmod(0o755)
        self._runs[name] = run = Run()
        self._vm.tasks.create_task(run.follow(self._vm, command, timeout_s), name=f"{name} on {self._vm.spec.id}")
        return run

    def stop(self, name: str) -> None:
        """Kills an invocation's script; nothing, if none runs."""
        if name in self._runs:
            self._runs[name].stop()

    def _words(self, script: str, kind: str, user: str, directory: str) -> str:
        user = user or "root"
        home = self._home(user)
        if home is None:
            return f"echo UserNotExists: {shlex.quote(user)} >&2; exit 1"
        start = f"exec python3 {script}" if kind == "RunPythonScript" else f"exec sh -c {script}"
        who = "" if user == "root" else f"setpriv --reuid={user} --regid={user} --init-groups "
        return (
            f"export HOME={home} USER={user} LOGNAME={user}; cd {shlex.quote(directory or home)} || exit 1; "
            f"{start.replace('exec ', f'exec {who}', 1)}"
        )

    def _home(self, user: str) -> str | None:
        for line in self._vm.path("/etc/passwd").read_text().splitlines():
            fields = line.split(":")
            if fields[0] == user:
                return fields[5]
        return None
