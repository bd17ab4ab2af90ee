"""The description of the API is that of the app: generated, valid, whole, and kept by what the app answers."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

from broker.domain.policy import AgentLimits
from broker.domain.pool import Cooldown
from broker.domain.reason import Reason
from broker.errors import BackendRejected
from broker.telemetry import labels
from broker.testing.factories import make_definitions, make_policy, make_pool
from broker.web.api import openapi
from broker.web.api.app import mount
from broker.web.api.routes import PREFIX, ROUTES
from tests.unit.web.api_world import Api, running_api
from tests.unit.web.sse import streaming

FILE = Path(openapi.__file__).with_name("openapi.json")
COMMITTED: dict[str, Any] = json.loads(FILE.read_text())


def test_the_committed_description_is_what_the_routes_make() -> None:
    assert FILE.read_text() == openapi.text(), "run make docs"


def test_an_independent_validator_finds_no_fault_in_it() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(COMMITTED).iter_errors()] == []


async def test_every_route_of_the_app_is_in_it_and_nothing_else(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        app = web.Application()
        mount(app, api.handlers, api.core.ctx, loopback=True)
        served = {
            (
                route.method.lower(),
                route.resource.canonical.removeprefix(PREFIX).replace("{name:[A-Za-z0-9_.-]+}", "{name}"),
            )
            for route in app.router.routes()
            if route.resource is not None and route.method != "HEAD"
        }
    described = {(method, path) for path, methods in COMMITTED["paths"].items() for method in methods}
    assert served - {("*", "")} == described


def test_every_path_has_its_series_in_the_metrics() -> None:
    assert {PREFIX + route.path for route in ROUTES} <= labels.ENDPOINTS


def validate(answer: Any, path: str, status: int = 200, method: str = "get") -> None:
    shape = COMMITTED["paths"][path][method]["responses"][str(status)]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator({**shape, "components": COMMITTED["components"]}).validate(answer)


async def a_busy_broker(api: Api) -> None:
    """One agent online, one gone, one that failed once and waits for a cooling pool."""
    await api.core.start("linux-000001")
    await api.core.start("linux-000002")
    await api.core.release("linux-000002")
    await api.core.advance(3)
    api.core.backend.next_launch_raises(BackendRejected("Denied", "no", Reason.ACCESS_DENIED))
    await api.core.ask("linux-000003")
    await api.core.advance(3)


async def test_what_the_app_answers_is_as_described(tmp_path: Path) -> None:
    definitions = make_definitions(
        pools=[make_pool(cooldown=Cooldown(after_failures=1))], policies=[make_policy(limits=AgentLimits(agents=9))]
    )
    async with running_api(tmp_path, definitions) as api:
        await a_busy_broker(api)
        for path, asked in [
            ("/status", "status"),
            ("/agents", "agents?all=1"),
            ("/agents/{name}", "agents/linux-000001"),
            ("/agents/{name}", "agents/linux-000002"),
            ("/agents/{name}", "agents/linux-000003"),
            ("/pools", "pools"),
            ("/pools/{name}", "pools/it"),
            ("/policies", "policies"),
            ("/policies/{name}", "policies/linux"),
            ("/controllers", "controllers"),
            ("/events", "events?after=0"),
            ("/explain", "explain?what=linux-000003"),
            ("/explain", "explain?what=pool it"),
            ("/explain", "explain?what=label a %26%26 b"),
            ("/openapi.json", "openapi.json"),
        ]:
            validate(await api.get(asked), path)
        ended = await api.call("POST", "agents/linux-000001:terminate", json={"reason": "x"})
        validate(ended.json, "/agents/{name}:terminate", 200, "post")
        assert len((await api.get("agents?all=1"))["items"]) == 3


async def test_refusals_and_events_of_a_stream_are_as_described(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        for path, asked, status in [
            ("/agents", "agents?x=1", 400),
            ("/agents/{name}", "agents/x", 404),
            ("/explain", "explain?what=x", 404),
        ]:
            answer = await api.call("GET", asked)
            assert answer.status == status
            validate(answer.json, path, status)
        await api.core.ask("linux-000001")
        async with streaming(api.http, api.url("events?after=0")) as stream:
            event = (await stream.next()).data
        shape = {"$ref": "#/components/schemas/Event", "components": COMMITTED["components"]}
        jsonschema.Draft202012Validator(shape).validate(event)


async def test_it_is_served_as_committed(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        assert await api.get("openapi.json") == COMMITTED


def test_a_wrong_answer_would_be_noticed() -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate({"items": [{"kind": "Pool"}]}, "/pools")


def test_every_reason_is_named() -> None:
    assert set(COMMITTED["components"]["schemas"]["Reason"]["enum"]) == set(Reason)
