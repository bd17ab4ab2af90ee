"""What Jenkins asks for, and what is answered."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from broker.domain.ids import AgentName, is_agent_name
from broker.domain.overrides import Override, OverrideError, of_label, read
from broker.domain.overrides import refusal as override_refusal
from broker.domain.policy import Policy
from broker.domain.reason import Reason
from broker.domain.template import Template

_SECRET: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One agent that Jenkins asks for; `waited` is how long its build has waited, by the controller's own clock."""

    name: str
    policy: str
    secret: str = field(repr=False)
    label_expression: str = ""
    job: str = ""
    build_url: str = ""
    cause: str = "queue"
    launch_id: str = ""
    requested_by: str = ""
    waited: timedelta | None = None
    overrides: Mapping[str, str] | None = None
    """What Jenkins took the label's overrides for, as texts by key; None: it knows of none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one asked agent; `reason` is None when it is accepted."""

    name: str
    reason: Reason | None = None
    message: str = ""


def refusal(asked: Asked, taken: set[AgentName]) -> Answer | None:
    """Why an agent cannot be as it is asked for; `taken` are the names that other controllers have used."""
    name = asked.name[:80]
    if not is_agent_name(asked.name):
        message = f"name {name!r}: an agent's name is 1 to 63 letters, digits and hyphens, no hyphen first or last"
        return Answer(name=asked.name, reason=Reason.INVALID_REQUEST, message=message)
    if _SECRET.fullmatch(asked.secret) is None:
        message = f"agent {name}: the secret must be 64 lower-case hex digits, it has {len(asked.secret)} characters"
        return Answer(name=asked.name, reason=Reason.INVALID_REQUEST, message=message)
    if asked.name in taken:
        message = f"the name {name} has been used by another controller; names are never used twice: choose another"
        return Answer(name=asked.name, reason=Reason.NAME_TAKEN, message=message)
    return None


def override_of(asked: Asked) -> Override:
    """What its build asks for itself. Raises `OverrideError`: it cannot be understood, or Jenkins read it otherwise."""
    override, _ = of_label(asked.label_expression)
    if asked.overrides is not None and read(asked.overrides) != override:
        told = ", ".join(f"{key}={text[:60]}" for key, text in asked.overrides.items() if text) or "nothing"
        raise OverrideError(f"overrides: Jenkins asks for {told}, which is not what the label says")
    return override


def forbidden(asked: Asked, policy: Policy, template: Template) -> Answer | None:
    """Why its policy does not allow what the build asks for itself; None if it does."""
    try:
        refused = override_refusal(override_of(asked), policy.overrides, template, policy.name)
    except OverrideError as error:
        refused = Reason.OVERRIDE_FORBIDDEN, str(error)
    return Answer(name=asked.name, reason=refused[0], message=refused[1]) if refused else None
