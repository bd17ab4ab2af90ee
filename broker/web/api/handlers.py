"""What each route does: ask a view or an operation, and convert. One method a route, named as the operation."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Final, cast

from aiohttp import hdrs, web

from broker.domain.ids import ControllerName, PolicyName, PoolName
from broker.domain.operators import Role
from broker.errors import NotFound
from broker.operations import Operations
from broker.reconcile.context import Context
from broker.store.history import Event
from broker.store.search import Place, Search, Wanted
from broker.version import VERSION
from broker.views.ask import ask
from broker.views.snapshot import Snapshot, take
from broker.web.api import convert
from broker.web.api import models as api
from broker.web.api import models_fleet as fleet
from broker.web.api.asks import (
    AgentsQuery,
    Draining,
    EventsQuery,
    ExplainQuery,
    Launching,
    Reloading,
    Termination,
)
from broker.web.api.auth import must_be
from broker.web.api.call import Call
from broker.web.api.errors import ApiError, unknown_name
from broker.web.api.feed import Feed
from broker.web.api.hosts import HostHandlers
from broker.web.api.launches import Launches
from broker.web.api.plans import PlanHandlers
from broker.web.api.pools import PoolHandlers
from broker.web.api.remarks import warnings
from broker.web.api.seams import Linked, Reloads, Timed
from broker.web.app import Readiness

OPENAPI_FILE: Final = "openapi.json"
_START_WINDOW: Final = timedelta(minutes=15)
_SINCE: Final = re.compile(r"(\d{1,6})(s|m|h|d)")
_LONGEST: Final = timedelta(days=36_500)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_STREAM: Final = "text/event-stream"


class Handlers(PoolHandlers, PlanHandlers, HostHandlers):
    """The operations of the API."""

    def __init__(
        self,
        ctx: Context,
        readiness: Readiness,
        gateways: Callable[[], Sequence[Linked]],
        reloads: Reloads,
        timed: Timed,
    ) -> None:
        """Begins the broker's uptime."""
        self._reloads = reloads
        self._ctx = ctx
        self._readiness = readiness
        self._gateways = gateways
        self._search = Search(ctx.database)
        self._operations = Operations(ctx)
        super().__init__(ctx, self._operations, timed)
        HostHandlers.__init__(self, ctx, self._operations)
        self._launches = Launches(ctx, self._operations)
        self._started_at = ctx.clock.now()
        self._openapi = (files("broker.web.api") / OPENAPI_FILE).read_bytes()
        self.feed = Feed(ctx.history, ctx.clock)

    async def get_status(self, call: Call) -> fleet.Status:
        """The broker in a page."""
        snapshot, words = await take(self._ctx), call.caller.words
        parts = [fleet.Part(name=c.name, ok=c.ok, detail=c.detail) for c in await self._readiness()]
        starts = sorted(await self._search.start_times(snapshot.now - _START_WINDOW))
        pools = self._pools(snapshot, words)
        controllers = tuple(convert.to_controller(name, snapshot) for name in snapshot.definitions.controllers)
        file, loaded_at = self._reloads.read_last()
        return fleet.Status(
            version=VERSION,
            revision=snapshot.definitions.revision,
            config=file,
            config_loaded_at=loaded_at,
            started_at=self._started_at,
            up_s=max(0.0, (snapshot.now - self._started_at).total_seconds()),
            ready=all(part.ok for part in parts),
            parts=tuple(parts),
            gateways=tuple(_to_gateway(linked) for linked in self._gateways()),
            controllers=controllers,
            pools=pools,
            limits=convert.broker_limits(snapshot),
            agents=convert.to_counts(snapshot.agents),
            start_p95_s=starts[int(len(starts) * 0.95)].total_seconds() if starts else None,
            cost_per_hour=convert.cost_per_hour(snapshot),
            currency=snapshot.definitions.currency,
            last_event=await self._ctx.history.last_number(),
            warnings=tuple(warnings(pools, controllers, snapshot)),
        )

    async def list_agents(self, call: Call) -> api.Agents:
        """Agents, the oldest request first."""
        query, words = cast(AgentsQuery, call.query), call.caller.words
        wanted = Wanted(
            controller=query.controller, policy=query.policy, pool=query.pool, phase=query.phase, gone=query.all
        )
        behind = _place(query.after) if query.after else None
        found = await self._search.agents(wanted, limit=query.limit + 1, behind=behind)
        snapshot = await take(self._ctx)
        items = tuple(convert.to_agent(agent, snapshot, words) for agent in found[: query.limit])
        last = found[query.limit - 1] if len(found) > query.limit else None
        return api.Agents(items=items, next=_cursor(last.requested_at, last.name) if last else None)

    async def get_agent(self, call: Call) -> api.AgentDetail:
        """One agent with its life so far, also one that is gone."""
        return await self._detail(call.name, await take(self._ctx), call)

    async def terminate_agent(self, call: Call) -> api.AgentDetail:
        """Ends an agent; one that runs a build only by force."""
        asked = cast(Termination, call.body)
        agent = await self._operations.terminate(call.name, call.caller.actor, asked.reason, force=asked.force)
        return await self._detail(agent.name, await take(self._ctx), call)

    async def drain_agent(self, call: Call) -> api.AgentDetail:
        """Lets an agent take no new build, and end with the one that it runs."""
        asked = cast(Draining, call.body)
        agent = await self._operations.drain(call.name, call.caller.actor, asked.reason)
        return await self._detail(agent.name, await take(self._ctx), call)

    async def launch_agents(self, call: Call) -> api.Launch:
        """Launches agents by hand: Jenkins names them though no build waits."""
        launch = await self._launches.keep(cast(Launching, call.body), call.caller.actor)
        return await self._launches.shown(launch, call.caller.words)

    async def get_launch(self, call: Call) -> api.Launch:
        """One launch by hand, with its agents."""
        return await self._launches.shown(await self._launches.known(call.name), call.caller.words)

    async def list_policies(self, call: Call) -> fleet.Policies:
        """All policies, and how their pools stand."""
        snapshot, words = await take(self._ctx), call.caller.words
        policies = snapshot.definitions.policies.values()
        return fleet.Policies(items=tuple(convert.to_policy(policy, snapshot, words) for policy in policies))

    async def get_policy(self, call: Call) -> fleet.Policy:
        """One policy, and how its pools stand."""
        snapshot = await take(self._ctx)
        policy = snapshot.definitions.policies.get(PolicyName(call.name))
        if policy is None:
            raise unknown_name("policy", call.name, list(snapshot.definitions.policies))
        return convert.to_policy(policy, snapshot, call.caller.words)

    async def list_controllers(self, _call: Call) -> fleet.Controllers:
        """All controllers and their links."""
        snapshot = await take(self._ctx)
        names = snapshot.definitions.controllers
        return fleet.Controllers(items=tuple(convert.to_controller(name, snapshot) for name in names))

    async def explain(self, call: Call) -> api.Explanation:
        """Why it is so, and what to type next."""
        query, words = cast(ExplainQuery, call.query), call.caller.words
        controller = ControllerName(query.controller) if query.controller else None
        found = await ask(self._ctx, query.what, words, controller)
        detail = await self._detail(found.agent.name, await take(self._ctx), call) if found.agent else None
        return convert.to_explanation(found, detail)

    async def list_events(self, call: Call) -> api.Events | web.StreamResponse:
        """What happened: a list, or with `Accept: text/event-stream` a stream that goes on."""
        query, request = cast(EventsQuery, call.query), call.request
        if query.audit:
            must_be(Role.OPERATOR, call.caller, "read what operators did")
        words, controller = call.caller.words, ControllerName(query.controller) if query.controller else None
        streams = _STREAM in request.headers.get(hdrs.ACCEPT, "")
        after = await self._begin(query, request.headers.get("Last-Event-ID", "") if streams else "", streams=streams)

        def chosen(event: Event) -> bool:
            return _is_chosen(event, query)

        if streams:
            return await self.feed.stream(request, after, chosen, lambda event: convert.to_event(event, words))
        found, last, more = await self.feed.read(after, chosen, controller, query.limit)
        return api.Events(items=tuple(convert.to_event(event, words) for event in found), last=last, more=more)

    async def get_config(self, _call: Call) -> fleet.Config:
        """All that the config in force says."""
        timed = self._timed.shown()
        pools = {one.pool: convert.to_overrides(PoolName(one.pool), timed) for one in timed}
        return fleet.Config(revision=self._ctx.definitions.revision, content=self._reloads.shown(), overrides=pools)

    async def reload_config(self, call: Call) -> fleet.Reload:
        """Reads the config anew and puts it in force: all of it or nothing."""
        asked = cast(Reloading, call.body)
        done = await (self._reloads.preview() if asked.dry_run else self._reloads.reload(str(call.caller.actor)))
        return fleet.Reload(
            dry_run=asked.dry_run,
            revision=done.revision,
            changed=done.changed,
            needs_restart=done.needs_restart,
            policies=done.policies,
            agents=done.agents,
            ending=done.ending,
            lines=tuple(done.lines()),
        )

    async def get_openapi(self, _call: Call) -> web.Response:
        """This description."""
        return web.Response(body=self._openapi, content_type="application/json")

    async def _begin(self, query: EventsQuery, last_event_id: str, *, streams: bool) -> int:
        if last_event_id:
            if not re.fullmatch(r"\d{1,18}", last_event_id):
                hint = "send the id of the last event that came, or leave the header out"
                raise ApiError(400, "bad_parameter", f"Last-Event-ID {last_event_id[:40]!r}: not a number", hint)
            return int(last_event_id)
        if query.after is not None:
            return query.after
        if query.since is not None:
            return await self._search.number_before(self._ctx.clock.now() - _length(query.since))
        last = await self._ctx.history.last_number()
        return last if streams else max(0, last - query.limit)

    async def _detail(self, name: str, snapshot: Snapshot, call: Call) -> api.AgentDetail:
        agent = await self._search.named(name)
        if agent is None:
            raise NotFound(f"no agent is called {name[:80]!r}")
        events = await self._ctx.history.of_agent(agent.id)
        return convert.to_detail(agent, events, snapshot, call.caller.words)


