"""The one HTTP endpoint of all services: signature, parameters, faults, limits, rights, and then the service."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from broker.demo.clouds.alibaba import errors, wire
from broker.demo.clouds.alibaba.errors import NotBuilt, Throttled
from broker.demo.clouds.alibaba.metadata import Metadata
from broker.demo.clouds.alibaba.service import Service
from broker.demo.clouds.alibaba.shapes import misfits
from broker.demo.clouds.alibaba.signature import Signed, missing
from broker.demo.clouds.alibaba.world import World
from broker.demo.clouds.faults import Cut, Fault, Page
from broker.demo.clouds.model import ApiError, Call, Identity, Parameters


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request is for, before anybody has looked who signed it."""

    action: str
    version: str
    signed: Signed
    parameters: Mapping[str, str]


class Front:
    """Answers requests for the services of a `World`, and those of its metadata."""

    def __init__(self, world: World, services: Sequence[Service], metadata: Metadata) -> None:
        """Services are found by the version that a request names."""
        self._world, self._metadata = world, metadata
        self._services = {service.version: service for service in services}

    def application(self) -> web.Application:
        """One that answers the API on /, and the metadata of an instance under /latest/."""
        application = web.Application(client_max_size=16 << 20)
        application.router.add_route("*", "/latest/{tail:.*}", self._metadata.answer)
        application.router.add_route("*", "/{tail:.*}", self.answer)
        return application

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request from its head to its answer."""
        body = await request.read()
        request_id = self._world.request_id()
        try:
            found = await self._result(_asked(request, body), request_id)
            return _response(200, wire.result(found, request_id), wire.CONTENT_TYPE, request_id)
        except Page as page:
            return _response(page.status, page.message.encode(), "text/html", request_id)
        except ApiError as error:
            text = wire.error(error, request_id=request_id, host=request.host)
            return _response(error.status, text, wire.CONTENT_TYPE, request_id, _retry_after(error))
        except Cut:
            if request.transport:
                request.transport.abort()
            raise asyncio.CancelledError from None

    async def _result(self, asked: _Asked, request_id: str) -> Parameters:
        if asked.signed.method not in {"GET", "POST"}:
            raise ApiError("UnsupportedHTTPMethod", "This http method is not supported.")
        if not asked.action:
            raise missing("Action")
        identity = self._world.keyring.verify(asked.signed, self._world.wall.now())
        service = self._services.get(asked.version)
        if service is None or asked.action not in service.actions:
            raise self._unknown(asked, service)
        call = self._call(service, asked, identity, request_id)
        self._world.ledger.add(call)
        try:
            result = await self._handled(call, service, asked)
            call.status = 200
            return result
        except ApiError as error:
            call.status, call.code = error.status, error.code
            raise

    def _unknown(self, asked: _Asked, service: Service | None) -> ApiError:
        if service and service.request(asked.action):
            return self._world.problem(f"{service.name} {asked.action} is not built into the fake", 501)
        if service is None:
            return ApiError("InvalidVersion", "Specified parameter Version is not valid.")
        message = "Specified api is not found, please check your url and method."
        return ApiError("InvalidAction.NotFound", message, 404)

    def _call(self, service: Service, asked: _Asked, identity: Identity, request_id: str) -> Call:
        return Call(
            service=service.name,
            action=asked.action,
            identity=identity,
            region=asked.parameters.get("RegionId") or self._world.region,
            at=self._world.clock.now(),
            monotonic=self._world.clock.monotonic(),
            request_id=request_id,
        )

    async def _handled(self, call: Call, service: Service, asked: _Asked) -> Parameters:
        shape = service.request(call.action)
        assert shape is not None, call.action
        call.parameters = wire.read(asked.parameters, shape)
        fault = self._world.faults.strikes(call)
        if fault and fault.delay_s:
            await self._world.clock.sleep_until(self._world.clock.monotonic() + fault.delay_s)
        if fault and not fault.after_effect:
            _strike(fault)
        self._world.throttles.take(call)
        self._world.rights.check(call)
        result = self._effect(call, service)
        if fault and fault.after_effect:
            _strike(fault)
        return result

    def _effect(self, call: Call, service: Service) -> Parameters:
        found = service.actions[call.action]
        try:
            found.check(call)
            if call.region not in self._world.regions:
                raise errors.no_region()
            result = found.answer(call)
        except NotBuilt as lack:
            raise self._world.problem(f"{call.action}: {lack}", 501) from None
        shape = service.reply(call.action)
        assert shape is not None, call.action
        if wrong := list(misfits(result, shape)):
            raise self._world.problem(f"the reply to {call.action} does not fit: {'; '.join(wrong)}", 500)
        return result


def _asked(request: web.Request, body: bytes) -> _Asked:
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        said = wire.fields(request.raw_path.partition("?")[2])
        is_form = request.content_type == wire.FORM
        form = wire.fields(body.decode()) if is_form and body else {}
    except ValueError:
        raise ApiError("InvalidParameter", "The query or the form cannot be read.") from None
    signed = Signed(method=request.method, path=request.raw_path, headers=headers, said=said, form=form, body=body)
    every = {**said, **form}
    return _Asked(
        action=headers.get("x-acs-action") or every.get("Action", ""),
        version=headers.get("x-acs-version") or every.get("Version", ""),
        signed=signed,
        parameters={name: value for name, value in every.items() if name not in wire.COMMON},
    )


def _strike(fault: Fault) -> None:
    try:
        fault.strike()
    except Page:
        raise
    except ApiError as error:
        if fault.retry_after_ms:
            raise _later(error, fault.retry_after_ms) from None
        raise


def _later(error: ApiError, after_ms: int) -> Throttled:
    later = Throttled(error.code, error.message, after_ms)
    later.status = error.status
    return later


def _retry_after(error: ApiError) -> Mapping[str, str]:
    after_ms = error.retry_after_ms if isinstance(error, Throttled) else 0
    return {"x-acs-retry-after": str(after_ms)} if after_ms else {}


def _response(
    status: int, body: bytes, content_type: str, request_id: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    told = {"x-acs-request-id": request_id, "Content-Type": content_type, **(headers or {})}
    return web.Response(status=status, body=body, headers=told)
