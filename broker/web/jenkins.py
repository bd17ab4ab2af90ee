"""The files for Jenkins at `/jenkins/`, for a controller on another host. No token: there is no secret in them.

Every file has its SHA-256 as ETag, and beside it as `NAME.sha256` in the form that `sha256sum -c` reads; so is the list
at `/jenkins/`.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs, web

from broker.jenkins_files import ARCHIVE, FilesMissing, JenkinsFiles, Served
from broker.version import VERSION

_SUM: Final = ".sha256"
_TYPES: Final[Mapping[str, str]] = {".gz": "application/gzip", ".jar": "application/java-archive"}


class _Pages:
    def __init__(self, files: JenkinsFiles) -> None:
        self._files = files

    async def index(self, _request: web.Request) -> web.Response:
        files = await self._read()
        lines = [
            f"# agentbroker {VERSION}: what a Jenkins controller needs. This list is what sha256sum -c reads.",
            f"# {ARCHIVE} has all the others, and is unpacked in a JENKINS_HOME.",
            *(_line(name, one) for name, one in files.items()),
        ]
        return web.Response(text="\n".join(lines) + "\n")

    async def file(self, request: web.Request) -> web.Response:
        name: str = request.match_info["name"]
        files = await self._read()
        if (one := files.get(name.removesuffix(_SUM))) is None:
            raise web.HTTPNotFound(text=f"there is no {name} for Jenkins; /jenkins/ lists what there is\n")
        if name.endswith(_SUM):
            return web.Response(text=_line(name.removesuffix(_SUM), one) + "\n")
        return _answer(request, name, one)

    async def _read(self) -> Mapping[str, Served]:
        try:
            return await asyncio.to_thread(self._files.read)
        except FilesMissing as error:
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from error


def _answer(request: web.Request, name: str, one: Served) -> web.Response:
    known = request.if_none_match or ()
    headers = {hdrs.CACHE_CONTROL: "no-cache"}  # a copy may be kept, and is asked about before it is used
    if any(tag.value in {one.sha256, "*"} for tag in known):
        response = web.Response(status=304, headers=headers)
    else:
        suffix = name[name.rfind(".") :]
        kind = _TYPES.get(suffix, "text/plain; charset=utf-8")
        response = web.Response(body=one.body, headers={hdrs.CONTENT_TYPE: kind, **headers})
    response.etag = one.sha256
    return response


def _line(name: str, one: Served) -> str:
    return f"{one.sha256}  {name}"


def jenkins_routes(files: JenkinsFiles) -> list[web.RouteDef]:
    """The pages below `/jenkins/`; they answer 503 with the fix where the distribution has no such files."""
    pages = _Pages(files)
    return [
        web.get("/jenkins", pages.index),
        web.get("/jenkins/", pages.index),
        web.get("/jenkins/{name:.+}", pages.file),
    ]
