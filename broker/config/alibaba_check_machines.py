"""What a pool's machines on Alibaba Cloud are: image, type, payment, user data, names, Windows."""

import re
import string
from typing import Final

from broker.config.hosts_uses import ALIBABA, Hosts, over_ssh
from broker.config.model_alibaba_parts import Charge
from broker.config.model_pools import PoolModel

FIELDS: Final = ("pool", "policy", "controller", "job", "build")
"""What `instance_name` may have in braces."""
_MOST_USER_DATA: Final = 32 * 1024
"""Bytes before Base64 (RunInstances, UserData)."""
_MOST_TAGS, _OWN_TAGS = 20, 8
"""Of an instance (TagResources), and those that the broker sets."""
_SPECIAL: Final = r"""()`~!@#$%^&*-_+=|{}[]:;'<>,.?/"""
_SPOT: Final = "SpotWithPriceLimit"


def check(hosts: Hosts) -> None:
    """Reports what RunInstances would refuse."""
    for name, pool in hosts.of(ALIBABA).items():
        _either(hosts, name, pool)
        _charge(hosts, name, pool.charge)
        _user_data(hosts, name, pool)
        _names(hosts, name, pool)
        _tags(hosts, name, pool)
        _system(hosts, name, pool)


def _either(hosts: Hosts, name: str, pool: PoolModel) -> None:
    for one, other in (("image_id", "image_family"), ("instance_types", "host_size"), ("user_data", "user_data_file")):
        if getattr(pool, one) and getattr(pool, other):
            message = f"pool '{name}' has '{one}' and '{other}', of which one counts"
            help_ = f"remove one of them; an inherited one is removed by '{one}: null'"
            hosts.error("pool-conflict", hosts.key("pools", name, other), message, help_)
    if not any(hosts.said("pools", name, key) for key in ("image_id", "image_family")):
        message = f"pool '{name}' has no image that its hosts could start from"
        help_ = "add 'image_id' or 'image_family'; 'agentbroker discover' lists those of the account"
        hosts.error("no-image", hosts.key("pools", name), message, help_)
    pair = pool.key_pair
    if pair is not None and not pair.import_ and not hosts.said("pools", name, "key_pair", "name") and not pair.name:
        message = f"'key_pair' of pool '{name}' names none and imports none"
        help_ = "write its name, or '{ import: true }'"
        hosts.error("pool-conflict", hosts.value("pools", name, "key_pair"), message, help_)


def _charge(hosts: Hosts, name: str, charge: Charge | None) -> None:
    if charge is None:
        return
    at = ("pools", name, "charge")
    if charge.price_limit is not None and charge.spot_strategy != _SPOT:
        message = f"'price_limit' of pool '{name}' is of 'spot_strategy: {_SPOT}', and it has {charge.spot_strategy}"
        help_ = f"write 'spot_strategy: {_SPOT}', or remove it"
        hosts.error("price-limit", hosts.key(*at, "price_limit"), message, help_)
    if charge.spot_strategy == _SPOT and not hosts.said(*at, "price_limit"):
        message = f"'{_SPOT}' of pool '{name}' has no price limit"
        help_ = "add 'price_limit', for an hour of a host, or write 'spot_strategy: SpotAsPriceGo'"
        hosts.error("price-limit", hosts.value(*at, "spot_strategy"), message, help_)
    for key in ("duration", "interruption", "on_no_stock"):
        if charge.spot_strategy == "NoSpot" and hosts.said(*at, key):
            message = f"'{key}' of pool '{name}' is of spot hosts, and it has none"
            hosts.warning("unused-key", hosts.key(*at, key), message, "remove it, or write a 'spot_strategy'")


def _user_data(hosts: Hosts, name: str, pool: PoolModel) -> None:
    key = "user_data_file" if pool.user_data_file else "user_data"
    content = hosts.read(pool.user_data_file, _MOST_USER_DATA) if pool.user_data_file else None
    content = (pool.user_data or "").encode() if content is None else content
    if len(content) > _MOST_USER_DATA:
        message = f"the user data of pool '{name}' is larger than the 32 KiB that the cloud takes"
        help_ = "let it fetch what is large, or run it as 'init'"
        hosts.error("too-long", hosts.value("pools", name, key), message, help_)


def _names(hosts: Hosts, name: str, pool: PoolModel) -> None:
    if pool.instance_name is None:
        return
    span = hosts.value("pools", name, "instance_name")
    known = ", ".join(f"{{{field}}}" for field in FIELDS)
    try:
        parts = list(string.Formatter().parse(pool.instance_name))
    except ValueError:
        message = f"'{pool.instance_name}' has a brace without its other"
        hosts.error("bad-name", span, message, f"write one of {known}, or no braces")
        return
    for literal, field, form, conversion in parts:
        if field is not None and (field not in FIELDS or form or conversion):
            message = f"'{{{field}}}' in the name of hosts of pool '{name}' stands for nothing"
            hosts.error("bad-name", span, message, f"write one of {known}")
        if len(literal) > 100:
            hosts.error("bad-name", span, f"the name of hosts of pool '{name}' is too long", "128 characters are all")


