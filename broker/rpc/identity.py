"""Who calls: the controller of the token, which a client certificate may not contradict."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

import grpc.aio

from broker.domain.definitions import Controller, Definitions
from broker.domain.ids import ControllerName
from broker.errors import BrokerError

_HINT = "send 'authorization: Bearer TOKEN' with the token whose SHA-256 stands at controllers.NAME.token_sha256"
_NAMES = ("x509_common_name", "x509_subject_alternative_name")
"""What gRPC tells of a verified client certificate (grpc/grpc_security_constants.h)."""


class NoToken(BrokerError):
    """The call carries no token of a controller, or one that has been taken back."""


class NotThisController(BrokerError):
    """The client certificate is another controller's than the token."""


def caller(context: grpc.aio.ServicerContext[Any, Any], definitions: Definitions) -> ControllerName:
    """The controller that calls. Raises `NoToken`.

    Where clients show certificates, one that names configured controllers speaks for these only, so that a token that
    was taken from one controller is of no use to another. Raises `NotThisController`.
    """
    found = _owner_of(_token(context.invocation_metadata()), definitions.controllers.values())
    if found is None:
        raise NoToken(f"no token of a controller of this broker; {_HINT}")
    named = _named(context.auth_context(), definitions.controllers)
    if named and found not in named:
        who = " and ".join(sorted(named))
        raise NotThisController(
            f"the client certificate is of {who}, the token of {found}: use those of one controller"
        )
    return found


def has_token(metadata: Any, definitions: Definitions) -> bool:
    """Whether a call's metadata hold the token of a controller."""
    return _owner_of(_token(metadata), definitions.controllers.values()) is not None


def _token(metadata: Any) -> str:
    given = next((v for k, v in metadata or () if k == "authorization"), "")
    text = given if isinstance(given, str) else given.decode("latin-1")
    kind, _, token = text.partition(" ")
    return token if kind.lower() == "bearer" else ""


def _owner_of(token: str, controllers: Iterable[Controller]) -> ControllerName | None:
    """Whose token it is; looks at all of them, so that the time tells nothing."""
    digest = hashlib.sha256(token.encode()).hexdigest() if token else ""
    found = None
    for controller in controllers:
        for known in controller.token_sha256:
            if hmac.compare_digest(known, digest):
                found = controller.name
    return found


def _named(shown: Mapping[str, Iterable[bytes]], controllers: Iterable[ControllerName]) -> set[ControllerName]:
    """The controllers that a certificate names, by its common name or an alternative name."""
    names = {name.decode("utf-8", "replace") for key in _NAMES for name in shown.get(key, ())}
    return {controller for controller in controllers if controller in names}
