"""How large tasks are: Fargate's sizes, memory on instances, what sidecars leave of it."""

from itertools import pairwise

from broker.config.ecs_uses import Ecs, ecs_of, is_fargate, is_on_instances, is_windows
from broker.config.model_pools import TemplateModel
from broker.config.nodes import Path
from broker.config.units import format_size, milli
from broker.domain import fargate
from broker.domain.overrides import shown_cpu
from broker.domain.resources import Resources

_STEP = 1024


def check(ecs: Ecs) -> None:
    """Reports every size that ECS would refuse."""
    for name, template in ecs.templates.items():
        _reservation(ecs, name, template)
        pools = {pool for used, pool in ecs.pairs() if used == name}
        on_fargate = {pool for pool in pools if is_fargate(ecs.pools[pool])}
        if template.task_definition is None and on_fargate:
            _fargate(ecs, name, template, on_fargate)
        on_instances = {pool for pool in pools if is_on_instances(ecs.pools[pool])}
        if template.task_definition is None and on_instances:
            _memory(ecs, name, template, on_instances)


def _fargate(ecs: Ecs, name: str, template: TemplateModel, pools: set[str]) -> None:
    missing = [key for key in ("cpu", "memory") if getattr(template, key) is None]
    if missing:
        message = f"template '{name}' runs on Fargate and does not say how much '{missing[0]}' it takes"
        help_ = f"add 'cpu' and 'memory'; {_all_cpu()}"
        ecs.error("fargate-size", ecs.key("templates", name), message, help_, ecs.used_by(name, pools))
        return
    size = Resources(cpu_milli=milli(template.cpu) or 0, memory_mib=template.memory or 0)
    span = ecs.value("templates", name, "memory")
    if not fargate.is_size(size):
        message = f"Fargate has no size of {shown_cpu(size.cpu_milli)} vCPU with {_shown_gib(size.memory_mib)}"
        ecs.error("fargate-size", span, message, _nearest(size), ecs.used_by(name, pools))
    elif is_windows(template) and not fargate.LEAST_OF_WINDOWS <= size.cpu_milli <= fargate.MOST_OF_WINDOWS:
        message = f"Fargate has no size of {shown_cpu(size.cpu_milli)} vCPU for Windows"
        help_ = "with Windows, cpu is 1, 2 or 4"
        ecs.error("fargate-size", ecs.value("templates", name, "cpu"), message, help_, ecs.used_by(name, pools))
    else:
        _sidecars(ecs, name, template, size)


def _sidecars(ecs: Ecs, name: str, template: TemplateModel, size: Resources) -> None:
    """What sidecars take, they take of the task's size."""
    sidecars = ecs_of(template).sidecars or []
    cpu = sum(milli(sidecar.cpu) or 0 for sidecar in sidecars)
    memory = sum(max(sidecar.memory or 0, sidecar.memory_reservation or 0) for sidecar in sidecars)
    if cpu >= size.cpu_milli or memory >= size.memory_mib:
        of = f"{shown_cpu(cpu)} vCPU" if cpu >= size.cpu_milli else format_size(memory)
        whole = shown_cpu(size.cpu_milli) if cpu >= size.cpu_milli else format_size(size.memory_mib)
        message = f"the sidecars of template '{name}' take {of} of a task of {whole}, so nothing is left for the agent"
        help_ = "on Fargate cpu and memory of a template are those of its whole task: raise them"
        ecs.error("no-room", ecs.key("templates", name, "ecs", "sidecars"), message, help_)


def _memory(ecs: Ecs, name: str, template: TemplateModel, pools: set[str]) -> None:
    said = ecs_of(template)
    if template.memory is None and said.memory_reservation is None:
        message = f"template '{name}' runs on instances of ECS and says neither 'memory' nor 'ecs.memory_reservation'"
        help_ = "set one of them: ECS finds an instance with so much room"
        ecs.error("no-memory", ecs.key("templates", name), message, help_, ecs.used_by(name, pools))
    for n, sidecar in enumerate(said.sidecars or ()):
        if sidecar.memory is None and sidecar.memory_reservation is None:
            message = f"sidecar '{sidecar.name}' of template '{name}' says neither 'memory' nor 'memory_reservation'"
            span = ecs.value("templates", name, "ecs", "sidecars", n)
            ecs.error("no-memory", span, message, "set one of them", ecs.used_by(name, pools))


def _reservation(ecs: Ecs, name: str, template: TemplateModel) -> None:
    said = ecs_of(template)
    at: Path = ("templates", name, "ecs")
    containers = [(at, template.memory, said.memory_reservation)]
    for n, sidecar in enumerate(said.sidecars or ()):
        containers.append(((*at, "sidecars", n), sidecar.memory, sidecar.memory_reservation))
    for path, hard, soft in containers:
        if hard is not None and soft is not None and soft >= hard:
            message = f"'memory_reservation' is {format_size(soft)}, 'memory' only {format_size(hard)}"
            help_ = "memory has to be more than its reservation; without a reservation all of it is set aside"
            ecs.error("memory-conflict", ecs.value(*path, "memory_reservation"), message, help_)


def _nearest(size: Resources) -> str:
    """The sizes next to one that Fargate does not have."""
    said = []
    if sizes := fargate.SIZES.get(size.cpu_milli):
        steps = {b - a for a, b in pairwise(sizes)}
        if len(steps) == 1:
            span = f"{format_size(sizes[0])} to {format_size(sizes[-1])} in steps of {format_size(steps.pop())}"
        else:
            span = _or([format_size(memory) for memory in sizes])
        said.append(f"with cpu {shown_cpu(size.cpu_milli)}, memory is {span}")
    else:
        said.append(_all_cpu())
    if cpus := fargate.cpu_with(size.memory_mib):
        said.append(f"with memory {format_size(size.memory_mib)}, cpu is {_or([shown_cpu(cpu) for cpu in cpus])}")
    elif larger := fargate.smallest_with(size):
        said.append(f"the next size is cpu {shown_cpu(larger.cpu_milli)} with memory {format_size(larger.memory_mib)}")
    return "; ".join(said)


def _all_cpu() -> str:
    return f"cpu is {_or([shown_cpu(cpu) for cpu in fargate.SIZES])}"


def _or(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _shown_gib(mib: int) -> str:
    return f"{mib / _STEP:g} GiB"
