"""Whether machines of a backend of type ssh-hosts can take agents: each is gone to, looked at, and left as it was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from broker.backends.ssh.options import HostKeyMode, section
from broker.backends.ssh.over_ssh import SshTransport
from broker.backends.ssh.transport import Transport
from broker.backends.ssh.trust import HostKeys
from broker.backends.ssh_hosts.machines import Machine, machines_of, reach_of
from broker.doctor.report import Check, Doubtful, Report, Wrong
from broker.domain.definitions import Definitions
from broker.domain.host_order import HostPlace
from broker.domain.ids import BackendName, HostId, TemplateName
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.errors import BackendError
from broker.ports import Clock

_LIMIT_S: Final = 30.0
_LITTLE_MIB: Final = 2048
_LOOK: Final = """
echo "user $(id -un)"
echo "system $(uname -sm)"
java=$(java -version 2>&1 | head -n 1) && command -v java >/dev/null 2>&1 && echo "java $java"
for engine in docker podman; do
  command -v $engine >/dev/null 2>&1 && $engine info >/dev/null 2>&1 && echo "engine $engine"
done
sudo -n true >/dev/null 2>&1 && echo "sudo yes"
echo "free $(df -Pk "${HOME:-/}" | awk 'NR == 2 { print $4 }')"
"""
"""Reads, and writes nothing. Each line is a word and what was found."""
_HINTS: Final[Mapping[Reason, str]] = {
    Reason.SSH_UNREACHABLE: "look at the machine's address, its sshd, the firewall between, and jump_host",
    Reason.SSH_AUTH_FAILED: "add the public half of the private key to the user's authorized_keys there",
    Reason.SSH_HOST_KEY_MISMATCH: "find out why it is another key; then mend host_keys, or known_hosts_file",
}


@dataclass(slots=True, kw_only=True)
class SshHostsVisit:
    """One backend's visit. `transport` takes the place of SSH, for tests."""

    definitions: Definitions
    name: str
    clock: Clock
    transport: Transport | None = None

    async def checks(self) -> list[Check]:
        """One check a machine, in the order of the config."""
        report = Report(f"backend {self.name}")
        pools = [one for one in self.definitions.pools.values() if one.backend == BackendName(self.name)]
        if not any(machines_of(pool) for pool in pools):
            report.skip(("machines",), "no pool uses it")
        transport = self.transport or SshTransport(self.clock, HostKeys(reach_of), reach_of)
        try:
            for pool in pools:
                for machine in machines_of(pool):
                    await report.check(machine.name, self._machine(transport, pool, machine))
        finally:
            await transport.close()
        return report.checks

    async def _machine(self, transport: Transport, pool: Pool, machine: Machine) -> str:
        host = HostId(f"h-doctor-{machine.name}")
        place = HostPlace(id=host, pool=pool, ref=machine.ref, address=machine.address)
        try:
            ran = await transport.run(place, _LOOK, limit_s=_LIMIT_S)
        except BackendError as error:
            raise Wrong(error.message, _HINTS.get(error.reason, f"look at pools.{pool.name}.ssh")) from error
        found = dict[str, str]()
        for line in ran.output.splitlines():
            word, _, rest = line.partition(" ")
            found[word] = rest.strip()
        if "user" not in found:
            raise Wrong(f"{machine.address}: its shell does not run a script: {ran.errors or ran.output}"[:300], "")
        return self._told(pool, place, found)

    def _told(self, pool: Pool, place: HostPlace, found: Mapping[str, str]) -> str:
        free_mib = int(found.get("free") or 0) // 1024
        engine, java = found.get("engine", ""), found.get("java", "")
        told = f"{found['user']}@{place.address}, {found.get('system', '')}, {engine or 'no container engine'},"
        told += f" {java or 'no java'}, {'sudo' if 'sudo' in found else 'no sudo'}, {free_mib / 1024:.1f} GiB free"
        self._needs(pool, found, told)
        if free_mib < _LITTLE_MIB:
            raise Doubtful(told, "make room in the home of that user: work directories are there")
        if reach_of(place).host_key is HostKeyMode.ACCEPT_NEW:
            hint = f"pin its keys in pools.{pool.name}.hosts, with what ssh-keyscan tells on a network that you trust"
            raise Doubtful(f"{told}; its host key is not pinned: the first one is believed", hint)
        return told

    def _needs(self, pool: Pool, found: Mapping[str, str], told: str) -> None:
        images = [self.definitions.templates[name].image for name in self._templates(pool)]
        if any(images) and "engine" not in found:
            raise Wrong(told, "install docker or podman there, and let that user use it: templates name an image")
        if images and not all(images) and "java" not in found:
            raise Doubtful(told, "install Java there, or let init do it: templates without an image run on the machine")
        init: Mapping[str, Any] = section(pool, "init")
        if init.get("sudo") and "sudo" not in found and found["user"] != "root":
            raise Wrong(told, f"let {found['user']} use sudo without a password, or unset pools.{pool.name}.init.sudo")

    def _templates(self, pool: Pool) -> Sequence[TemplateName]:
        return sorted({one.template for one in self.definitions.policies.values() if pool.name in one.chain})
