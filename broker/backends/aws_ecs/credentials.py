"""Where the keys come from that sign calls to AWS where the config names none: the SDK's default chain."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from broker.backends.aws_ecs.session_errors import kinds, no_credentials, nothing_found
from broker.backends.keys import Keys

_CHAIN_S: Final = 30.0
"""Links of the chain start programs and ask the machine."""


class ChainKeys:
    """The SDK's default chain, or a profile. The SDK renews what can be renewed, one call at a time."""

    def __init__(self, open_session: Callable[[], Awaitable[Any]], profile: str, name: str) -> None:
        """`open_session` makes a new session of aiobotocore, which has read no file yet."""
        self._open = open_session
        self._profile = profile
        self._name = name
        self._found: Any = None

    @property
    def told(self) -> str:
        """The profile, or which link of the chain had keys."""
        method = getattr(self._found, "method", "")
        link = f" ({method})" if method else ""
        return (f"profile {self._profile}" if self._profile else "the SDK's default chain") + link

    async def keys(self) -> Keys:
        """Those of the first link that has some."""
        doing = "no credentials in " + (f"profile {self._profile}" if self._profile else "the SDK's default chain")
        session = None if self._found is not None else await self._open()
        try:
            async with asyncio.timeout(_CHAIN_S):
                found = self._found if session is None else await session.get_credentials()
                frozen = None if found is None else await found.get_frozen_credentials()
        except kinds() as error:
            raise no_credentials(error, doing, self._name) from error
        if frozen is None:
            raise nothing_found(doing, self._name)
        self._found = found
        expires = getattr(found, "_expiry_time", None)
        return Keys(
            access_key=frozen.access_key,
            secret_key=frozen.secret_key,
            token=frozen.token,
            expires=expires if isinstance(expires, datetime) else None,
        )

    def forget(self) -> None:
        """Files and the machine's role are asked anew."""
        self._found = None
