"""Asks a controller for an agent, in the agent's words but with the real secret: for a WebSocket, or on its port."""

import asyncio
import re
from collections.abc import Mapping
from typing import Final

from broker.gateway.controller_tls import ControllerTls
from broker.gateway.facts import Facts
from broker.gateway.presence import Presence
from broker.gateway.settings import GatewaySettings, Limits
from broker.gateway.upstream_tcp import PortUpstream, Target
from broker.gateway.word import Accepted, Declined
from broker.inbound.address import HttpBase, parse_base
from broker.inbound.descriptor import Descriptor, dial
from broker.inbound.exchange import read_head
from broker.inbound.http import MalformedHead, ResponseHead, parse_response
from broker.inbound.websocket import CAPABILITY, AgentRequest, Answer, controller_cookie, controller_request, judge

_MAX_BODY: Final = 64 * 1024
_GROWS: Final = 1.5
_NOTHING: Final = Facts()


class Upstream:
    """The controllers that a gateway knows, by name."""

    def __init__(self, settings: GatewaySettings) -> None:
        """Raises ValueError for a URL that is none."""
        self._bases: Mapping[str, HttpBase] = {}
        self._paths: Mapping[str, str] = {}
        self._limits: Limits = settings.limits
        self._presence: Presence = settings.presence
        self._dials: dict[str, asyncio.Semaphore] = {}
        self._ports = PortUpstream(settings.limits, settings.presence, self.get)
        self._pins: Mapping[str, str] = {}
        self._facts: Mapping[str, Facts] = {}
        self._authorities = ControllerTls(settings.controller_ca)
        self.replace(settings.controllers, settings.paths, settings.tcp_controllers, settings.facts)

    def replace(
        self,
        controllers: Mapping[str, str],
        paths: Mapping[str, str],
        tcp: Mapping[str, str] | None = None,
        facts: Mapping[str, Facts] | None = None,
    ) -> None:
        """Knows these from now on, by name and by path; what is open stays open. Raises ValueError for a URL.

        `tcp` are those that are asked on their port, with the identity that they must show.
        """
        bases = {name: parse_base(url) for name, url in controllers.items()}
        self._authorities.trust({name: known.authorities for name, known in (facts or {}).items()})
        if bases != self._bases:
            self._ports.forget()
        self._bases, self._paths, self._pins, self._facts = bases, dict(paths), dict(tcp or {}), dict(facts or {})
        for name in controllers:
            self._dials.setdefault(name, asyncio.Semaphore(self._limits.dials))

    def facts(self, controller: str) -> Facts:
        """What is known of a controller."""
        return self._facts.get(controller, _NOTHING)

    def under(self, path: str) -> str | None:
        """The controller whose agents have this path prefix."""
        return self._paths.get(path)

    async def open(
        self, controller: str, request: AgentRequest, *, secret: str, cookie: str, ends: bool
    ) -> Accepted | Declined:
        """Asks until the controller has decided; a name that it does not know yet is asked again for a while.

        `ends`: what each side says of its channel is exchanged here, also where the transport does it later.
        """
        base = self._bases.get(controller)
        if base is None:
            return _unknown(controller)
        target = None
        if (pin := self._pins.get(controller)) is not None:
            target = Target(name=controller, base=base, pin=pin, facts=self.facts(controller))
        data = controller_request(request, base, secret=secret, cookie=cookie)
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + self._limits.unknown_name_s, self._limits.unknown_name_every_s
        while True:
            async with self._dials[controller]:
                if target is None:
                    answer = await self._ask(controller, base, data, request.key, cookie)
                else:
                    answer = await self._ports.open(target, request, secret=secret, cookie=cookie, ends=ends)
            waits = isinstance(answer, Declined) and answer.answer is Answer.UNKNOWN_NAME and loop.time() < until
            if not waits:
                return answer
            await asyncio.sleep(min(pause, max(0.0, until - loop.time())))
            pause = min(pause * _GROWS, self._limits.unknown_name_most_s)

    async def get(self, controller: str, page: str) -> tuple[Descriptor, ResponseHead] | Declined:
        """Begins a plain GET; the body is still to be read from the leg."""
        base = self._bases.get(controller)
        if base is None:
            return _unknown(controller)
        head = f"GET {base.path}{page} HTTP/1.1\r\nHost: {base.authority}\r\nConnection: close\r\n\r\n"
        return await self._exchange(controller, base, head.encode())

    async def _ask(self, controller: str, base: HttpBase, data: bytes, key: str, cookie: str) -> Accepted | Declined:
        exchanged = await self._exchange(controller, base, data)
        if isinstance(exchanged, Declined):
            return exchanged
        leg, head = exchanged
        keep = False
        try:
            body = b"" if head.status == 101 else await self._body(leg, head)
            answer, message = judge(head, body, key)
            keep = answer is Answer.ACCEPTED
        finally:
            if not keep:
                leg.close()
        if not keep:
            return Declined(answer=answer, message=message)
        capability = "".join(head.fields.all(CAPABILITY)[:1])
        return Accepted(leg=leg, head=head, cookie=controller_cookie(head, cookie), capability=capability)

    async def _exchange(
        self, controller: str, base: HttpBase, data: bytes
    ) -> tuple[Descriptor, ResponseHead] | Declined:
        leg: Descriptor | None = None
        done = False
        try:
            leg = await self._dial(controller, base)
            await leg.send(data, self._until())
            head = await read_head(leg, self._until())
            if head is None:
                raise EOFError("it closed without an answer")
            answer = parse_response(head)
            done = True
        except (OSError, EOFError, MalformedHead) as error:
            words = str(error) or type(error).__name__
            return Declined(answer=Answer.UNAVAILABLE, message=words)
        finally:
            if leg is not None and not done:
                leg.close()
        return leg, answer

    async def _dial(self, controller: str, base: HttpBase) -> Descriptor:
        """A connection, with its TLS verified before anything is told."""
        until = self._until()
        leg = await dial((base.host, base.port), until)
        shaken = False
        try:
            self._presence.watch(leg.sock)
            if base.secure:
                tls = self._authorities.of(controller)
                await leg.start_tls(tls, server=False, name=base.host, until=until)
            shaken = True
        finally:
            if not shaken:
                leg.close()
        return leg

    def _until(self) -> float:
        return asyncio.get_running_loop().time() + self._limits.dial_s

    async def _body(self, leg: Descriptor, head: ResponseHead) -> bytes:
        """What comes of a short body within the time of a dial; cut where it is long."""
        length = "".join(head.fields.all("Content-Length")[:1])
        wanted = min(int(length), _MAX_BODY) if re.fullmatch("[0-9]{1,9}", length) else _MAX_BODY
        body, leg.surplus = leg.surplus, b""
        until = self._until()
        try:
            while len(body) < wanted and b"no such agent" not in body and not body.endswith(b"\r\n0\r\n\r\n"):
                data = await leg.read_some(until)
                if not data:
                    break
                body += data
        except OSError:
            pass
        return body


def _unknown(controller: str) -> Declined:
    return Declined(answer=Answer.UNAVAILABLE, message=f"controller {controller} is no longer configured")
