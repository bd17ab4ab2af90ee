"""The catalogue of log events: a fixed name in the past tense, a level, and fields beside it.

`info` is a transition, `warning` means we cope, `error` means that a person must look.
"""

from dataclasses import dataclass
from typing import Final

import structlog


@dataclass(frozen=True, slots=True)
class Event:
    """One fact that the broker tells; emitted at the one place that decides it."""

    name: str
    level: str

    def emit(self, **fields: object) -> None:
        """Writes the event with its fields. Secrets never are fields."""
        getattr(structlog.get_logger("agentbroker"), self.level)(self.name, **fields)


def _info(name: str) -> Event:
    return Event(name, "info")


def _warning(name: str) -> Event:
    return Event(name, "warning")


def _error(name: str) -> Event:
    return Event(name, "error")


# broker
BROKER_STARTED: Final = _info("broker_started")
BROKER_STOPPED: Final = _info("broker_stopped")
EVENT_LOOP_BLOCKED: Final = _warning("event_loop_blocked")
CONFIG_RELOADED: Final = _info("config_reloaded")
CONFIG_RELOAD_FAILED: Final = _error("config_reload_failed")
BACKENDS_CLOSED: Final = _info("backends_closed")
CERTIFICATE_CHANGED: Final = _info("certificate_changed")
CERTIFICATE_UNUSABLE: Final = _error("certificate_unusable")
# agents
AGENT_CHANGED_PHASE: Final = _info("agent_changed_phase")
AGENT_REFUSED: Final = _warning("agent_refused")
AGENT_WAITS: Final = _info("agent_waits")
LABEL_UNMATCHED: Final = _warning("label_unmatched")
AGENT_INTERRUPTED: Final = _warning("agent_interrupted")
AGENT_STEP_FAILED: Final = _error("agent_step_failed")
AGENT_TERMINATION_FAILED: Final = _warning("agent_termination_failed")
LAUNCH_FAILED: Final = _warning("launch_failed")
POOL_COOLED_DOWN: Final = _warning("pool_cooled_down")
OFFERING_COOLED_DOWN: Final = _warning("offering_cooled_down")
POOL_RUNAWAY: Final = _error("pool_runaway")
POOL_WARMED_UP: Final = _info("pool_warmed_up")
POOL_PAUSED: Final = _warning("pool_paused")
POOL_DRAINING: Final = _warning("pool_draining")
POOL_RESUMED: Final = _info("pool_resumed")
OVERRIDE_SET: Final = _warning("override_set")
OVERRIDE_ENDED: Final = _info("override_ended")
BUDGET_EXCEEDED: Final = _warning("budget_exceeded")
POLL_FAILED: Final = _warning("poll_failed")
ORPHAN_FOUND: Final = _warning("orphan_found")
ORPHANS_TOO_MANY: Final = _error("orphans_too_many")
INSTANCE_NOT_OURS: Final = _warning("instance_not_ours")
ORPHAN_ENDED: Final = _info("orphan_ended")
# hosts
HOST_CHANGED_PHASE: Final = _info("host_changed_phase")
HOST_FAILED: Final = _warning("host_failed")
HOST_STEP_FAILED: Final = _warning("host_step_failed")
HOST_DELETION_FAILED: Final = _warning("host_deletion_failed")
HOST_DELETION_LATE: Final = _error("host_deletion_late")
# the store
STORE_AWAY: Final = _error("store_away")
STORE_BACK: Final = _info("store_back")
HISTORY_PRUNED: Final = _info("history_pruned")
# Amazon ECS
DEFINITION_REGISTERED: Final = _info("definition_registered")
DEFINITION_ADOPTED: Final = _info("definition_adopted")
DEFINITION_LOST: Final = _warning("definition_lost")
DEFINITIONS_DEREGISTERED: Final = _info("definitions_deregistered")
DEFINITIONS_NOT_PRUNED: Final = _warning("definitions_not_pruned")
DEFINITIONS_NOT_REMEMBERED: Final = _warning("definitions_not_remembered")
# networks on Alibaba Cloud
NETWORK_MADE: Final = _info("network_made")
NETWORK_DOOR_OPENED: Final = _info("network_door_opened")
NETWORK_DOOR_CLOSED: Final = _info("network_door_closed")
NETWORK_LOST: Final = _warning("network_lost")
NETWORK_NOT_REMEMBERED: Final = _warning("network_not_remembered")
# controllers
CONTROLLER_CONNECTED: Final = _info("controller_connected")
CONTROLLER_AWAY: Final = _warning("controller_away")
CONTROLLER_TOO_FAR_APART: Final = _warning("controller_too_far_apart")
CONTROLLER_IDENTITY_CHANGED: Final = _warning("controller_identity_changed")
CONTROLLER_IDENTITY_NOT_PINNED: Final = _warning("controller_identity_not_pinned")
CONTROLLER_HELD_BACK: Final = _warning("controller_held_back")
CALL_FAILED: Final = _error("call_failed")
# gateway
GATEWAY_LINKED: Final = _info("gateway_linked")
GATEWAY_UNLINKED: Final = _warning("gateway_unlinked")
CONTROL_LINK_FAILED: Final = _warning("control_link_failed")
NOT_A_GATEWAY: Final = _warning("not_a_gateway")
COOKIE_NOT_KEPT: Final = _warning("cookie_not_kept")
GATEWAYS_NOT_REMEMBERED: Final = _warning("gateways_not_remembered")
GATEWAY_STARTED: Final = _info("gateway_started")
GATEWAY_STOPPED: Final = _info("gateway_stopped")
GATEWAY_DRAINING: Final = _info("gateway_draining")
GATEWAY_DRAIN_ENDED: Final = _warning("gateway_drain_ended")
GATEWAY_GENERATION_STARTED: Final = _info("gateway_generation_started")
GATEWAY_NOT_REPLACED: Final = _error("gateway_not_replaced")
SESSION_OPENED: Final = _info("session_opened")
SESSION_CLOSED: Final = _info("session_closed")
HANDSHAKE_REFUSED: Final = _warning("handshake_refused")
ADMISSION_FAILED: Final = _error("admission_failed")
CONNECTION_FAILED: Final = _error("connection_failed")
CONNECTION_NOT_ALLOWED: Final = _warning("connection_not_allowed")
CONNECTIONS_FULL: Final = _warning("connections_full")
HANDSHAKE_DRIVEN_OUT: Final = _warning("handshake_driven_out")
CONTROLLERS_REFUSED: Final = _error("controllers_refused")
GATEWAY_ADOPTED: Final = _info("gateway_adopted")
GATEWAY_DIED: Final = _warning("gateway_died")
