"""What a gateway process takes on when it may have few descriptors."""

from broker.gateway.settings import Limits


def test_a_process_with_many_descriptors_keeps_its_limits() -> None:
    assert Limits().within(1_048_576) == Limits()


def test_sessions_and_handshakes_leave_descriptors_for_the_way_to_the_controller() -> None:
    few = Limits().within(1024)
    assert (few.connections, few.handshakes) == (480, 128)
    none = Limits().within(10)
    assert (none.connections, none.handshakes) == (1, 1)
