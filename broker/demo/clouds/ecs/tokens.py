"""Client tokens of RunTask: the same call again makes nothing new.

https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html: 24 hours, within a cluster; a call that
failed leaves no token.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from broker.demo.clouds.ecs import errors

VALID_S: Final = 24 * 3600.0
_TOKEN: Final = re.compile(r"[!-~]{1,64}")


@dataclass(frozen=True, slots=True)
class _Used:
    at: float
    request: str
    tasks: list[str]


@dataclass(slots=True)
class Tokens:
    """Those of all clusters."""

    _used: dict[tuple[str, str], _Used] = field(default_factory=dict)

    def made(self, cluster: str, request: Mapping[str, Any], now: float) -> list[str] | None:
        """The ARNs that the same request made, None if it is new; ConflictException if another one had its token."""
        token = request.get("clientToken")
        if token is None:
            return None
        if not _TOKEN.fullmatch(token):
            raise errors.invalid("clientToken must have 1 to 64 characters in the range of 33-126.")
        used = self._used.get((cluster, token))
        if used is None or now - used.at >= VALID_S:
            return None
        if used.request != _content(request):
            raise errors.conflict("The client token was used with different parameters.", used.tasks)
        return used.tasks

    def keep(self, cluster: str, request: Mapping[str, Any], now: float, tasks: list[str]) -> None:
        """Remembers what a request made; nothing for one without a token or that made nothing."""
        if request.get("clientToken") is not None and tasks:
            self._used[cluster, request["clientToken"]] = _Used(now, _content(request), tasks)


def _content(request: Mapping[str, Any]) -> str:
    return json.dumps({**request, "clientToken": ""}, sort_keys=True, default=str)
