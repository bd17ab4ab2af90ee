"""Client tokens: the same call again makes nothing new.

https://www.alibabacloud.com/help/en/ecs/developer-reference/how-to-ensure-idempotence: a token holds for 24 hours; a
call that failed leaves none.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from broker.demo.clouds.alibaba import errors
from broker.demo.clouds.model import ApiError, Parameters

VALID_S: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class _Used:
    at: float
    request: str
    answer: Parameters


@dataclass(slots=True)
class Tokens:
    """Those of a region, each for one action."""

    _used: dict[tuple[str, str], _Used] = field(default_factory=dict)

    def answer(self, action: str, request: Mapping[str, Any], now: float) -> Parameters | None:
        """What the same request was answered, None if it is new; raises ApiError if another one had its token."""
        token = request.get("ClientToken")
        if token is None:
            return None
        if not (token.isascii() and token.isprintable() and 1 <= len(token) <= 64):
            raise ApiError("InvalidClientToken.ValueNotSupported", "The ClientToken provided is invalid.")
        used = self._used.get((action, token))
        if used is None or now - used.at >= VALID_S:
            return None
        if used.request != _content(request):
            raise errors.token_mismatch()
        return used.answer

    def keep(self, action: str, request: Mapping[str, Any], now: float, answer: Parameters) -> Parameters:
        """Remembers what a request was answered, and gives it."""
        if request.get("ClientToken") is not None:
            self._used[action, request["ClientToken"]] = _Used(now, _content(request), answer)
        return answer


def _content(request: Mapping[str, Any]) -> str:
    return json.dumps({**request, "ClientToken": ""}, sort_keys=True)
