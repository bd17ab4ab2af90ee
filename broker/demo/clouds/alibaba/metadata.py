"""The metadata of an instance, as far as credentials need it: the keys of its RAM role, by a token.

https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata: PUT /latest/api/token for a token, then
GET /latest/meta-data/ram/security-credentials/ROLE with it.
"""

import json
import secrets
from datetime import datetime, timedelta
from typing import Final

from aiohttp import web

from broker.demo.clouds.alibaba.formats import told_exactly
from broker.demo.clouds.alibaba.sts import session
from broker.demo.clouds.alibaba.world import World

_TTL: Final = "X-aliyun-ecs-metadata-token-ttl-seconds"
_TOKEN: Final = "X-aliyun-ecs-metadata-token"  # noqa: S105 -- the name of a header
_CREDENTIALS: Final = "/latest/meta-data/ram/security-credentials/"
_LIFE_S: Final = 6 * 3600.0


class Metadata:
    """What the instance sees on which the broker runs: `role` is its RAM role, "" if it has none."""

    def __init__(self, world: World) -> None:
        """An instance without a role, which wants tokens."""
        self._world = world
        self.role = ""
        self.tokens_required = True
        """Whether only the hardened mode is there."""
        self.requests: list[str] = []
        """What was asked, method and path, in order."""
        self._tokens: dict[str, datetime] = {}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        self.requests.append(f"{request.method} {request.path}")
        if request.path == "/latest/api/token":
            return self._token(request)
        if request.method != "GET":
            return web.Response(status=405)
        given = request.headers.get(_TOKEN)
        ends = self._tokens.get(given or "")
        if (given is None and self.tokens_required) or (given is not None and not self._is_good(ends)):
            return web.Response(status=403, text="Forbidden")
        if request.path == "/latest/meta-data/region-id":
            return web.Response(text=self._world.region)
        if not request.path.startswith(_CREDENTIALS) or not self.role:
            return web.Response(status=404, text="Not Found")
        name = request.path.removeprefix(_CREDENTIALS)
        if not name:
            return web.Response(text=self.role)
        return self._credentials(name)

    def _token(self, request: web.Request) -> web.Response:
        ttl = request.headers.get(_TTL, "")
        if request.method != "PUT" or not ttl.isdigit() or not 1 <= int(ttl) <= 21600:
            return web.Response(status=400, text="Bad Request")
        token = secrets.token_urlsafe(40)
        self._tokens[token] = self._world.wall.now() + timedelta(seconds=int(ttl))
        return web.Response(text=token)

    def _is_good(self, ends: datetime | None) -> bool:
        return ends is not None and self._world.wall.now() < ends

    def _credentials(self, name: str) -> web.Response:
        role = self._world.roles.known.get(name)
        if role is None or name != self.role:
            return web.Response(status=404, text="Not Found")
        key = session(self._world, role, "i-bp1broker", _LIFE_S)
        assert key.expires_at is not None
        told = {
            "Code": "Success",
            "AccessKeyId": key.access_key,
            "AccessKeySecret": key.secret,
            "SecurityToken": key.token,
            "Expiration": told_exactly(key.expires_at.timestamp()),
            "LastUpdated": told_exactly(self._world.wall.now().timestamp()),
        }
        return web.Response(text=json.dumps(told), content_type="application/json")
