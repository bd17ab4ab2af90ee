"""Read-only calls to Alibaba Cloud for people: whole answers over all pages, and refusals in words with a hint."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp

from broker.backends.alibaba_ecs import asking
from broker.backends.alibaba_ecs.codes import STALE
from broker.backends.alibaba_ecs.errors import translate
from broker.backends.alibaba_ecs.options import BackendOptions
from broker.backends.alibaba_ecs.session import Sessions
from broker.doctor.report import Wrong
from broker.domain.reason import Reason
from broker.errors import BackendError

_CALL_S: Final = 30.0
_TIME_S: Final = 10.0

Answer = Mapping[str, Any]


class Refused(Wrong):
    """The cloud said no, or could not be asked; `code` is its own, `denied` says that a right is missing."""

    def __init__(self, message: str, hint: str, code: str, *, denied: bool = False) -> None:
        """Says both, and keeps the code."""
        super().__init__(message, hint)
        self.code = code
        self.denied = denied


class AlibabaCloud:
    """One account and region as a backend reaches it; `name` is the backend's, empty for none."""

    def __init__(self, sessions: Sessions, name: str = "") -> None:
        """The sessions are closed by whoever opened them."""
        self.sessions = sessions
        self.name = name
        self.allowed: set[str] = set()
        """Actions that were answered."""
        self.denied: set[str] = set()
        """Actions that were refused for want of a right."""

    async def ask(self, action: str, request: Answer | None = None) -> Answer:
        """The answer to `ecs:DescribeZones`. Raises `Refused`."""
        try:
            return await self.call(action, request or {})
        except BackendError as error:
            raise self._refused(action, error) from error

    async def pages(self, action: str, request: Answer | None = None) -> list[asking.Item]:
        """All items of a listing, from its first page to its last. Raises `Refused`, which says how far it came."""
        try:
            return await asking.pages(self.call, action, request or {})
        except BackendError as error:
            raise self._refused(action, error) from error

    async def call(self, action: str, request: Answer) -> Answer:
        """As `ask`. Raises `BackendError`s."""
        try:
            async with asyncio.timeout(_CALL_S):
                answer = await self.sessions.ask(action, request)
        except Exception as error:  # which kinds there are depends on the SDK's HTTP library
            failed = translate(action, error, self.name)
            if failed is None:
                raise
            if failed.reason is Reason.ACCESS_DENIED:
                self.denied.add(action)
            elif failed.code == "DryRunOperation":
                self.allowed.add(action)
            raise failed from error
        self.allowed.add(action)
        return answer

    def _refused(self, action: str, error: BackendError) -> Refused:
        told = error.message if error.message.startswith(action) else f"{action}: {error.code}: {error.message}"
        denied = error.reason is Reason.ACCESS_DENIED
        return Refused(told, self._hint(action, error, denied), error.code, denied=denied)

    def _hint(self, action: str, error: BackendError, denied: bool) -> str:
        if denied:
            ours = f"agentbroker iam alibaba --backend {self.name}" if self.name else "an administrator of the account"
            return f"allow {action}: {'see ' if self.name else 'ask '}{ours}"
        if error.code in STALE or error.code.startswith("InvalidTimeStamp"):
            return "renew the keys, or look at the clock of this machine and at the region"
        return ""


async def time_of(options: BackendOptions) -> datetime | None:
    """The cloud's own time, by the header of an answer that needs no keys; None if it does not tell."""
    region = options.region
    inside = "-vpc" if options.vpc_endpoints else ""
    url = options.endpoints.get("ecs") or f"https://ecs{inside}.{region}.aliyuncs.com"
    limit = aiohttp.ClientTimeout(total=_TIME_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.head(url, proxy=options.proxy or None, allow_redirects=False) as answer,
        ):
            return parsedate_to_datetime(answer.headers.get("Date", ""))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None
