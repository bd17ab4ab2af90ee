"""Where agents ask for a WebSocket: `wsagents/`. One is never accepted and then closed: it would come back at once."""

from broker.domain.reason import Reason
from broker.gateway.door import Door, Entry, TurnedAway
from broker.gateway.settings import Limits
from broker.gateway.word import Protocol
from broker.inbound.descriptor import Descriptor
from broker.inbound.exchange import reply
from broker.inbound.http import MalformedHead, RequestHead
from broker.inbound.websocket import AgentRequest, agent_reply, own_reply, read_agent_request, refusal


class WebSocketDoor:
    """One request, up to its session or its refusal."""

    def __init__(self, limits: Limits, door: Door) -> None:
        """Uses them."""
        self._limits = limits
        self._door = door

    async def enter(self, leg: Descriptor, controller: str, head: RequestHead) -> bool:
        """True when the agent's session has begun, which closes the leg; False when the agent was refused."""
        name = ""
        try:
            request = _request(head)
            name = request.name
            await self._door.let_in(leg, controller, request, Protocol.WEBSOCKET, _upgrade)
            return True
        except TurnedAway as away:
            self._door.refused(Protocol.WEBSOCKET, leg, away, controller=controller, name=name)
            told = refusal(away.status, away.message, over=away.over)
            await reply(leg, told, self._limits.reply_s)
            return False


async def _upgrade(entry: Entry) -> bytes:
    """The controller's 101, or one of our own where it was asked over TCP."""
    accepted = entry.accepted
    if accepted.head is not None:
        return agent_reply(accepted.head, entry.cookie)
    return own_reply(
        entry.request.key,
        capability=accepted.capability,
        cookie=entry.cookie,
        minimum_version=accepted.minimum_version,
    )


def _request(head: RequestHead) -> AgentRequest:
    try:
        return read_agent_request(head)
    except MalformedHead as error:
        raise TurnedAway(400, Reason.NOT_AN_INBOUND_AGENT, str(error)) from error
