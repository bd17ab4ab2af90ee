"""One launch on a host: what its script has said, as an answer or as an error."""

from typing import Final

from broker.backends.ssh import containers, processes
from broker.backends.ssh.options import runner_of
from broker.backends.ssh.ownership import Ownership
from broker.backends.ssh.shell import lines_of
from broker.backends.ssh.transport import HostUnreachable, Ran
from broker.domain.host_order import HostPlace
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled
from broker.ports import LaunchSpec

LIMIT_S: Final = 25.0
_NOTHING_SENT: Final = frozenset({"Refused", "NoRoute", "NameUnknown", "NoHostKeyYet"})
"""Codes of `HostUnreachable` with which no connection was made at all."""


def script_and_input(spec: LaunchSpec, place: HostPlace, ownership: Ownership) -> tuple[str, bytes]:
    """What is run on the host, and what it reads. BackendRejected if the host cannot run it."""
    if spec.template.image is not None:
        return containers.launch_script(spec, place, ownership), containers.launch_input(spec)
    return processes.launch_script(spec, place, runner_of(spec.pool), ownership), processes.launch_input(spec)


def failure(ran: Ran, spec: LaunchSpec) -> BackendError | None:
    """What went wrong; None if the agent has been started, now or before."""
    lines = lines_of(ran.output)
    if "=started" in lines:
        return None
    words = "; ".join(line[1:].replace(spec.secret, "***") for line in lines if line.startswith(">"))
    what, _, detail = next((line[1:] for line in reversed(lines) if line.startswith("!")), "").partition(" ")
    image = spec.template.image
    match what:
        case "cut":
            return Throttled("Cut", "the connection broke before the host had heard all", Reason.SSH_UNREACHABLE)
        case "other":
            message = f"attempt {spec.key.attempt} of agent {spec.name} was launched with another token"
            return BackendRejected("TokenMismatch", message)
        case "full":
            return InsufficientCapacity("NoSpace", f"cannot write in {detail}: is the host's disk full?")
        case "none":
            return BackendRejected("NotStarted", f"the agent's wrapper did not begin: {words}", Reason.SETUP_FAILED)
        case "pulling":
            return Throttled("ImagePulling", f"the host fetches {image}: {words}".rstrip(": "))
        case "pull":
            return BackendRejected("ImagePull", f"{image}: {words}", Reason.IMAGE_PULL_FAILED)
        case "run" | "start":
            return BackendRejected("EngineRefused", f"the host's engine cannot run {image}: {words}")
    message = f"the host's shell ended with code {ran.code} and did not say whether it started the agent"
    return OutcomeUnknown("Unfinished", f"{message}: {ran.errors.replace(spec.secret, '***')[-300:]}".rstrip(": "))


def unheard(error: HostUnreachable) -> BackendError:
    """A launch that was not heard to its end."""
    if error.code in _NOTHING_SENT:
        return Throttled(error.code, error.message, Reason.SSH_UNREACHABLE)
    return OutcomeUnknown(error.code, error.message, Reason.SSH_UNREACHABLE)
