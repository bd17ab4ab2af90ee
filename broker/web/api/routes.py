"""The table of routes: what the app serves and what openapi.json says are both made from it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from pydantic import BaseModel

from broker.domain.operators import Role
from broker.web.api import models as api
from broker.web.api import models_fleet as fleet
from broker.web.api import models_hosts as hosts
from broker.web.api.asks import (
    AgentsQuery,
    Draining,
    EventsQuery,
    ExplainQuery,
    HostsWanted,
    Lasting,
    Launching,
    NoQuery,
    PlanQuery,
    Query,
    Reloading,
    Resuming,
    Setting,
    Termination,
    Unsetting,
)
from broker.web.api.call import Call
from broker.web.api.handlers import Handlers
from broker.web.api.models_plan import Plan, Standing

PREFIX: Final = "/api/v1"
Handler = Callable[[Handlers, Call], Awaitable[api.Model | web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route. `answer` None is a JSON object without a model; `name` is the pattern of the name in the path."""

    method: str
    path: str
    handler: Handler
    answer: type[api.Model] | None
    query: type[Query] = NoQuery
    body: type[BaseModel] | None = None
    role: Role = Role.VIEWER
    statuses: tuple[int, ...] = ()
    streams: bool = False
    """Whether it can answer with a stream of events, too."""

    @property
    def operation(self) -> str:
        """The name of the operation: that of its handler."""
        return self.handler.__name__

    @property
    def summary(self) -> str:
        """What it does, in a line."""
        return (self.handler.__doc__ or "").strip()

    @property
    def pattern(self) -> str:
        """The path as aiohttp takes it."""
        return self.path.replace("{name}", "{name:[A-Za-z0-9_.-]+}")


_OF_POOLS: Final[tuple[tuple[str, Handler, type[api.Model], type[BaseModel]], ...]] = (
    ("pause", Handlers.pause_pool, fleet.Pool, Lasting),
    ("drain", Handlers.drain_pool, fleet.Pool, Lasting),
    ("resume", Handlers.resume_pool, fleet.Pool, Resuming),
    ("set", Handlers.set_pool_key, fleet.PoolChange, Setting),
    ("unset", Handlers.unset_pool_key, fleet.PoolChange, Unsetting),
)
"""What operators do with a pool: the verb behind its name, its handler, its answer and its body."""

ROUTES: Final = (
    Route(method="GET", path="/status", handler=Handlers.get_status, answer=fleet.Status),
    Route(method="GET", path="/agents", handler=Handlers.list_agents, answer=api.Agents, query=AgentsQuery),
    Route(method="GET", path="/agents/{name}", handler=Handlers.get_agent, answer=api.AgentDetail, statuses=(404,)),
    Route(
        method="POST",
        path="/agents/{name}:terminate",
        handler=Handlers.terminate_agent,
        answer=api.AgentDetail,
        body=Termination,
        role=Role.OPERATOR,
        statuses=(404, 409, 413, 415),
    ),
    Route(
        method="POST",
        path="/agents/{name}:drain",
        handler=Handlers.drain_agent,
        answer=api.AgentDetail,
        body=Draining,
        role=Role.OPERATOR,
        statuses=(404, 413, 415),
    ),
    Route(
        method="POST",
        path="/launches",
        handler=Handlers.launch_agents,
        answer=api.Launch,
        body=Launching,
        role=Role.OPERATOR,
        statuses=(404, 409, 413, 415),
    ),
    Route(method="GET", path="/launches/{name}", handler=Handlers.get_launch, answer=api.Launch, statuses=(404,)),
    Route(method="GET", path="/pools", handler=Handlers.list_pools, answer=fleet.Pools),
    Route(method="GET", path="/pools/{name}", handler=Handlers.get_pool, answer=fleet.Pool, statuses=(404,)),
    *(
        Route(
            method="POST",
            path=f"/pools/{{name}}:{verb}",
            handler=handler,
            answer=answer,
            body=body,
            role=Role.OPERATOR,
            statuses=(404, 409, 413, 415, 422),
        )
        for verb, handler, answer, body in _OF_POOLS
    ),
    Route(method="GET", path="/hosts", handler=Handlers.list_hosts, answer=hosts.Hosts),
    Route(method="GET", path="/hosts/{name}", handler=Handlers.get_host, answer=hosts.Host, statuses=(404,)),
    Route(
        method="POST",
        path="/hosts",
        handler=Handlers.create_hosts,
        answer=hosts.Hosts,
        body=HostsWanted,
        role=Role.OPERATOR,
        statuses=(404, 409, 413, 415),
    ),
    Route(
        method="POST",
        path="/hosts/{name}:drain",
        handler=Handlers.drain_host,
        answer=hosts.Host,
        body=Draining,
        role=Role.OPERATOR,
        statuses=(404, 413, 415),
    ),
    Route(
        method="POST",
        path="/hosts/{name}:delete",
        handler=Handlers.delete_host,
        answer=hosts.Host,
        body=Termination,
        role=Role.OPERATOR,
        statuses=(404, 409, 413, 415),
    ),
    Route(method="GET", path="/policies", handler=Handlers.list_policies, answer=fleet.Policies),
    Route(method="GET", path="/policies/{name}", handler=Handlers.get_policy, answer=fleet.Policy, statuses=(404,)),
    Route(method="GET", path="/controllers", handler=Handlers.list_controllers, answer=fleet.Controllers),
    Route(
        method="GET",
        path="/events",
        handler=Handlers.list_events,
        answer=api.Events,
        query=EventsQuery,
        streams=True,
    ),
    Route(
        method="GET",
        path="/explain",
        handler=Handlers.explain,
        answer=api.Explanation,
        query=ExplainQuery,
        statuses=(404,),
    ),
    Route(method="GET", path="/plan", handler=Handlers.get_plan, answer=Plan, query=PlanQuery, statuses=(404,)),
    Route(method="GET", path="/placement", handler=Handlers.get_placement, answer=Standing, role=Role.OPERATOR),
    Route(method="GET", path="/config", handler=Handlers.get_config, answer=fleet.Config, role=Role.OPERATOR),
    Route(
        method="POST",
        path="/reload",
        handler=Handlers.reload_config,
        answer=fleet.Reload,
        body=Reloading,
        role=Role.OPERATOR,
        statuses=(413, 415, 422),
    ),
    Route(method="GET", path="/openapi.json", handler=Handlers.get_openapi, answer=None),
)