def _tags(hosts: Hosts, name: str, pool: PoolModel) -> None:
    tags, at = pool.tags or {}, ("pools", name, "tags")
    if len(tags) > _MOST_TAGS - _OWN_TAGS:
        message = f"pool '{name}' has {len(tags)} tags; an instance has {_MOST_TAGS}, {_OWN_TAGS} of them ours"
        hosts.error("bad-tag", hosts.key(*at), message, f"keep {_MOST_TAGS - _OWN_TAGS} of them")
    for key, value in tags.items():
        why = ""
        if key == "managed-by" or key.startswith(("agentbroker.", "agentbroker:")):
            message = f"pool '{name}' has the tag '{key}', which the broker sets itself"
            hosts.error("tag-reserved", hosts.key(*at, key), message, "choose another name")
        elif key.lower().startswith(("acs:", "aliyun")) or value.lower().startswith("acs:"):
            why = "what begins with 'acs:' or 'aliyun' is Alibaba Cloud's own"
        elif not 0 < len(key) <= 128 or len(value) > 128:
            why = "a tag's name has 1 to 128 characters, its value at most 128"
        elif re.search("https?://", f"{key} {value}"):
            why = "tags have no http:// or https:// in them"
        if why:
            hosts.error("bad-tag", hosts.key(*at, key), f"Alibaba Cloud refuses the tag '{key}': {why}")


def _system(hosts: Hosts, name: str, pool: PoolModel) -> None:
    windows, at = pool.os == "windows", ("pools", name)
    passwords = [key for key in ("password", "password_file") if getattr(pool, key)]
    if len(passwords) > 1:
        message = f"pool '{name}' has 'password' and 'password_file'"
        hosts.error("credentials-conflict", hosts.key(*at, "password"), message, "remove one of them")
    if not windows and passwords:
        message = f"'{passwords[0]}' of pool '{name}' is of Windows: hosts with Linux are reached with a key"
        help_ = "remove it, or write 'os: windows'"
        hosts.error("not-on-linux", hosts.key(*at, passwords[0]), message, help_)
    if windows:
        _windows(hosts, name, pool, passwords)
    if passwords:
        _password(hosts, name, pool)


def _windows(hosts: Hosts, name: str, pool: PoolModel, passwords: list[str]) -> None:
    at = ("pools", name)
    if over_ssh(pool):
        key = "start_by" if hosts.said(*at, "start_by") else "os"
        message = f"pool '{name}' is of Windows, onto which the broker finds no way by SSH, nor by WinRM"
        help_ = "write 'start_by: cloud-assistant'; see docs/how-to/alibaba-ecs.md"
        hosts.error("not-on-windows", hosts.value(*at, key), message, help_)
    if not passwords:
        message = f"pool '{name}' is of Windows and has no password for its administrator"
        hosts.error("no-password", hosts.value(*at, "os"), message, "add 'password_file'")
    if pool.key_pair is not None:
        message = f"'key_pair' of pool '{name}' means nothing to Windows"
        hosts.error(
            "not-on-windows", hosts.key(*at, "key_pair"), message, "remove it; 'password_file' stands in for it"
        )
    if pool.host_name and (len(pool.host_name) > 15 or "." in pool.host_name or pool.host_name.isdecimal()):
        message = f"'{pool.host_name}' is no host name of Windows"
        help_ = "use 2 to 15 letters, digits and '-', not digits alone"
        hosts.error("bad-host-name", hosts.value(*at, "host_name"), message, help_)


def _password(hosts: Hosts, name: str, pool: PoolModel) -> None:
    """A password that RunInstances takes: 8 to 30 characters of three kinds."""
    key = "password" if pool.password else "password_file"
    content = hosts.read(pool.password_file, 4096) if pool.password_file and not pool.password else None
    text = pool.password or (content.decode(errors="replace").strip() if content is not None else None)
    if text is None:
        return
    kinds = (str.isupper, str.islower, str.isdecimal, _SPECIAL.__contains__)
    told = sum(any(kind(one) for one in text) for kind in kinds)
    if not 8 <= len(text) <= 30 or told < 3 or text.startswith("/"):
        message = f"the password of pool '{name}' is none that Windows hosts take"
        help_ = "use 8 to 30 characters of three kinds: A-Z, a-z, 0-9, and signs; a '/' may not come first"
        hosts.error("bad-password", hosts.value("pools", name, key), message, help_)
