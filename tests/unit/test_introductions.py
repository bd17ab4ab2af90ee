"""What gateways are told of a controller that says who it is."""

import base64
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from broker.demo.authority import Authority
from broker.domain.definitions import Controller, Definitions
from broker.domain.ids import BootId, ControllerName
from broker.domain.introduction import Introduction
from broker.gateway.link import Controllers
from broker.inbound.identity import Identity
from broker.introductions import Introductions
from broker.reconcile.presence import AWAY_AFTER_S, Presence
from broker.testing.clock import ManualClock
from broker.testing.factories import make_definitions
from broker.tls import TlsUnusable

MAIN = ControllerName("main")
FIRST, SECOND = (base64.b64encode(Identity.new().spki).decode() for _ in range(2))


@dataclass
class Kept:
    text: str | None = None

    async def recall(self) -> str | None:
        return self.text

    async def remember(self, text: str) -> None:
        self.text = text


@dataclass
class Told:
    messages: list[Controllers] = field(default_factory=list)

    def __call__(self, message: Controllers) -> None:
        self.messages.append(message)

    @property
    def identity(self) -> str:
        return self.messages[-1].tcp["main"]


def defined(**changes: object) -> Definitions:
    controller = Controller(name=MAIN, url="https://ci.example.com/", token_sha256=(), agents_by_tcp=True)
    return replace(make_definitions(), controllers={MAIN: replace(controller, **changes)})  # type: ignore[arg-type]


async def introductions(
    told: Told, kept: Kept | None = None, clock: ManualClock | None = None, **changes: object
) -> tuple[Introductions, Presence]:
    clock = clock or ManualClock()
    presence, definitions = Presence(clock), defined(**changes)
    made = Introductions(presence, clock, kept or Kept(), lambda: definitions, told)
    await made.recall()
    return made, presence


async def test_a_controllers_own_identity_and_port_are_told_at_once() -> None:
    told = Told()
    made, _ = await introductions(told)
    assert told.identity == ""
    made.said(MAIN, Introduction(identity=FIRST, host="agents.example.com", port=50000, minimum_version="3176.v1"))
    assert told.identity == FIRST
    facts = told.messages[-1].facts["main"]
    assert (facts.host, facts.port, facts.fixed) == ("agents.example.com", 50000, False)
    assert facts.minimum_version == "3176.v1"


async def test_what_the_config_pins_counts_before_what_the_controller_says() -> None:
    told = Told()
    made, _ = await introductions(told, instance_identity=SECOND, agent_address=("ci", 1))
    made.said(MAIN, Introduction(identity=FIRST, host="elsewhere", port=50000))
    facts = told.messages[-1].facts["main"]
    assert told.identity == SECOND
    assert (facts.host, facts.port, facts.fixed) == ("ci", 1, True)


async def test_a_pin_of_the_config_that_the_controller_does_not_have_is_told_once() -> None:
    made, _ = await introductions(Told(), instance_identity=SECOND)
    with capture_logs() as logs:
        for identity in (SECOND, FIRST, FIRST, ""):
            made.said(MAIN, Introduction(identity=identity))
    told = [entry for entry in logs if entry["event"] == "controller_identity_not_pinned"]
    assert [entry["controller"] for entry in told] == ["main"]
    assert told[0]["pinned"] != told[0]["identity"]


@pytest.mark.parametrize("identity", ["", "no base64!", base64.b64encode(b"\x30no key").decode()])
async def test_an_identity_that_is_none_leaves_the_last_one(identity: str) -> None:
    told = Told()
    made, _ = await introductions(told)
    made.said(MAIN, Introduction(identity=FIRST))
    made.said(MAIN, Introduction(identity=identity))
    assert told.identity == FIRST


async def test_another_identity_is_believed_and_told_to_people() -> None:
    told = Told()
    made, _ = await introductions(told)
    with capture_logs() as logs:
        for identity in (FIRST, FIRST, SECOND):
            made.said(MAIN, Introduction(identity=identity))
    assert told.identity == SECOND
    assert [(entry["event"], entry["controller"]) for entry in logs] == [("controller_identity_changed", "main")]


async def test_an_identity_outlives_a_restart_of_the_broker() -> None:
    clock, kept = ManualClock(), Kept()
    made, _ = await introductions(Told(), kept, clock)
    made.said(MAIN, Introduction(identity=FIRST))
    await made.save()
    told = Told()
    await introductions(told, kept)
    assert told.identity == FIRST


async def test_a_controller_is_away_when_it_was_silent_for_long_and_not_just_after_our_start() -> None:
    told, clock = Told(), ManualClock()
    made, presence = await introductions(told, clock=clock)
    assert not told.messages[-1].facts["main"].away
    await clock.advance(AWAY_AFTER_S + 1)
    made.tell()
    assert told.messages[-1].facts["main"].away
    presence.heard(MAIN, BootId("boot"))
    made.tell()
    assert not told.messages[-1].facts["main"].away


async def test_gateways_get_the_certificates_of_a_controllers_ca_as_they_are_now(tmp_path: Path) -> None:
    file, told = tmp_path / "ca.pem", Told()
    first, second = Authority(), Authority()
    file.write_bytes(first.pem)
    made, _ = await introductions(told, ca_file=str(file))
    assert told.messages[-1].facts["main"].authorities.encode() == first.pem
    file.write_bytes(second.pem + first.pem)
    made.tell()
    assert told.messages[-1].facts["main"].authorities.encode() == second.pem + first.pem


async def test_a_ca_that_cannot_be_read_keeps_the_broker_from_starting(tmp_path: Path) -> None:
    with pytest.raises(TlsUnusable, match=r"controllers.main.ca_file"):
        await introductions(Told(), ca_file=str(tmp_path / "none.pem"))
