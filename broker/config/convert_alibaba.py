"""From the models of Alibaba Cloud ECS to what its backend reads: plain values, under the names of the keys.

Durations are seconds (float), files absolute paths (text); a key with ? is missing where nothing is said, each other is
always there. Secrets stand in files, or as their text where the config does.

`backend.options`: `region` str; `access_key_id?`, `access_key_secret?`, `security_token?` str, each also as
`..._file?`; none of them and no `ram_role_name?` str: the default chain. `role_arn` list of str (each taken with the
one before; empty: none), `role_session_name` str, `role_external_id?` str (of the last role). `vpc_endpoints` bool;
`endpoints` map of `ecs?`, `vpc?`, `sts?`, `metadata?` to URLs without a path; `proxy?` URL. `auto_network` bool;
`network`: `vpc?` str, `vpc_cidr` str, `vswitch_prefix` int, `ssh_from?` list of networks. `auto_release` float (0.0:
never), `poll_interval` float, `api_rate?` `domain.definitions.Rate`.

`pool.options`, beside what `convert_hosts` says: `image_id?` or `image_family?` str; `instance_types?` list of str,
else `host_size`: `cpu` float (vCPU), `memory` int (MiB); `zones`, `vswitches`, `security_groups` lists of str (empty:
not said). `key_pair?`: `name?` str, `import` bool. `charge`: `spot_strategy` str, `price_limit?` float, `duration?` int
(hours, as the API wants), `interruption` "Terminate" | "Stop", `on_no_stock` "on-demand" | "fail".
`system_disk?`: `category` str, `performance_level?` str, `size` int (GiB, as the API wants).
`data_disks` list of the same with `count` int, `snapshot?` str, `delete_with_instance` bool; `data_disk_ids` list.
`public_ip?`: `bandwidth_out` int, `bandwidth_in?` int, `charge` "PayByTraffic" | "PayByBandwidth";
`connect_by` "private" | "public". `user_data?` or `user_data_file?` str, as text before Base64. `tags` map of texts.
`instance_name` str with the fields {pool}, {policy}, {controller}, {job}, {build}; `host_name?`, `vm_ram_role?`,
`deployment_set?`, `resource_group?`, `http_tokens?` str. `os` "linux" | "windows"; `password?` or `password_file?` str;
`start_by` "ssh" | "cloud-assistant".
"""

from pathlib import Path
from typing import Any, Final

from broker.config import convert_hosts
from broker.config.convert_hosts import plain
from broker.config.model_alibaba import ALIBABA_BACKEND_KEYS, OF_MACHINES
from broker.config.model_alibaba_parts import AutoNetworkModel, Charge, HostSize
from broker.config.model_pools import BackendModel, PoolModel
from broker.config.units import read_rate
from broker.domain.definitions import Rate

_GIB: Final = 1024
_POLL: Final = 3.0
_BACKEND_DEFAULTS: Final = {"role_arn": [], "role_session_name": "agentbroker", "endpoints": {}, "poll_interval": _POLL}
_POOL_DEFAULTS: Final = {
    "zones": [],
    "vswitches": [],
    "security_groups": [],
    "data_disks": [],
    "data_disk_ids": [],
    "connect_by": "private",
    "tags": {},
    "instance_name": "agentbroker-{pool}",
    "os": "linux",
    "start_by": "ssh",
}


def backend_options(model: BackendModel, base: Path) -> dict[str, object]:
    """The keys of a backend; relative file names start at `base`."""
    options = {**_BACKEND_DEFAULTS, **_only(plain(model, base), ALIBABA_BACKEND_KEYS)}
    options["network"] = plain(model.network or AutoNetworkModel(), base)
    options["endpoints"] = {name: _url(text) for name, text in options["endpoints"].items()}
    if model.api_rate is not None:
        count, per = read_rate(model.api_rate)
        options["api_rate"] = Rate(count=count, per=per)
    return options


def pool_options(model: PoolModel, base: Path) -> dict[str, object]:
    """The keys of a pool; relative file names start at `base`."""
    options = {**_POOL_DEFAULTS, **_only(plain(model, base), OF_MACHINES)}
    options["charge"] = _charge(model.charge or Charge())
    if model.instance_types is None:
        options["host_size"] = plain(model.host_size or HostSize(), base)
    if model.system_disk is not None:
        options["system_disk"] = _disk(options["system_disk"])
    options["data_disks"] = [_disk(disk) for disk in options["data_disks"]]
    return {**options, **convert_hosts.pool_options(model, "alibaba-ecs", base)}


def _only(said: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in said.items() if key in keys}


def _url(endpoint: str) -> str:
    return endpoint if "://" in endpoint else f"https://{endpoint}"


def _charge(charge: Charge) -> dict[str, Any]:
    made = plain(charge, Path())
    if charge.duration is not None:
        made["duration"] = int(charge.duration.total_seconds() // 3600)
    return made


def _disk(disk: dict[str, Any]) -> dict[str, Any]:
    """A disk as the API has it: the performance level is a parameter of its own, the size is in GiB."""
    category, mark, level = disk["category"].partition("_PL")
    made = {**disk, "category": category, "size": -(-disk["size"] // _GIB)}
    return {**made, "performance_level": f"PL{level}"} if mark else made
