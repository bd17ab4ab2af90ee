"""From the models of Amazon ECS to what its backend reads: plain values, durations as durations, sizes in MiB."""

from pathlib import Path
from typing import Any

from broker.config.base import Model, known_keys
from broker.config.model_ecs import ECS_BACKEND_KEYS, ECS_POOL_KEYS
from broker.config.model_ecs_task import SidecarModel
from broker.config.model_pools import BackendModel, PoolModel, TemplateModel
from broker.config.units import milli, read_rate
from broker.domain.definitions import Rate

UNITS_PER_CPU = 1024


def backend_options(model: BackendModel, base: Path) -> dict[str, object]:
    """The keys of a backend that it says; relative file names start at `base`."""
    options = _said(model, ECS_BACKEND_KEYS)
    options |= {key: str(base / name) for key, name in options.items() if key.endswith("_file")}
    if model.api_rate is not None:
        count, per = read_rate(model.api_rate)
        options["api_rate"] = Rate(count=count, per=per)
    external = options.pop("external_id", None)
    for role in options.get("assume_role_arn") or ():
        if external is not None:
            role.setdefault("external_id", external)
    return options


def pool_options(model: PoolModel) -> dict[str, object]:
    """The keys of a pool that it says."""
    return _said(model, ECS_POOL_KEYS)


def template_options(model: TemplateModel) -> dict[str, object]:
    """`task_definition`, `agent_container` and `ecs`, as far as they are said."""
    options = {"task_definition": model.task_definition, "agent_container": model.agent_container}
    said: dict[str, object] = {key: value for key, value in options.items() if value}
    if model.ecs is not None and (ecs := plain(model.ecs)):
        said["ecs"] = ecs
    return said


def plain(value: object) -> Any:
    """A model as a map of what it says, whatever is in it likewise."""
    if isinstance(value, SidecarModel):
        return _sidecar(value)
    if isinstance(value, Model):
        return _said(value, known_keys(type(value)).values())
    if isinstance(value, list):
        return [plain(item) for item in value]
    return dict(value) if isinstance(value, dict) else value


def _said(model: Model, keys: Any) -> dict[str, Any]:
    return {key: plain(getattr(model, key)) for key in sorted(keys) if getattr(model, key) is not None}


def _sidecar(model: SidecarModel) -> dict[str, Any]:
    """A sidecar in the names of its container definition: `cpu` in units of 1/1024, `environment` as a list."""
    said = _said(model, known_keys(type(model)).values())
    if model.cpu is not None:
        said["cpu"] = (milli(model.cpu) or 0) * UNITS_PER_CPU // 1000
    if "read_only" in said:
        said["read_only_root"] = said.pop("read_only")
    return said
