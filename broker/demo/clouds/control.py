"""How a person or a test speaks with a fake that runs in a process of its own: a little HTTP on loopback, by a token.

The address and the token are in a file that only its owner may read.
"""

import hmac
import json
import os
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from inspect import isawaitable
from pathlib import Path
from typing import Any

from aiohttp import web

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ecs.knobs import cannot_pull
from broker.demo.clouds.faults import Fault
from broker.demo.clouds.remote import FILE, Control
from broker.demo.files import write_private

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


Deeds = Mapping[str, Callable[[dict[str, Any]], object]]
"""What a fake can be told, by name: each takes what was said, and gives what is answered, or the awaitable of it."""


@asynccontextmanager
async def controlled(fake: FakeAws, url: str, directory: Path) -> AsyncIterator[Control]:
    """Lets a fake be controlled while it is entered; `url` is where it serves."""
    does = {
        "state": _state,
        "faults": _fault,
        "clear": _clear,
        "throttles": _throttle,
        "interrupt": _interrupt,
        "unpullable": _unpullable,
        "capacity": _capacity,
        "no-capacity": _no_capacity,
    }
    async with told(url, directory / FILE, {name: partial(act, fake) for name, act in does.items()}) as control:
        yield control


@asynccontextmanager
async def told(url: str, file: Path, does: Deeds) -> AsyncIterator[Control]:
    """Does what it is told by whoever has read `file`, while it is entered; `url` is where the fake serves."""
    token = secrets.token_hex(16)
    runner = web.AppRunner(_application(does, token), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        control = Control(url=url, control=f"http://{host}:{port}/", token=token)
        _publish(file, {"url": url, "control": control.control, "token": token})
        yield control
    finally:
        _withdraw(file)
        await runner.cleanup()


def _publish(file: Path, content: dict[str, str]) -> None:
    fresh = file.with_suffix(".new")
    write_private(fresh, json.dumps(content))
    os.replace(fresh, file)  # noqa: PTH105  # whoever looks sees all of it or nothing


def _withdraw(file: Path) -> None:
    file.unlink(missing_ok=True)


def _application(does: Deeds, token: str) -> web.Application:
    @web.middleware
    async def known(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not hmac.compare_digest(request.headers.get("Authorization", ""), f"Bearer {token}"):
            raise web.HTTPForbidden
        return await handler(request)

    application = web.Application(middlewares=[known])

    async def answer(request: web.Request) -> web.StreamResponse:
        act = does.get(request.match_info["what"])
        if act is None:
            raise web.HTTPNotFound
        try:
            done = act(await request.json())
            return web.json_response(await done if isawaitable(done) else done)
        except (TypeError, KeyError, ValueError) as error:
            raise web.HTTPBadRequest(text=str(error)) from None

    application.router.add_post("/{what}", answer)
    return application


def _state(fake: FakeAws, _: dict[str, Any]) -> object:
    """What there is: tasks that live, calls by action and by error, what the fake got wrong, secrets that were left."""
    errors = Counter(f"{call.action} {call.code}" for call in fake.ledger if call.code)
    return {
        "tasks": [
            {"arn": task.arn, "capacity": task.capacity_provider or task.launch_type, "tags": task.tags}
            for task in fake.ecs.living
        ],
        "calls": dict(fake.ledger.by_action()),
        "errors": dict(errors),
        "problems": fake.ledger.problems,
        "secrets": len(fake.ssm.parameters) + len(fake.secretsmanager.secrets),
    }


def _fault(fake: FakeAws, said: dict[str, Any]) -> object:
    fake.faults.add(Fault(**said))
    return {}


def _clear(fake: FakeAws, _: dict[str, Any]) -> object:
    fake.faults.clear()
    fake.ecs.open_capacity()
    return {}


def _throttle(fake: FakeAws, said: dict[str, Any]) -> object:
    fake.throttles.limit(said["family"], burst=float(said["burst"]), rate=float(said["rate"]))
    return {}


def _interrupt(fake: FakeAws, said: dict[str, Any]) -> object:
    """Takes back the machine of a task, of any that runs on spot capacity if none is named."""
    named = said.get("arn")
    spot = [task.arn for task in fake.ecs.living if task.capacity_provider == "FARGATE_SPOT"]
    arn = named or (spot[0] if spot else None)
    if arn is None:
        raise ValueError("no task runs on spot capacity")
    fake.ecs.interrupt(arn)
    return {"arn": arn}


def _unpullable(fake: FakeAws, said: dict[str, Any]) -> object:
    """The image of so many tasks to come cannot be had."""
    fake.ecs.fate_next(cannot_pull(str(said["image"])), int(said.get("times", 1)))
    return {}


def _capacity(fake: FakeAws, said: dict[str, Any]) -> object:
    """A capacity provider has no capacity; without a name all have again."""
    if provider := said.get("closed"):
        fake.ecs.close_capacity(str(provider))
    else:
        fake.ecs.open_capacity()
    return {}


def _no_capacity(fake: FakeAws, _: dict[str, Any]) -> object:
    """Fargate has no capacity at all, until `clear`."""
    for provider in ("FARGATE_SPOT", "FARGATE"):
        fake.ecs.close_capacity(provider)
    return {}
