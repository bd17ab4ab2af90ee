"""What the containers of a template's tasks say: names that one uses of another, and values that go together."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from broker.config.diagnostics import Note
from broker.config.ecs_uses import Ecs, ecs_of, is_windows
from broker.config.model_ecs_task import EcsContainerModel, SidecarModel
from broker.config.model_ecs_types import is_user
from broker.config.model_pools import TemplateModel
from broker.config.nodes import Path
from broker.config.suggest import nearest

AGENT: Final = "agent"
"""The agent's own container."""
OWN_TAGS: Final = 13
"""Tags that the broker puts on each task."""
_TOLD: Final = frozenset(
    {
        *("JENKINS_URL", "JENKINS_TUNNEL", "JENKINS_DIRECT_CONNECTION", "JENKINS_INSTANCE_IDENTITY", "REMOTING_OPTS"),
        *("JENKINS_WEB_SOCKET", "JENKINS_SECRET", "JENKINS_AGENT_NAME", "JENKINS_NAME", "JENKINS_AGENT_WORKDIR"),
        *("SLAVE_NODE_NAME", "SLAVE_NODE_SECRET"),
    }
)
"""Variables by which an image learns who its agent is."""
_MOST_TAGS: Final = 50
_TAG: Final = re.compile(r"[\w\s.:/=+\-@]*")
_NOT_ON_WINDOWS: Final = (
    "linux_parameters",
    "ulimits",
    "privileged",
    "extra_hosts",
    "dns_servers",
    "dns_search_domains",
    "links",
)
"""RegisterTaskDefinition says of each that Windows containers do not have it."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a template's tasks, and where it stands."""

    name: str
    path: Path
    said: EcsContainerModel
    env: Mapping[str, str]
    essential: bool


def containers(name: str, template: TemplateModel) -> Iterator[Container]:
    """The agent's, then the sidecars."""
    at, said = ("templates", name, "ecs"), ecs_of(template)
    yield Container(AGENT, at, said, template.env, essential=True)
    for n, sidecar in enumerate(said.sidecars or ()):
        yield Container(sidecar.name, (*at, "sidecars", n), sidecar, sidecar.env or {}, sidecar.essential)


def check(ecs: Ecs) -> None:
    """Reports what RegisterTaskDefinition would refuse, wherever the template runs."""
    for name, template in ecs.templates.items():
        if template.ecs is None:
            continue
        every = list(containers(name, template))
        _names(ecs, name, every)
        _order(ecs, every)
        for one in every:
            _values(ecs, one)
            _windows(ecs, name, template, one)
        _router(ecs, every)
        if template.inject == "script" and template.ecs.entry_point:
            message = f"'entry_point' of template '{name}' means nothing: 'inject: script' is one"
            help_ = "remove it, or use 'inject: env'"
            ecs.warning("unused-key", ecs.key("templates", name, "ecs", "entry_point"), message, help_)
    for name in {template for template, _ in ecs.pairs()}:
        _tags(ecs, name, ecs.templates[name])
        _user(ecs, name, ecs.templates[name])


def _names(ecs: Ecs, template: str, every: list[Container]) -> None:
    seen: set[str] = set()
    for one in every:
        if one.name in seen:
            message = f"template '{template}' has two containers called '{one.name}'"
            help_ = "'agent' is the agent's own: call the sidecar otherwise" if one.name == AGENT else ""
            ecs.error("container-name", ecs.value(*one.path, "name"), message, help_)
        seen.add(one.name)
    for one in every:
        for n, needed in enumerate(one.said.depends_on or ()):
            _known(ecs, needed.container_name, seen, (*one.path, "depends_on", n, "container_name"))
        for n, link in enumerate(one.said.links or ()):
            _known(ecs, link.partition(":")[0], seen, (*one.path, "links", n))


def _known(ecs: Ecs, name: str, known: set[str], path: Path) -> None:
    if name not in known:
        meant = nearest(name, sorted(known))
        help_ = f"did you mean '{meant}'?" if meant else f"there are: {', '.join(sorted(known))}"
        ecs.error("unknown-container", ecs.value(*path), f"there is no container '{name}'", help_)


def _order(ecs: Ecs, every: list[Container]) -> None:
    """What is waited for can come about, and not in a circle."""
    by_name = {one.name: one for one in every}
    for one in every:
        for n, needed in enumerate(one.said.depends_on or ()):
            other = by_name.get(needed.container_name)
            span = ecs.value(*one.path, "depends_on", n)
            if other is None:
                continue
            if needed.condition == "HEALTHY" and other.said.health_check is None:
                message = f"'{one.name}' waits until '{other.name}' is healthy, which has no 'health_check'"
                ecs.error("bad-dependency", span, message, "add one, or wait for START")
            elif needed.condition in {"COMPLETE", "SUCCESS"} and other.essential:
                message = f"'{one.name}' waits until '{other.name}' has ended, and the task ends with it"
                ecs.error("bad-dependency", span, message, f"set 'essential: false' of '{other.name}'")
            elif one.name in _needed_by(other.name, by_name):
                message = f"'{one.name}' and '{other.name}' wait for each other"
                ecs.error("bad-dependency", span, message, "remove one of the two dependencies")


