"""Whose an instance is, and which host of its order."""

import pytest

from broker.backends.alibaba_ecs.ownership import Ownership
from broker.domain.host_order import HostOrder
from broker.domain.ids import BackendName, ControllerName, HostId, PolicyName
from broker.domain.offer import Offering
from broker.testing.factories import POOL, make_pool


def ours(key: str = "key", installation: str = "here") -> Ownership:
    return Ownership(BackendName("ali"), installation, lambda text: f"{key}-{hash((key, text))}")


def order(hosts: int = 1) -> HostOrder:
    return HostOrder(
        token="token",
        pool=make_pool(),
        offering=Offering(POOL),
        hosts=tuple(HostId(f"h-{n:012x}") for n in range(hosts)),
        controller=ControllerName("main"),
        policy=PolicyName("linux"),
        job="team/app",
        build_url="https://jenkins.example.com/job/app/7/",
    )


def described(tags: list[dict[str, str]]) -> dict[str, object]:
    return {"Tags": {"Tag": [{"TagKey": one["Key"], "TagValue": one["Value"]} for one in tags]}}


@pytest.mark.parametrize("hosts", [1, 2, 16, 17, 100])
def test_tags_tell_all_hosts_of_an_order_and_fit_into_what_the_vendor_takes(hosts: int) -> None:
    tags = ours().tags(order(hosts), {"team": "build"}, "private")
    owned = ours().of(described(tags))
    assert owned is not None
    assert owned.hosts == order(hosts).hosts
    assert len(tags) <= 20
    assert all(len(tag["Key"]) <= 128 and 0 < len(tag["Value"]) <= 128 for tag in tags)
    assert not [tag for tag in tags if "http://" in tag["Value"] or "https://" in tag["Value"]]
    assert {"Key": "team", "Value": "build"} in tags


@pytest.mark.parametrize("stranger", [ours(key="other"), ours(installation="there")])
def test_tags_of_another_broker_are_not_ours(stranger: Ownership) -> None:
    assert ours().of(described(stranger.tags(order(), {}, "private"))) is None


@pytest.mark.parametrize("mark", ["agentbroker:host", "agentbroker:order", "agentbroker:signature"])
def test_tags_that_somebody_changed_are_not_ours(mark: str) -> None:
    tags = ours().tags(order(), {}, "private")
    for tag in tags:
        tag["Value"] = "h-ffffffffffff" if tag["Key"] == mark else tag["Value"]
    assert ours().of(described(tags)) is None


def test_a_users_tag_cannot_take_the_place_of_a_mark() -> None:
    tags = ours().tags(order(), {"agentbroker:host": "h-ffffffffffff", "acs:x": "y", "managed-by": "me"}, "public")
    owned = ours().of(described(tags))
    assert owned is not None
    assert (owned.hosts, owned.connect_by) == (order().hosts, "public")
    assert [tag["Value"] for tag in tags if tag["Key"] == "managed-by"] == ["agentbroker"]


def test_hosts_are_instances_in_the_order_of_their_ids_however_they_are_told() -> None:
    owned = ours().owned(order(3), "private")
    first = owned.mapping(["i-c", "i-a", "i-b"])
    assert first == owned.mapping(["i-b", "i-c", "i-a"])
    assert [first[ref] for ref in ("i-a", "i-b", "i-c")] == list(order(3).hosts)


def test_one_more_than_was_asked_for_is_a_host_that_nobody_has() -> None:
    extra = ours().owned(order(1), "private").mapping(["i-a", "i-b"])["i-b"]
    assert extra not in order(1).hosts
