"""Who calls: by token, or this machine alone where the config names no tokens (design D16)."""

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web
from yarl import URL

from broker.domain.operators import Operator, Role
from broker.operations import Actor
from broker.views.words import Words
from broker.web.api.errors import ApiError

_FORWARDING: Final = frozenset({"forwarded", "via", "x-real-ip"})
_HINT: Final = "configure server.auth.tokens, and send one: Authorization: Bearer TOKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who has called, from where, and what for."""

    name: str
    role: Role
    peer: str

    @property
    def words(self) -> Words:
        """What this caller may read."""
        return Words(raw=self.role is Role.OPERATOR)

    @property
    def actor(self) -> Actor:
        """As the history names the caller."""
        return Actor(self.name, self.peer)


def caller_of(request: web.Request, operators: Sequence[Operator], *, loopback: bool) -> Caller:
    """Who calls; raises `ApiError` 401 or 403. `loopback` says that the listener is bound to this machine alone."""
    peer = request.remote or ""
    if not operators:
        _must_be_local(request, loopback=loopback)
        return Caller(name="local", role=Role.OPERATOR, peer=peer)
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        hint = "send Authorization: Bearer TOKEN; with the CLI: --token-file FILE or AGENTBROKER_TOKEN_FILE"
        raise ApiError(401, "token_needed", "this API needs an operator's token", hint)
    digest = hashlib.sha256(token.strip().encode(errors="surrogateescape")).hexdigest()  # as the bytes came
    found = [o for o in operators if hmac.compare_digest(o.token_sha256, digest)]
    if not found:
        raise ApiError(401, "token_unknown", "the token is not known", "check the token file, and server.auth.tokens")
    return Caller(name=found[0].name, role=found[0].role, peer=peer)


def must_be(role: Role, caller: Caller, what: str) -> None:
    """Raises `ApiError` 403 for a viewer who wants what only operators may."""
    if role is Role.OPERATOR and caller.role is not Role.OPERATOR:
        hint = "use a token whose role is operator"
        raise ApiError(403, "not_allowed", f"{caller.name} is a viewer and may not {what}", hint)


def _must_be_local(request: web.Request, *, loopback: bool) -> None:
    """Without tokens: from this machine, through no proxy, and from no page of another origin (DNS rebinding)."""
    if not loopback:
        raise ApiError(401, "token_needed", "no tokens are configured, and the listener is not on loopback", _HINT)
    names = [name.lower() for name in request.headers]
    if any(name in _FORWARDING or name.startswith("x-forwarded-") for name in names):
        raise ApiError(401, "token_needed", "no tokens are configured, and the call came through a proxy", _HINT)
    if not _is_loopback(_host(request.headers.get(hdrs.HOST, ""))):
        raise ApiError(401, "token_needed", "no tokens are configured, and the Host header is not loopback", _HINT)
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and origin.partition("://")[2] != request.headers.get(hdrs.HOST):
        raise ApiError(403, "foreign_origin", "no tokens are configured, and a page of another origin calls", _HINT)


def _host(header: str) -> str:
    try:
        return URL(f"//{header}").host or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
