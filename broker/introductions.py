"""What gateways are told of controllers: what the config says, what they say themselves, and which are away.

A controller says who it is when it greets the broker, where its token shows that it is the one: so a gateway knows
whose key must be on its port for agents before anything is sent there, and nothing is trusted on first use.
"""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from broker.domain.definitions import Controller, Definitions
from broker.domain.ids import ControllerName
from broker.domain.introduction import Introduction
from broker.errors import StoreError
from broker.gateway.facts import Facts
from broker.gateway.keeping import Memory
from broker.gateway.link import Controllers
from broker.inbound.identity import fingerprint, is_rsa
from broker.ports import Clock
from broker.reconcile.presence import AWAY_AFTER_S, Presence
from broker.telemetry.events import (
    CERTIFICATE_UNUSABLE,
    CONTROLLER_IDENTITY_CHANGED,
    CONTROLLER_IDENTITY_NOT_PINNED,
)
from broker.tls import Authorities, TlsUnusable

_LOOK_EVERY_S: Final = 1.0


class Introductions:
    """The one place that says to gateways what a controller is."""

    def __init__(
        self,
        presence: Presence,
        clock: Clock,
        memory: Memory,
        definitions: Callable[[], Definitions],
        tell: Callable[[Controllers], None],
    ) -> None:
        """Nobody has said anything. `tell` takes what all gateways are to know, and may get the same again."""
        self._presence = presence
        self._clock = clock
        self._memory = memory
        self._definitions = definitions
        self._tell = tell
        self._said: dict[ControllerName, Introduction] = {}
        self._identities: dict[str, str] = {}
        self._compared: dict[ControllerName, tuple[str, str]] = {}
        self._unsaved = False
        self._authorities: dict[str, Authorities] = {}
        self._unusable: dict[str, str] = {}

    async def recall(self) -> None:
        """Remembers who controllers were before our start, and tells gateways. Raises `StoreError`, `TlsUnusable`."""
        text = await self._memory.recall()
        self._identities = dict(json.loads(text)) if text else {}
        for controller in self._definitions().controllers.values():
            if controller.ca_file:
                self._authorities[controller.ca_file] = Authorities(Path(controller.ca_file), _where(controller))
        self.tell()

    def said(self, controller: ControllerName, introduction: Introduction) -> None:
        """A controller has greeted us: gateways know of it before any agent of it is let in.

        An identity that cannot be one counts as none; with none, the last one stays.
        """
        self._said[controller] = introduction
        identity = _rsa(introduction.identity)
        former = self._identities.get(controller)
        if identity and identity != former:
            self._identities[controller] = identity
            self._unsaved = True
            if former:
                told = {"former": _fingerprint(former), "identity": _fingerprint(identity)}
                CONTROLLER_IDENTITY_CHANGED.emit(controller=controller, **told)
        self._compare(controller, identity)
        self.tell()

    def _compare(self, controller: ControllerName, identity: str) -> None:
        """A pin that is out of date keeps all agents out: it is told as soon as it can be seen, once."""
        known = self._definitions().controllers.get(controller)
        pinned = known.instance_identity if known is not None and known.agents_by_tcp else ""
        if not (pinned and identity):
            return
        news = self._compared.get(controller) != (pinned, identity)
        self._compared[controller] = pinned, identity
        if news and pinned != identity:
            told = {"pinned": _fingerprint(pinned), "identity": _fingerprint(identity)}
            CONTROLLER_IDENTITY_NOT_PINNED.emit(controller=controller, **told)

    def tell(self) -> None:
        """Tells gateways what is known now. Never raises."""
        controllers = self._definitions().controllers.values()
        self._tell(
            Controllers(
                urls={str(c.name): c.url for c in controllers},
                paths={c.gateway_path: str(c.name) for c in controllers},
                tcp={str(c.name): self._identity(c) for c in controllers if c.agents_by_tcp},
                facts={str(c.name): self._facts(c) for c in controllers},
            )
        )

    async def run(self) -> None:
        """Keeps gateways informed of who is away until cancelled."""
        while True:
            news = self._presence.next_news()
            self.tell()
            await self.save()
            await self._presence.wait(news, self._clock.monotonic() + _LOOK_EVERY_S)

    async def save(self) -> None:
        """Keeps identities over restarts; a failure is told elsewhere, and it is tried again at the next look."""
        if self._unsaved:
            with suppress(StoreError):
                await self._memory.remember(json.dumps(self._identities))
                self._unsaved = False

    def _identity(self, controller: Controller) -> str:
        return controller.instance_identity or self._identities.get(controller.name, "")

    def _facts(self, controller: Controller) -> Facts:
        said = self._said.get(controller.name, Introduction())
        host, port = controller.agent_address or (said.host, said.port)
        return Facts(
            host=host,
            port=port,
            fixed=controller.agent_address is not None,
            authorities=self._certificates(controller),
            minimum_version=said.minimum_version,
            away=self._presence.silent_s(controller.name) > AWAY_AFTER_S,
        )

    def _certificates(self, controller: Controller) -> str:
        """Of its file as it is now; none where a reload has named one that cannot be used, told once."""
        file = controller.ca_file
        if not file:
            return ""
        try:
            found = self._authorities.get(file) or Authorities(Path(file), _where(controller))
        except TlsUnusable as error:
            if self._unusable.get(file) != str(error):
                self._unusable[file] = str(error)
                CERTIFICATE_UNUSABLE.emit(listener=_where(controller), message=str(error))
            return ""
        self._authorities[file] = found
        return "".join(found.current())


def _where(controller: Controller) -> str:
    return f"controllers.{controller.name}.ca_file"


def _rsa(identity: str) -> str:
    try:
        spki = base64.b64decode(identity, validate=True)
    except ValueError:
        return ""
    return identity if is_rsa(spki) else ""


def _fingerprint(identity: str) -> str:
    return fingerprint(base64.b64decode(identity))
