"""What the API answers when it cannot do what was asked: a status, a code that stays, words, and the next step."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, ValidationError

from broker.errors import BrokerError, ConfigError, LimitReached, NotFound, StoreUnavailable
from broker.host_operations import HostBusy, NoHostThere
from broker.operations import AgentBusy, LaunchTaken
from broker.views.ask import BadQuestion, NoSuchThing, NothingServes
from broker.web.api.models import Error

_RETRY_S: Final = 5
_NOT_NOW: Final[Mapping[type[BrokerError], tuple[str, str]]] = {
    AgentBusy: ("agent_busy", "wait for its build, or say force: the build is cut"),
    HostBusy: ("host_busy", "drain it and wait for its builds, or say force: they are cut"),
    LaunchTaken: ("launch_taken", "choose another id, or none"),
    LimitReached: ("at_limit", "ask for fewer, or raise the limit that is named"),
}
"""What a conflict with how things stand is called, and what to do."""
_WITH_HINT: Final[Mapping[type[BrokerError], tuple[int, str]]] = {
    NothingServes: (404, "no_matching_policy"),
    NoSuchThing: (404, "not_found"),
    BadQuestion: (400, "bad_request"),
    NoHostThere: (409, "no_host"),
}
"""The status and the code of errors that say themselves what to do."""
_LONGEST_SHOWN: Final = 80


class ApiError(BrokerError):
    """The call is refused; `status` is of HTTP."""

    def __init__(self, status: int, code: str, message: str, hint: str) -> None:
        """Keeps what the answer says."""
        super().__init__(message)
        self.status = status
        self.body = Error(code=code, message=message, hint=hint)

    def response(self) -> web.Response:
        """The answer."""
        headers = {"Cache-Control": "no-store"}
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="agentbroker"'
        if self.status == 503:
            headers["Retry-After"] = str(_RETRY_S)
        return web.json_response(text=self.body.model_dump_json(), status=self.status, headers=headers)


def translated(error: BrokerError) -> ApiError:
    """The answer for an error of the core."""
    if (told := _NOT_NOW.get(type(error))) is not None:
        return ApiError(409, told[0], str(error), told[1])
    match error:
        case ApiError():
            return error
        case AgentBusy():
            hint = "wait for its build, or say force: the build is cut"
            return ApiError(409, "agent_busy", str(error), hint)
        case HostBusy():
            return ApiError(
                409, "host_busy", str(error), "drain it and wait for its builds, or say force: they are cut"
            )
        case LimitReached():
            return ApiError(409, "at_limit", str(error), "ask for fewer, or raise the limit that is named")
        case LaunchTaken():
            return ApiError(409, "launch_taken", str(error), "choose another id, or none")
        case NothingServes() | NoSuchThing() | BadQuestion() | NoHostThere():
            return ApiError(*_WITH_HINT[type(error)], str(error), error.hint)
        case ConfigError():
            hint = "put right what is named, then try again: the config in force has not changed"
            return ApiError(422, "config_invalid", str(error), hint)
        case NotFound():
            return ApiError(404, "not_found", str(error), "look at GET /api/v1/agents?all=1")
        case StoreUnavailable():
            return ApiError(
                503, "store_unavailable", str(error), "look at /readyz and the broker's log, then try again"
            )
        case _:
            return ApiError(500, "failed", str(error), "look at the broker's log")


def of_http(error: web.HTTPException, request: web.Request) -> ApiError:
    """The answer for what aiohttp itself refuses."""
    hint = "GET /api/v1/openapi.json lists what there is"
    if error.status == 404:
        return ApiError(404, "no_such_path", f"nothing is at {request.path[:_LONGEST_SHOWN]}", hint)
    if error.status == 405:
        return ApiError(405, "method_not_allowed", f"{request.method} is not possible here", hint)
    return ApiError(error.status, "bad_request", error.reason, hint)


def of_validation(error: ValidationError, model: type[BaseModel], place: str) -> ApiError:
    """The first thing that is wrong with a query or a body, with its place and the fix."""
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in first["loc"])[:_LONGEST_SHOWN]
    known = list(model.model_fields)
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known) or 'none'}"
        return ApiError(400, "unknown_parameter", f"{place} has no {key!r}", hint)
    if first["type"] == "missing":
        return ApiError(400, "missing_parameter", f"{place} lacks {key!r}", f"add {key}: {_about(model, key)}")
    return ApiError(
        400, "bad_parameter", f"{place} {key!r}: {_words(first)}", _about(model, key) or "look at openapi.json"
    )


def _about(model: type[BaseModel], key: str) -> str:
    field = model.model_fields.get(key)
    return (field.description or "") if field else ""


def _words(first: Any) -> str:
    message = str(first["msg"])
    return message[0].lower() + message[1:]


def unknown_name(noun: str, name: str, known: Sequence[str]) -> ApiError:
    """The answer for a pool, policy or controller that is not configured."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known[:40]) or 'none'}"
    return ApiError(404, "not_found", f"no {noun} is called {name[:_LONGEST_SHOWN]!r}", hint)
