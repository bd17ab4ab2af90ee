"""Read-only calls to AWS for people: whole answers over all pages, and refusals in words with what to do next."""

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from broker.backends.aws_ecs.session import Sessions
from broker.backends.aws_ecs.session_errors import STALE, code_of, kinds, words_of
from broker.doctor.report import Wrong
from broker.errors import BackendError

_CALL_S: Final = 30.0
_MOST_PAGES: Final = 1000
_TOKENS: Final = {"ec2": "NextToken", "iam": "Marker"}
DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})

Answer = Mapping[str, Any]


class Refused(Wrong):
    """AWS said no, or could not be asked; `code` is its own."""

    def __init__(self, message: str, hint: str, code: str) -> None:
        """Says both, and keeps the code."""
        super().__init__(message, hint)
        self.code = code

    @property
    def answered_at(self) -> datetime | None:
        """The cloud's time of its answer, if there was one."""
        error = self.__cause__
        while error is not None:
            if found := answered_at(getattr(error, "response", None) or {}):
                return found
            error = error.__cause__
        return None


def answered_at(answer: Answer) -> datetime | None:
    """When the cloud made an answer, by its own clock; None if it does not say."""
    told = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return parsedate_to_datetime(told)
    except ValueError:
        return None


class Cloud:
    """One account and region as a backend reaches it; `name` is the backend's, empty for none."""

    def __init__(self, sessions: Sessions, name: str = "") -> None:
        """The sessions are closed by whoever opened them."""
        self.sessions = sessions
        self.name = name

    async def ask(self, action: str, parameters: Answer | None = None, *, region: str | None = None) -> Answer:
        """The answer to `service:Action`. Raises `Refused`."""
        service, _, operation = action.partition(":")
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        try:
            async with asyncio.timeout(_CALL_S):
                client = await self.sessions.client(service, region)
                answer: Answer = await getattr(client, method)(**(parameters or {}))
                return answer
        except BackendError as error:
            raise Refused(error.message, self._hint(action, error.code), error.code) from error
        except kinds() as error:
            code = code_of(error) or type(error).__name__
            words = words_of(error) or "no answer in time"
            raise Refused(f"{action}: {code}: {words}", self._hint(action, code), code) from error

    async def pages(
        self, action: str, member: str, parameters: Answer | None = None, *, region: str | None = None
    ) -> list[Any]:
        """All items of a listing, from its first page to its last. Raises `Refused`."""
        token = _TOKENS.get(action.partition(":")[0], "nextToken")
        asked, found = dict(parameters or {}), list[Any]()
        for _ in range(_MOST_PAGES):
            page = await self.ask(action, asked, region=region)
            found += page.get(member) or []
            following = page.get(token)
            if not following or following == asked.get(token):
                return found
            asked[token] = following
        raise Refused(f"{action}: more than {_MOST_PAGES} pages", "ask for less", "TooMany")

    def _hint(self, action: str, code: str) -> str:
        if code in DENIED:
            ours = f"agentbroker iam aws --backend {self.name}" if self.name else "an administrator of the account"
            return f"allow {action}: {'see ' if self.name else 'ask '}{ours}"
        if code in STALE:
            return "renew the keys, or look at the clock of this machine and at the region"
        return ""
