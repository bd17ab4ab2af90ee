"""One host's preparation: goes on beside the calls, over broken connections, and tells how far it is."""

import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from broker.backends.ssh.options import Init, Runner
from broker.backends.ssh.prepare_script import PREPARE, RUNNER
from broker.backends.ssh.shell import exports, lines_of, masked, script_of
from broker.backends.ssh.transport import Ran
from broker.domain.ids import PoolName
from broker.domain.reason import Reason
from broker.errors import BackendRejected

NO_INIT: Final = Init(script="")
_LONGEST: Final = 1000
_MOST: Final = 20
"""Of lines and of what is told in them: a host's words are kept, and shown."""
_ENGINES: Final = ("docker", "podman")
_MAJOR: Final = re.compile(r"(?:1\.)?(\d+)")
"""Java 8 calls itself 1.8, later ones by their major version (JEP 223)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be done on a host: the script for it, and what it gets on its input."""

    pool: PoolName
    init: Init
    runner: Runner
    folder: str
    nonce: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Names this run of the init script: what another preparation has failed with does not count."""

    @property
    def stdin(self) -> bytes:
        """The variables, then the script."""
        return exports(self.init.env).encode() + self.init.script.encode()

    def script(self) -> str:
        """See `PREPARE`."""
        init, body = self.init, self.init.script.encode()
        return script_of(
            PREPARE,
            runner=RUNNER,
            work=self.runner.work_dir,
            folder=self.folder,
            hash=hashlib.sha256(body).hexdigest()[:16] if body else "",
            nonce=self.nonce,
            timeout=max(1, round(init.timeout_s)),
            sudo="1" if init.sudo else "",
            legacy=init.legacy_marker,
            env_size=len(exports(init.env).encode()),
            script_size=len(body),
            java=self.runner.java,
            engines=" ".join(_names(self)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the script has said."""

    facts: Mapping[str, str]
    javas: tuple[tuple[str, str], ...] = ()
    """Version and path of each that was found, in the order of preference."""
    broken: str = ""
    """Engines that are there and do not work, in words."""
    tail: tuple[str, ...] = ()
    problem: str = ""
    goes_on: bool = False

    @property
    def is_ready(self) -> bool:
        """It has come to its end."""
        return "ready" in self.facts


def read(ran: Ran, order: Order) -> Told:
    """Understands what was printed; lines of others, such as a login message, are left out."""
    facts: dict[str, str] = {}
    javas: list[tuple[str, str]] = []
    broken, tail, problem, goes_on = "", [], "", False
    for told in lines_of(ran.output):
        line = masked(told, order.init.env)[:_LONGEST]
        kind, rest = line[:1], line[1:]
        name, _, value = rest.partition(" ")
        if kind == "=" and name == "java":
            version, _, path = value.partition(" ")
            javas.append((version, path))
        elif kind == "=" and name == "broken":
            broken = f"{broken}; {value}".lstrip("; ")
        elif kind == "=":
            facts.setdefault(name, value)
        elif kind == ">":
            tail.append(rest)
        elif kind == "!":
            problem = rest
        elif line == "~":
            goes_on = True
    return Told(
        facts=facts,
        javas=tuple(javas[:_MOST]),
        broken=broken[:_LONGEST],
        tail=tuple(tail[-_MOST:]),
        problem=problem,
        goes_on=goes_on,
    )


def failure(told: Told, ran: Ran, order: Order) -> BackendRejected:
    """Why a host cannot become ready, with the end of what its init script has printed.

    Images that want another user say so on either side, such as "Please login as the user ...".
    """
    what, _, detail = told.problem.partition(" ")
    init = f"pools.{order.pool}.init"
    said = masked(ran.errors or ran.output.strip(), order.init.env)[-300:]
    words = {
        "exit": f"the init script ended with code {detail} (see {init})",
        "expired": f"the init script was ended after {order.init.timeout_s:.0f} s: set {init}.timeout",
        "sudo": f"sudo asks for a password: let the user do it with NOPASSWD, or unset {init}.sudo: {detail}",
        "nowhere": f"cannot write in {detail}: set pools.{order.pool}.runner.work_dir to a directory of the user's",
        "full": f"cannot write in {detail}: is the disk full?",
        "missing": f"there is no {detail} on the host: install coreutils and util-linux, or take another image",
    }.get(what, f"the host's shell has not done what it was told, code {ran.code}: {said or 'no words'}")
    text = "\n".join((words, *told.tail))
    return BackendRejected("InitFailed" if what in {"exit", "expired"} else "NotReady", text, Reason.SETUP_FAILED)


def facts_of(told: Told, order: Order) -> dict[str, str]:
    """What is kept of a host that is ready; BackendRejected if nothing there can run an agent."""
    wanted = order.runner.java_version
    fit = [(major, path) for version, path in told.javas if (major := major_of(version)) >= wanted]
    facts = {name: told.facts[name] for name in ("base", "user", "arch", "limits", "init") if name in told.facts}
    if fit:
        major, path = fit[0]
        facts |= {"java": path, "java_version": str(major)}
    else:
        facts["no_java"] = _no_java(told, order)
    if engine := told.facts.get("engine"):
        name, path, version = (*engine.split(" ", 2), "", "")[:3]
        facts |= {"engine": path, "engine_name": name, "engine_version": version}
    else:
        facts["no_engine"] = told.broken or f"no {' or '.join(_names(order))} on the host's PATH"
    if not fit and not engine and not order.runner.command:
        message = f"{facts['no_java']}; and for containers: {facts['no_engine']}"
        raise BackendRejected("NothingToRunAgentsWith", message, Reason.SETUP_FAILED)
    return facts


def major_of(version: str) -> int:
    """17 of "17.0.15", 8 of "1.8.0_412"; 0 for anything else."""
    found = _MAJOR.match(version)
    return int(found[1]) if found else 0


def _names(order: Order) -> tuple[str, ...]:
    return _ENGINES if order.runner.engine == "auto" else (order.runner.engine,)


def _no_java(told: Told, order: Order) -> str:
    fix = f"install one by pools.{order.pool}.init, or set pools.{order.pool}.runner.java"
    needed = f"{order.runner.java_version} or newer needed"
    if not told.javas:
        where = f"no program {order.runner.java}" if order.runner.java else "no Java found on the host"
        return f"{where}, {needed}: {fix}"
    found = ", ".join(f"Java {major_of(version) or version} at {path}" for version, path in told.javas)
    return f"{found}, {needed}: {fix}"