def _to_gateway(linked: Linked) -> fleet.Gateway:
    return fleet.Gateway(
        id=linked.id,
        pid=linked.pid,
        version=linked.version,
        listen=linked.listen,
        generation=linked.generation,
        accepting=linked.accepting,
    )


def _is_chosen(event: Event, query: EventsQuery) -> bool:
    wanted = (
        (query.controller, event.controller),
        (query.agent, event.agent),
        (query.pool, event.pool),
        (query.reason, event.why),
    )
    return all(want is None or want == is_ for want, is_ in wanted) and (not query.audit or bool(event.actor))


def _length(text: str) -> timedelta:
    found = _SINCE.fullmatch(text)
    if found is None:
        raise ApiError(
            400, "bad_parameter", f"query parameter 'since': {text!r} is no duration", "write 90s, 15m, 1h or 2d"
        )
    return min(timedelta(**{_UNITS[found[2]]: int(found[1])}), _LONGEST)


def _cursor(requested_at: datetime, name: str) -> str:
    return base64.urlsafe_b64encode(f"{requested_at.isoformat()} {name}".encode()).decode().rstrip("=")


def _place(cursor: str) -> Place:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        moment, _, name = text.partition(" ")
        return Place(datetime.fromisoformat(moment).astimezone(UTC), name)
    except (binascii.Error, ValueError, OverflowError):
        hint = "take it from `next` of the answer before, or leave it out"
        raise ApiError(400, "bad_parameter", "query parameter 'after': not a place in the list", hint) from None
