"""The one HTTP endpoint of all services: signature, protocol, faults, limits, rights, and then the service."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import botocore.session
from aiohttp import web

from broker.demo.clouds import wire_json, wire_query
from broker.demo.clouds.faults import Cut, Page
from broker.demo.clouds.model import ApiError, Call, Parameters, Service
from broker.demo.clouds.shapes import Misfit, misfits
from broker.demo.clouds.signature import Refused, Signed, Signer, as_error, scope_of
from broker.demo.clouds.world import World

_VALIDATION: Final[Mapping[str, str]] = {
    "ecs": "InvalidParameterException",
    "logs": "InvalidParameterException",
    "ssm": "ValidationException",
    "secretsmanager": "ValidationException",
    "sts": "ValidationError",
    "iam": "ValidationError",
    "ec2": "InvalidParameterValue",
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request is for, before anybody has looked who signed it."""

    service: str
    action: str
    protocol: str
    form: Mapping[str, str]


@cache
def service_model(name: str) -> Any:
    """botocore's model of a service."""
    return botocore.session.get_session().get_service_model(name)


class Front:
    """Answers requests for the services of a `World`."""

    def __init__(self, world: World, services: Mapping[str, Service]) -> None:
        """`services` by botocore's names."""
        self._world = world
        self._services = services
        by_form = {"ec2", "iam", "sts"}  # not looked into before they are asked: the model of EC2 is large
        self._targets = {service_model(name).metadata["targetPrefix"]: name for name in {*services} - by_form}

    def application(self) -> web.Application:
        """One that answers POST / on any path."""
        application = web.Application(client_max_size=16 << 20)
        application.router.add_route("*", "/{tail:.*}", self.answer)
        return application

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request from its head to its answer."""
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        signed = Signed(method=request.method, host=request.host, path=request.raw_path, headers=headers, body=body)
        request_id = self._world.request_id()
        asked = self._asked(headers, body)
        try:
            return self._success(asked, request_id, await self._result(asked, signed, request_id))
        except ApiError as error:
            return _failure(asked, request_id, error)
        except Cut:
            if request.transport:
                request.transport.abort()
            raise asyncio.CancelledError from None

    def _asked(self, headers: Mapping[str, str], body: bytes) -> _Asked:
        target = headers.get("x-amz-target", "")
        if target:
            prefix, _, action = target.rpartition(".")
            return _Asked(self._targets.get(prefix, ""), action, "json", {})
        form = wire_query.fields(body)
        service = scope_of(headers)
        return _Asked(service, form.get("Action", ""), "ec2" if service == "ec2" else "query", form)

    async def _result(self, asked: _Asked, signed: Signed, request_id: str) -> Parameters:
        signer = self._signer(asked, signed)
        operation = _operation(asked, self._services)
        call = Call(
            service=asked.service,
            action=asked.action,
            identity=signer.identity,
            region=signer.region,
            at=self._world.clock.now(),
            monotonic=self._world.clock.monotonic(),
            request_id=request_id,
        )
        self._world.ledger.add(call)
        try:
            result = await self._handled(call, operation, asked, signed.body)
            call.status = 200
            return result
        except ApiError as error:
            call.status, call.code = error.status, error.code
            raise

    def _signer(self, asked: _Asked, signed: Signed) -> Signer:
        try:
            signer = self._world.keyring.verify(signed, now=self._world.wall.now(), regions=self._world.regions)
            if asked.service and signer.service != service_model(asked.service).signing_name:
                raise Refused("mismatch", f"Credential should be scoped to correct service: '{asked.service}'.")
        except Refused as refused:
            raise as_error(refused, asked.protocol) from None
        return signer

    async def _handled(self, call: Call, operation: Any, asked: _Asked, body: bytes) -> Parameters:
        shape = operation.input_shape
        if asked.protocol == "json":
            call.parameters = wire_json.read(body, shape)
        else:
            call.parameters = wire_query.read(asked.form, shape, ec2=asked.protocol == "ec2")
        fault = self._world.faults.strikes(call)
        if fault and fault.delay_s:
            await self._world.clock.sleep_until(self._world.clock.monotonic() + fault.delay_s)
        if fault and not fault.after_effect:
            fault.strike()
        self._world.throttles.take(call)
        self._world.rights.check(call)
        if wrong := list(misfits(call.parameters, shape)) if shape else []:
            raise _invalid(asked, wrong)
        result = await self._effect(call, operation)
        if fault and fault.after_effect:
            fault.strike()
        return result

    async def _effect(self, call: Call, operation: Any) -> Parameters:
        handler = self._services[call.service].handler(call.action)
        if handler is None:
            raise self._world.problem(f"{call.service} {call.action} is not built into the fake", 501)
        result = await handler(call)
        shape = operation.output_shape
        if wrong := list(misfits(result, shape)) if shape else []:
            raise self._world.problem(f"the reply to {call.action} does not fit: {'; '.join(map(str, wrong))}", 500)
        return result

    def _success(self, asked: _Asked, request_id: str, members: Parameters) -> web.Response:
        if asked.protocol == "json":
            return _response(200, wire_json.result(members), wire_json.CONTENT_TYPE, request_id)
        model = service_model(asked.service)
        shape = model.operation_model(asked.action).output_shape
        body = wire_query.result(
            asked.action,
            members,
            shape,
            request_id=request_id,
            namespace=model.metadata["xmlNamespace"],
            ec2=asked.protocol == "ec2",
        )
        return _response(200, body, wire_query.CONTENT_TYPE, request_id)


def _operation(asked: _Asked, services: Mapping[str, Service]) -> Any:
    known = asked.service in services and asked.action in service_model(asked.service).operation_names
    if not known and asked.protocol == "json":
        raise ApiError("UnknownOperationException", f"The operation {asked.action} is not known")
    if not known:
        raise ApiError("InvalidAction", f"The action {asked.action} is not valid for this web service.")
    model = service_model(asked.service)
    if asked.protocol != "json" and asked.form.get("Version") != model.api_version:
        raise ApiError("InvalidAction", f"Could not find operation {asked.action} for that version")
    return model.operation_model(asked.action)


def _invalid(asked: _Asked, wrong: list[Misfit]) -> ApiError:
    """What a service says of members that do not fit.

    The services ignore members that they do not know; the fake refuses them, so that no misspelt key goes unseen.
    """
    first = next((one for one in wrong if one.kind in {"type", "unknown"}), None)
    if first and asked.protocol == "json":
        return ApiError("SerializationException", str(first))
    if asked.service == "ec2" and (missing := [one for one in wrong if one.kind == "missing"]):
        return ApiError("MissingParameter", f"The request must contain the parameter {missing[0].path}")
    many = "validation error detected" if len(wrong) == 1 else "validation errors detected"
    return ApiError(_VALIDATION[asked.service], f"{len(wrong)} {many}: {'; '.join(one.words for one in wrong)}")


def _failure(asked: _Asked, request_id: str, error: ApiError) -> web.Response:
    if isinstance(error, Page):
        return _response(error.status, error.message.encode(), "text/html", request_id)
    if asked.protocol == "json":
        return _response(error.status, wire_json.error(error), wire_json.CONTENT_TYPE, request_id)
    namespace = service_model(asked.service).metadata.get("xmlNamespace", "") if asked.service else ""
    body = wire_query.error(error, request_id=request_id, namespace=namespace, ec2=asked.protocol == "ec2")
    return _response(error.status, body, wire_query.CONTENT_TYPE, request_id)


def _response(status: int, body: bytes, content_type: str, request_id: str) -> web.Response:
    headers = {"x-amzn-RequestId": request_id, "Content-Type": content_type}
    return web.Response(status=status, body=body, headers=headers)
