"""Every row of the table with an engine's own words, and what no row knows."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from broker.backends.container.engine import Engine, find_address, usual_addresses
from broker.backends.container.errors import (
    TABLE,
    BeingRemoved,
    Call,
    JustEnded,
    NameInUse,
    NoSuchContainer,
    NoSuchImage,
    classify,
    translate,
)
from broker.domain.ids import BackendName
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled

# row, call, status, words of podman or docker, error, reason
SAID: list[tuple[str, Call, int, str, type[BackendError], Reason]] = [
    ("denied", Call.CREATE, 403, "authorization denied by plugin", BackendRejected, Reason.ACCESS_DENIED),
    (
        "just-ended",
        Call.LIST,
        500,
        "read /proc/8589/cgroup: no such process",
        JustEnded,
        Reason.BACKEND_ERROR,
    ),
    ("throttled", Call.LIST, 429, "too many requests", Throttled, Reason.THROTTLED),
    ("unavailable", Call.CREATE, 503, "Service Unavailable", Throttled, Reason.BACKEND_ERROR),
    (
        "pull",
        Call.PULL,
        0,
        "initializing source docker://registry.test/no:1: reading manifest 1: manifest unknown",
        BackendRejected,
        Reason.IMAGE_PULL_FAILED,
    ),
    (
        "pull",
        Call.PULL,
        404,
        "pull access denied for no/such, repository does not exist or may require 'docker login'",
        BackendRejected,
        Reason.IMAGE_PULL_FAILED,
    ),
    (
        "name",
        Call.CREATE,
        409,
        'Conflict. The container name "/a" is already in use by container "1f". You have to remove (or rename) it.',
        NameInUse,
        Reason.BACKEND_ERROR,
    ),
    (
        "name-podman",
        Call.CREATE,
        500,
        'container create: creating container storage: the container name "a" is already in use by 66a3. You have to'
        " remove that container to be able to reuse that name: that name is already in use",
        NameInUse,
        Reason.BACKEND_ERROR,
    ),
    ("no-image", Call.CREATE, 404, "No such image: acme/agent:1", NoSuchImage, Reason.IMAGE_PULL_FAILED),
    (
        "no-image",
        Call.CREATE,
        404,
        "no such image: localhost/none:1: image not known",
        NoSuchImage,
        Reason.IMAGE_PULL_FAILED,
    ),
    (
        "no-network",
        Call.CREATE,
        500,
        "container create: unable to find network with name or ID ci: network not found",
        BackendRejected,
        Reason.NETWORK_UNAVAILABLE,
    ),
    ("no-network", Call.START, 404, "network ci not found", BackendRejected, Reason.NETWORK_UNAVAILABLE),
    (
        "network",
        Call.START,
        500,
        "netavark: No such file or directory (os error 2)",
        BackendRejected,
        Reason.NETWORK_UNAVAILABLE,
    ),
    (
        "disk",
        Call.CREATE,
        500,
        "mkdir /var/lib/docker/overlay2/1: no space left on device",
        InsufficientCapacity,
        Reason.INSUFFICIENT_CAPACITY,
    ),
    (
        "memory",
        Call.START,
        500,
        "fork/exec /usr/bin/conmon: cannot allocate memory",
        InsufficientCapacity,
        Reason.INSUFFICIENT_CAPACITY,
    ),
    (
        "init",
        Call.CREATE,
        500,
        "container create: specified an init path: container-init binary not found on the host",
        BackendRejected,
        Reason.SETUP_FAILED,
    ),
    (
        "ulimit",
        Call.START,
        500,
        "runc: runc create failed: error setting rlimits for ready process: error setting rlimit type 7: operation"
        " not permitted: OCI permission denied",
        BackendRejected,
        Reason.SETUP_FAILED,
    ),
    (
        "image-name",
        Call.CREATE,
        500,
        "normalizing image: normalizing name for compat API: invalid reference format",
        BackendRejected,
        Reason.INVALID_TEMPLATE,
    ),
    (
        "mount",
        Call.CREATE,
        400,
        'invalid mount config for type "bind": bind source path does not exist: /nowhere',
        BackendRejected,
        Reason.INVALID_TEMPLATE,
    ),
    (
        "size",
        Call.START,
        500,
        "runc: runc create failed: error setting cgroup config for procHooks process: unable to set memory limit to"
        " 4096 (current usage: 2666496, peak usage: 3190784): OCI runtime error",
        BackendRejected,
        Reason.INVALID_TEMPLATE,
    ),
    (
        "size",
        Call.CREATE,
        400,
        "range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available",
        BackendRejected,
        Reason.INVALID_TEMPLATE,
    ),
    (
        "user",
        Call.START,
        500,
        "unable to find user nobodyhere: no matching entries in passwd file",
        BackendRejected,
        Reason.INVALID_TEMPLATE,
    ),
    (
        "program",
        Call.START,
        500,
        'runc: runc create failed: unable to start container process: exec: "/no": stat /no: no such file or'
        " directory: OCI runtime attempted to invoke a command that was not found",
        BackendRejected,
        Reason.INVALID_TEMPLATE,
    ),
    ("refused", Call.CREATE, 400, "invalid hostname format: -a", BackendRejected, Reason.INVALID_TEMPLATE),
    (
        "gone",
        Call.REMOVE,
        404,
        'no container with name or ID "1f" found: no such container',
        NoSuchContainer,
        Reason.BACKEND_ERROR,
    ),
    (
        "removing",
        Call.REMOVE,
        409,
        "removal of container 1f is already in progress",
        BeingRemoved,
        Reason.BACKEND_ERROR,
    ),
    (
        "ending",
        Call.REMOVE,
        500,
        "cannot remove container 51 as it could not be stopped: sending SIGKILL to container 51: container state"
        " improper",
        BeingRemoved,
        Reason.BACKEND_ERROR,
    ),
]


@pytest.mark.parametrize("said", SAID, ids=lambda said: f"{said[0]}-{said[1]}-{said[2]}")
def test_an_engine_s_words_mean_what_the_table_says(
    said: tuple[str, Call, int, str, type[BackendError], Reason],
) -> None:
    row, call, status, words, kind, reason = said
    error = classify(call, status, words)
    assert next(r.name for r in TABLE if r.fits(call, status, words)) == row
    assert type(error) is kind
    assert error.reason is reason
    assert error.message == words


def test_every_row_has_been_said() -> None:
    assert {row.name for row in TABLE} == {said[0] for said in SAID}


@pytest.mark.parametrize("call", [Call.CREATE, Call.START])
def test_words_that_nobody_knows_are_kept_and_leave_the_outcome_open(call: Call) -> None:
    error = classify(call, 500, "the moon is in the wrong house")
    assert type(error) is OutcomeUnknown
    assert (error.code, error.message, error.reason) == ("500", "the moon is in the wrong house", Reason.BACKEND_ERROR)


def test_words_that_nobody_knows_of_a_question_are_an_error_without_a_guess() -> None:
    assert type(classify(Call.LIST, 500, "the moon is in the wrong house")) is BackendError


async def test_a_socket_that_is_not_there_is_named_with_the_key_and_waited_for(tmp_path: Path) -> None:
    engine = Engine(BackendName("here"), f"unix://{tmp_path}/none.sock")
    with pytest.raises(Throttled) as caught:
        await engine.list("a=b")
    assert caught.value.code == "EngineUnreachable"
    assert f"{tmp_path}/none.sock" in caught.value.message
    assert "backends.here.socket" in caught.value.message
    await engine.close()


async def test_a_socket_on_which_nobody_listens_any_more_is_waited_for(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    engine = Engine(BackendName("here"), f"unix://{tmp_path}/dead.sock")
    with pytest.raises(Throttled, match="EngineUnreachable"):
        await engine.start("a")
    await engine.close()


def test_a_socket_that_the_broker_may_not_use_is_for_a_person() -> None:
    from aiohttp.client_exceptions import UnixClientConnectorError
    from aiohttp.client_reqrep import ConnectionKey

    key = ConnectionKey("localhost", 80, False, True, None, None, None)
    cause = UnixClientConnectorError("/run/e.sock", key, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    error = translate(Call.LIST, cause, "unix:///run/e.sock", "backends.here.socket")
    assert type(error) is BackendRejected
    assert error.reason is Reason.ACCESS_DENIED
    assert "Permission denied" in error.message
    assert "backends.here.socket" in error.message


@pytest.fixture
async def broken(tmp_path: Path) -> AsyncIterator[str]:
    """An engine that knows its version, and hangs up on everything else without a word."""

    async def version(_: web.Request) -> web.Response:
        return web.json_response({"ApiVersion": "1.41"})

    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        await asyncio.sleep(0)
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/version", version), web.route("*", "/{any:.*}", hang_up)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "e.sock")).start()
    yield f"unix://{tmp_path}/e.sock"
    await runner.cleanup()


async def test_a_connection_that_ends_before_the_answer_leaves_the_outcome_open(broken: str) -> None:
    engine = Engine(BackendName("here"), broken)
    with pytest.raises(OutcomeUnknown, match="ConnectionLost"):
        await engine.create("a", {"Image": "x"})
    await engine.close()


def test_the_usual_places_are_looked_at_in_order(tmp_path: Path) -> None:
    env = {"DOCKER_HOST": "tcp://10.0.0.1:2375", "CONTAINER_HOST": "unix:///p.sock", "XDG_RUNTIME_DIR": "/run/user/1"}
    addresses = usual_addresses(env)
    assert addresses[:3] == ["tcp://10.0.0.1:2375", "unix:///p.sock", "unix:///run/user/1/podman/podman.sock"]
    assert addresses[-2:] == ["unix:///run/podman/podman.sock", "unix:///run/docker.sock"]
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(tmp_path / "there.sock"))
        addresses = ["unix:///nowhere.sock", f"unix://{tmp_path}/there.sock"]
        assert find_address(addresses, "backends.here.socket") == addresses[1]


def test_without_any_engine_it_is_said_where_it_was_looked_for() -> None:
    with pytest.raises(BackendRejected) as caught:
        find_address(["unix:///nowhere.sock", "unix:///nor/here.sock"], "backends.here.socket")
    assert caught.value.reason is Reason.SETUP_FAILED
    assert "unix:///nowhere.sock, unix:///nor/here.sock" in caught.value.message
    assert "backends.here.socket" in caught.value.message
