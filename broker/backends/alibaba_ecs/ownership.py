"""Whose an instance is: tags, and a signature over them that only this broker's key can make (design D8).

One call makes many instances with the same tags: they name all hosts of the order. Which instance is which host is the
order of their ids (`mapping`).
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from broker.backends.alibaba_ecs.network_marks import AGENTBROKER, MANAGED_BY
from broker.domain.host_order import HostOrder
from broker.domain.ids import BackendName, HostId

PREFIX: Final = "agentbroker:"
INSTALLATION: Final = "agentbroker:installation"
BACKEND: Final = "agentbroker:backend"
ORDER: Final = "agentbroker:order"
"""Names the order's token without giving it away."""
HOST: Final = "agentbroker:host"
"""The host of an order for one."""
HOSTS: Final = "agentbroker:hosts-"
"""With a number: the hosts of an order for many, each in 8 characters."""
CONNECT_BY: Final = "agentbroker:connect-by"
"""`public` where the host is reached so; missing where not."""
SIGNATURE: Final = "agentbroker:signature"

_MOST_TAGS: Final = 20
_LONGEST_KEY: Final = 128
_LONGEST_VALUE: Final = 128
"""API reference, RunInstances: `Tag`."""
_LONGEST_TOKEN: Final = 64
_HOST_ID: Final = re.compile(r"h-([0-9a-f]{12})")
_SHORT: Final = 8
_IN_ONE: Final = _LONGEST_VALUE // _SHORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """What the tags of one of our instances say: the order that made it, and the order's hosts."""

    order: str
    hosts: tuple[HostId, ...]
    connect_by: str = "private"

    def mapping(self, refs: Iterable[str]) -> dict[str, HostId]:
        """Which instance is which host. One more than was asked for is a host that nobody has."""
        places = sorted(refs)
        extra = HostId(f"h-{self.order[:12]}")
        return {ref: self.hosts[n] if n < len(self.hosts) else extra for n, ref in enumerate(places)}


class Ownership:
    """Marks instances as ours and tells them from others, copied tags among them."""

    def __init__(self, backend: BackendName, installation: str, sign: Callable[[str], str]) -> None:
        """`sign` gives the same text the same signature, and nobody else can."""
        self._backend = backend
        self._installation = installation
        self._sign = sign

    def order_id(self, token: str) -> str:
        """The same for the same order, and for no other of any broker."""
        text = f"{self._installation}\n{self._backend}\n{token}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def client_token(self, order: HostOrder) -> str:
        """The order's own token, or a hash of one that the API would not take."""
        token = order.token
        fits = len(token) <= _LONGEST_TOKEN and token.isascii() and token.isprintable()
        return token if fits else hashlib.sha256(token.encode()).hexdigest()

    def owned(self, order: HostOrder, connect_by: str) -> Owned:
        """What the tags of instances of this order say."""
        return Owned(order=self.order_id(order.token), hosts=order.hosts, connect_by=connect_by)

    def tags(self, order: HostOrder, own: Mapping[str, str], connect_by: str) -> list[dict[str, str]]:
        """What an instance of this order carries: our marks, the pool's own tags, then what people look for.

        The API takes 20: of an order for 100 hosts the marks are twelve. What does not fit is left out, the last first.
        """
        marks = {INSTALLATION: self._installation, BACKEND: self._backend, ORDER: self.order_id(order.token)}
        marks |= _told_hosts(order.hosts)
        if connect_by == "public":
            marks[CONNECT_BY] = connect_by
        marks[SIGNATURE] = self._signature(marks)
        told = {
            "pool": order.pool.name,
            "policy": order.policy,
            "controller": order.controller,
            "job": order.job,
            "build": order.build_url,
        }
        own = {clean(name, _LONGEST_KEY): clean(value) for name, value in own.items() if _is_free(name)}
        people = {PREFIX + name: clean(value) for name, value in told.items() if value}
        own.pop(MANAGED_BY, None)
        tags = {MANAGED_BY: AGENTBROKER} | marks | {name: value for name, value in own.items() if name} | people
        return [{"Key": name, "Value": value} for name, value in list(tags.items())[:_MOST_TAGS]]

    @property
    def searched(self) -> list[dict[str, str]]:
        """The tags that narrow a listing to what may be ours."""
        return [{"Key": INSTALLATION, "Value": self._installation}, {"Key": BACKEND, "Value": self._backend}]

    def of(self, instance: Mapping[str, Any]) -> Owned | None:
        """Whose an instance is, as DescribeInstances tells it; None if it is not ours, whatever its tags say."""
        tags = tags_of(instance)
        marks = {name: value for name, value in tags.items() if _is_mark(name)}
        signed = hmac.compare_digest(tags.get(SIGNATURE, "").encode(), self._signature(marks).encode())
        ours = tags.get(INSTALLATION) == self._installation and tags.get(BACKEND) == self._backend
        hosts = _hosts_in(tags) if signed and ours else ()
        if not hosts:
            return None
        return Owned(order=tags[ORDER], hosts=hosts, connect_by=tags.get(CONNECT_BY, "private"))

    def is_marked(self, instance: Mapping[str, Any]) -> bool:
        """Whether its tags say that it is ours, be it true or not."""
        return tags_of(instance).get(INSTALLATION) == self._installation

    def _signature(self, marks: Mapping[str, str]) -> str:
        said = "\n".join(f"{name}={marks[name]}" for name in sorted(marks) if name != SIGNATURE)
        return self._sign(f"alibaba-ecs\n{said}")


