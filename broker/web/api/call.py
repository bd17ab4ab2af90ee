"""One call of the API, read and checked."""

from dataclasses import dataclass

from aiohttp import web

from broker.web.api.asks import Query
from broker.web.api.auth import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: who, what it says in its URL and its body, already checked by the route's models."""

    request: web.Request
    caller: Caller
    query: Query
    body: object

    @property
    def name(self) -> str:
        """The name in the path."""
        return self.request.match_info["name"]
