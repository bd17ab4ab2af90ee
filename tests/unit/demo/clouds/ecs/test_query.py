"""The cluster query language."""

import pytest

from broker.demo.clouds.ecs.instances import ContainerInstance, Need, usual_attributes
from broker.demo.clouds.ecs.query import parse
from broker.demo.clouds.model import ApiError

INSTANCE = ContainerInstance(
    arn="arn:aws:ecs:eu-west-1:111122223333:container-instance/default/" + "0" * 32,
    cluster="default",
    ec2_instance_id="i-0123456789abcdef0",
    cpu=4096,
    memory=8192,
    attributes={**usual_attributes("eu-west-1a", "m6i.xlarge", "x86_64", "LINUX"), "stack": "build", "empty": None},
    registered_at=1_767_225_600.0,
    held={"task": Need()},
    groups={"task": "family:agents"},
    running={"task"},
)

TRUE = [
    "attribute:ecs.instance-type == m6i.xlarge",
    "attribute:ecs.instance-type equals m6i.xlarge",
    "attribute:ecs.instance-type =~ m6i.*",
    "attribute:ecs.instance-type !~ t3.*",
    "attribute:ecs.availability-zone in [eu-west-1a, eu-west-1b]",
    "attribute:ecs.availability-zone not_in [eu-west-1c]",
    "attribute:ecs.availability-zone !in [eu-west-1c]",
    "attribute:stack exists",
    "attribute:empty exists",
    "attribute:other not_exists",
    "attribute:other !exists",
    "attribute:other != x",
    "attribute:stack == 'build'",
    'attribute:stack == "build" and agentConnected == true',
    "attribute:stack == x or attribute:stack == build",
    "not(attribute:stack == x)",
    "!(attribute:stack == x) && (attribute:stack == build || attribute:stack == y)",
    "not attribute:stack == x and attribute:stack == build",
    "ec2InstanceId in ['i-0123456789abcdef0', 'i-1']",
    "runningTasksCount == 1",
    "runningTasksCount < 10",
    "agentVersion >= 1.9.1",
    "agentVersion greater_than 1.50",
    "registeredAt >= 2026-01-01T00:00:00Z",
    "registeredAt < 2026-01-02",
    "task:group == family:agents",
    "attribute:a == 1 or attribute:b == 1 or attribute:stack == build and agentConnected == true",
]
FALSE = [
    "attribute:ecs.instance-type != m6i.xlarge",
    "attribute:ecs.instance-type =~ m6i",
    "attribute:other == x",
    "attribute:other exists",
    "attribute:stack in [x, y]",
    "agentConnected == false",
    "runningTasksCount > 1",
    "agentVersion < 1.50",
    "task:group == service:web",
    "attribute:stack == build and attribute:stack == x",
]
WRONG = [
    "",
    " ",
    "attribute:stack",
    "attribute: == x",
    "attribute:stack ==",
    "attribute:stack = build",
    "attribute:stack == build and",
    "attribute:stack in build",
    "attribute:stack in []",
    "attribute:stack in [a, b",
    "(attribute:stack == build",
    "attribute:stack == build)",
    "stack == build",
    "attribute:stack =~ [",
    "attribute:stack like build",
    "attribute:stack == build attribute:stack == build",
    "attribute:stack == " + "x" * 2000,
]


@pytest.mark.parametrize("expression", TRUE)
def test_an_expression_likes_the_instance(expression: str) -> None:
    assert parse(expression)(INSTANCE)


@pytest.mark.parametrize("expression", FALSE)
def test_an_expression_does_not_like_the_instance(expression: str) -> None:
    assert not parse(expression)(INSTANCE)


@pytest.mark.parametrize("expression", WRONG)
def test_an_expression_that_is_wrong_is_refused(expression: str) -> None:
    with pytest.raises(ApiError, match="InvalidParameterException"):
        parse(expression)
