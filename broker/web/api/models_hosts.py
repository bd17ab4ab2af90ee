"""What the API says of hosts."""

from typing import Literal

from pydantic import Field

from broker.domain.host import HostPhase
from broker.domain.reason import Reason
from broker.web.api.models import Moment, Resource, Seconds


class Host(Resource):
    """A machine of ours that holds agents."""

    kind: Literal["Host"] = "Host"
    id: str = Field(description="The broker's own id of it; names of agents' instances begin with it.")
    pool: str
    phase: HostPhase
    reason: Reason | None = Field(description="Why it failed or ends.")
    message: str = Field(description="The words to the reason: a cloud's own are shown to operators alone.")
    doing: str = Field(description="What is done to get it ready just now; empty where that is not known.")
    ref: str | None = Field(description="What its cloud calls it.")
    address: str
    zone: str
    type: str
    capacity: str
    cpu_milli: int | None = Field(description="All that it has; null: size does not matter.")
    memory_mib: int | None
    slots: int | None = Field(description="Agents that it takes when it is empty; null: no bound.")
    agents: tuple[str, ...] = Field(description="The agents that have a place on it.")
    uses: int = Field(description="Agents that were placed on it, ever.")
    asked_by: str = Field(description="The operator who asked for it; empty for the broker itself.")
    created_at: Moment
    phase_since: Moment
    ready_at: Moment | None
    empty_since: Moment | None = Field(description="Since when no agent is on it; null while there are any.")
    age_s: Seconds


class Hosts(Resource):
    """All hosts that are not gone, the oldest first."""

    items: tuple[Host, ...]
