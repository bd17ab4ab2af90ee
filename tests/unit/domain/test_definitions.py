"""What the definitions answer: who may use what, and when an agent is used up."""

from datetime import timedelta

import pytest

from broker.domain.ids import ControllerName, PolicyName
from broker.domain.policy import Retry, Timeouts
from broker.domain.template import Retention
from broker.testing.factories import (
    CONTROLLER,
    make_agent,
    make_controller,
    make_definitions,
    make_policy,
    make_template,
)


@pytest.mark.parametrize(("max_uses", "uses", "used_up"), [(1, 0, False), (1, 1, True), (3, 2, False), (3, 4, True)])
def test_an_agent_is_used_up_after_its_last_allowed_build(max_uses: int, uses: int, *, used_up: bool) -> None:
    definitions = make_definitions(templates=[make_template(retention=Retention(max_uses=max_uses))])
    assert definitions.used_up(make_agent(uses=uses)) == used_up


def test_an_agent_without_a_bound_on_uses_is_never_used_up() -> None:
    definitions = make_definitions(templates=[make_template(retention=Retention(max_uses=0))])
    assert not definitions.used_up(make_agent(uses=10_000))


def test_an_agent_whose_policy_was_removed_lives_by_the_defaults() -> None:
    removed, definitions = PolicyName("removed"), make_definitions()
    assert definitions.timeouts_of(removed) == Timeouts()
    assert definitions.retry_of(removed) == Retry()
    assert definitions.retention_of(removed).max_lifetime == timedelta(hours=6)


def test_a_controller_sees_its_policies_the_highest_priority_first() -> None:
    other = ControllerName("other")
    policies = [
        make_policy(name="low"),
        make_policy(name="theirs", controllers=(other,)),
        make_policy(name="high", priority=10),
        make_policy(name="late"),
    ]
    definitions = make_definitions(policies=policies)
    assert [p.name for p in definitions.policies_of(CONTROLLER)] == ["high", "low", "late"]
    assert [p.name for p in definitions.policies_of(other)] == ["high", "low", "theirs", "late"]


def test_a_controller_sees_only_policies_with_a_label_that_it_may_use_and_of_these_only_such_labels() -> None:
    policies = [
        make_policy(name="linux", labels=("linux", "docker", "gpu")),
        make_policy(name="windows", labels=("windows",)),
        make_policy(name="unlabelled", labels=(), accept_unlabelled=True),
        make_policy(name="theirs", labels=("linux",), controllers=(ControllerName("other"),)),
    ]
    bounded = make_controller(labels=("lin*", "docker"))
    definitions = make_definitions(policies=policies, controllers=[bounded])
    assert [(p.name, p.labels) for p in definitions.policies_of(CONTROLLER)] == [("linux", ("linux", "docker"))]
    assert definitions.labels_of(CONTROLLER, PolicyName("linux")) == ("linux", "docker")
    assert definitions.labels_of(ControllerName("other"), PolicyName("linux")) == ("linux", "docker", "gpu")


def test_a_controller_that_may_use_every_label_still_needs_one() -> None:
    policies = [make_policy(name="unlabelled", labels=(), accept_unlabelled=True), make_policy(labels=("linux",))]
    definitions = make_definitions(policies=policies, controllers=[make_controller(labels=("*",))])
    assert [p.name for p in definitions.policies_of(CONTROLLER)] == ["linux"]