def _needed_by(name: str, by_name: Mapping[str, Container]) -> set[str]:
    """All that a container waits for, at first or second hand, and itself."""
    found, ahead = {name}, [name]
    while ahead:
        one = by_name.get(ahead.pop())
        new = {needed.container_name for needed in (one.said.depends_on if one else None) or ()} - found
        found |= new
        ahead += new
    return found


def _values(ecs: Ecs, one: Container) -> None:
    for n, limit in enumerate(one.said.ulimits or ()):
        if -1 < limit.hard_limit < limit.soft_limit or (limit.soft_limit == -1 != limit.hard_limit):
            message = f"the soft limit of '{limit.name}' is {limit.soft_limit}, its hard limit {limit.hard_limit}"
            span = ecs.value(*one.path, "ulimits", n, "soft_limit")
            ecs.error("bad-ulimit", span, message, "the soft limit is at most the hard one; -1 is without limit")
    for name in sorted((one.said.secrets or {}).keys() & one.env.keys()):
        message = f"'{name}' is a secret and a variable of '{one.name}'; ECS takes one of them"
        ecs.error("secret-and-env", ecs.key(*one.path, "secrets", name), message, "remove it from 'env'")
    for name in sorted(_TOLD & set(one.said.secrets or {})) if one.name == AGENT else ():
        message = f"'{name}' is what the broker tells an agent itself"
        ecs.error("secret-and-env", ecs.key(*one.path, "secrets", name), message, "remove it")
    linux = one.said.linux_parameters
    if linux and linux.swappiness is not None and linux.max_swap is None:
        message = "'swappiness' means nothing without 'max_swap'"
        span = ecs.key(*one.path, "linux_parameters", "swappiness")
        ecs.warning("unused-key", span, message, "add 'max_swap', or remove it")
    if isinstance(one.said, SidecarModel) and one.said.user and not is_user(one.said.user):
        _bad_user(ecs, one.said.user, (*one.path, "user"))


def _windows(ecs: Ecs, name: str, template: TemplateModel, one: Container) -> None:
    if not is_windows(template):
        return
    for key in _NOT_ON_WINDOWS:
        if getattr(one.said, key):
            message = f"Windows containers have no '{key}'"
            ecs.error("not-on-windows", ecs.key(*one.path, key), message, f"remove it from template '{name}'")


def _router(ecs: Ecs, every: list[Container]) -> None:
    """`awsfirelens` needs a container that is the log router."""
    routers = [one for one in every if one.said.firelens_configuration]
    for one in every:
        logs = one.said.log_configuration
        if logs and logs.log_driver == "awsfirelens" and not routers:
            message = f"'{one.name}' logs by awsfirelens, and no sidecar is the log router"
            help_ = "add a sidecar with 'firelens_configuration: { type: fluentbit }'"
            ecs.error("no-log-router", ecs.value(*one.path, "log_configuration", "log_driver"), message, help_)


def _tags(ecs: Ecs, name: str, template: TemplateModel) -> None:
    if len(template.tags) > _MOST_TAGS - OWN_TAGS:
        message = f"template '{name}' has {len(template.tags)} tags; a task has {_MOST_TAGS}, {OWN_TAGS} of them ours"
        ecs.error("bad-tag", ecs.key("templates", name, "tags"), message, f"keep {_MOST_TAGS - OWN_TAGS} of them")
    for key, value in template.tags.items():
        why = ""
        if key.lower().startswith("aws:"):
            why = "tags that begin with 'aws:' are Amazon's own"
        elif key.startswith("agentbroker:"):
            why = "tags that begin with 'agentbroker:' are the broker's own"
        elif not 0 < len(key) <= 128 or len(value) > 256:
            why = "a tag's name has 1 to 128 characters, its value at most 256"
        elif not (_TAG.fullmatch(key) and _TAG.fullmatch(value)):
            why = "tags are of letters, digits, spaces and _ . : / = + - @"
        if why:
            ecs.error("bad-tag", ecs.key("templates", name, "tags", key), f"ECS refuses the tag '{key}': {why}")


def _user(ecs: Ecs, name: str, template: TemplateModel) -> None:
    if template.user and is_windows(template):
        message = f"template '{name}' names a 'user', which Windows containers do not have in ECS"
        ecs.error("not-on-windows", ecs.key("templates", name, "user"), message, "remove it, or 'user: null'")
    elif template.user and not is_user(template.user):
        _bad_user(ecs, template.user, ("templates", name, "user"))


def _bad_user(ecs: Ecs, user: str, path: Path) -> None:
    message = f"'{user[:60]}' is no user of a container"
    help_ = "write USER, USER:GROUP or their numbers, in letters, digits and _ . -; leave it out for the image's own"
    ecs.error("bad-user", ecs.value(*path), message, help_, Note("note", "ECS takes no other characters"))