def tags_of(instance: Mapping[str, Any]) -> dict[str, str]:
    """The tags of an instance."""
    listed: Sequence[Mapping[str, Any]] = (instance.get("Tags") or {}).get("Tag") or ()
    return {str(tag.get("TagKey") or ""): str(tag.get("TagValue") or "") for tag in listed}


def _is_mark(name: str) -> bool:
    return name in {INSTALLATION, BACKEND, ORDER, HOST, CONNECT_BY} or name.startswith(HOSTS)


def _told_hosts(hosts: Sequence[HostId]) -> dict[str, str]:
    if len(hosts) == 1:
        return {HOST: hosts[0]}
    short = "".join(_shortened(host) for host in hosts)
    step = _IN_ONE * _SHORT
    return {f"{HOSTS}{n // step + 1}": short[n : n + step] for n in range(0, len(short), step)}


def _hosts_in(tags: Mapping[str, str]) -> tuple[HostId, ...]:
    if HOST in tags:
        return (HostId(tags[HOST]),)
    numbers = sorted(int(name.removeprefix(HOSTS)) for name in tags if re.fullmatch(rf"{HOSTS}[0-9]{{1,2}}", name))
    short = "".join(tags[f"{HOSTS}{number}"] for number in numbers)
    return tuple(_lengthened(short[n : n + _SHORT]) for n in range(0, len(short), _SHORT))


def _shortened(host: HostId) -> str:
    """ValueError for an id that the broker has not made."""
    match = _HOST_ID.fullmatch(host)
    if match is None:
        raise ValueError(f"{host!r} is no id of a host")
    return base64.urlsafe_b64encode(bytes.fromhex(match[1])).decode()


def _lengthened(short: str) -> HostId:
    return HostId(f"h-{base64.urlsafe_b64decode(short).hex()}")


def clean(value: str, longest: int = _LONGEST_VALUE) -> str:
    """As a tag may have it: a URL's scheme is not allowed in one, what is too long is cut."""
    plain = "".join(letter if letter.isprintable() else "_" for letter in value)
    return re.sub(r"https?://", "", plain, flags=re.IGNORECASE)[:longest].strip()


def _is_free(name: str) -> bool:
    """Whether a user's tag may be called so: neither as ours nor as the vendor's."""
    return not name.lower().startswith((PREFIX, "aliyun", "acs:"))
