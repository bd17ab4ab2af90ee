"""What a backend on Alibaba Cloud says of its region, its credentials and its network."""

import re

from broker.config.hosts_uses import ALIBABA, Hosts
from broker.config.model_alibaba_types import region_problem
from broker.config.model_pools import BackendModel

_PAIRS = (
    ("access_key_id", "access_key_id_file"),
    ("access_key_secret", "access_key_secret_file"),
    ("security_token", "security_token_file"),
)


def check(hosts: Hosts) -> None:
    """Reports ways to credentials of which two are said, or half of one, and what nobody reads."""
    for name, backend in hosts.file.backends.items():
        if backend.type == ALIBABA:
            _region(hosts, name, backend)
            _key(hosts, name, backend)
            _roles(hosts, name, backend)
            _network(hosts, name, backend)


def _region(hosts: Hosts, name: str, backend: BackendModel) -> None:
    if backend.region is None:
        message = f"backend '{name}' has no 'region'"
        help_ = "write the region's id, such as 'region: cn-hangzhou'"
        hosts.error("no-region", hosts.key("backends", name), message, help_)
    elif problem := region_problem(backend.region):
        hosts.error("bad-region", hosts.value("backends", name, "region"), *problem)


def _key(hosts: Hosts, name: str, backend: BackendModel) -> None:
    said = [[key for key in pair if getattr(backend, key)] for pair in _PAIRS]
    for two in said:
        if len(two) > 1:
            message = f"backend '{name}' has '{two[0]}' and '{two[1]}'"
            hosts.error("credentials-conflict", hosts.key("backends", name, two[0]), message, "remove one of them")
    ids, secrets, tokens = said
    if bool(ids) != bool(secrets):
        has, lacks = (ids[0], "access_key_secret_file") if ids else (secrets[0], "access_key_id_file")
        message = f"backend '{name}' has '{has}' and no '{lacks}'"
        help_ = "a key is its id and its secret; without both the default chain is used"
        hosts.error("credentials-conflict", hosts.key("backends", name, has), message, help_)
    if tokens and not ids:
        message = f"backend '{name}' has a security token and no key that it belongs to"
        help_ = "add 'access_key_id_file' and 'access_key_secret_file'"
        hosts.error("credentials-conflict", hosts.key("backends", name, tokens[0]), message, help_)
    if backend.ram_role_name and (ids or secrets):
        message = f"backend '{name}' has a key and the role of its machine, which has keys of its own"
        span = hosts.key("backends", name, "ram_role_name")
        hosts.error(
            "credentials-conflict", span, message, "remove one of them; 'role_arn' is a role to take with a key"
        )


def _roles(hosts: Hosts, name: str, backend: BackendModel) -> None:
    for key in ("role_session_name", "role_external_id"):
        if getattr(backend, key) and not backend.role_arn:
            message = f"'{key}' of backend '{name}' goes with a 'role_arn'"
            hosts.error("credentials-conflict", hosts.key("backends", name, key), message, "add it, or remove this")


def _network(hosts: Hosts, name: str, backend: BackendModel) -> None:
    if backend.network is not None and not backend.auto_network:
        message = f"'network' of backend '{name}' means nothing: the broker makes no network"
        help_ = "write 'auto_network: true', or remove it"
        hosts.error("unused-key", hosts.key("backends", name, "network"), message, help_)
    both = backend.vpc_endpoints and backend.endpoints is not None
    if (
        both
        and backend.endpoints is not None
        and re.search("ecs|vpc|sts", " ".join(backend.endpoints.model_fields_set))
    ):
        message = f"backend '{name}' has 'vpc_endpoints' and 'endpoints' of its own"
        hosts.error("endpoints-conflict", hosts.key("backends", name, "vpc_endpoints"), message, "remove one of them")
