"""Task definitions as we register them, kept and told again by an ECS that others wrote: moto.

It takes any pair of sizes, knows no limit of revisions or rate, and does not check roles, images or drivers; what it
shows is that each body of ours is one that an ECS takes, that what comes back is known again as the same content, and
that a change makes one revision.
"""

import re
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from broker.backends.aws_ecs.marks import Marks
from broker.backends.aws_ecs.options import BackendOptions
from broker.backends.aws_ecs.register import Definitions, Naming
from broker.backends.aws_ecs.session import Sessions
from broker.clock import SystemClock
from broker.domain.ids import PoolName, TemplateName
from broker.domain.pool import Pool
from broker.domain.template import Template
from broker.errors import BackendRejected
from broker.testing.clock import ManualClock
from broker.testing.memory import FakeMemory
from tests.unit.backends.aws_ecs.every_key import definitions as every_key

pytestmark = pytest.mark.component("moto")


class Account:
    """One account of moto, and the definitions of a broker in it."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.calls: list[str] = []
        self.clock = ManualClock()
        self.installation = uuid.uuid4().hex

    async def ask(self, action: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        self.calls.append(action)
        client = await self.sessions.client("ecs")
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower()
        try:
            answer: Mapping[str, Any] = await getattr(client, method)(**parameters)
        except ClientError as error:
            raise BackendRejected(error.response["Error"]["Code"], error.response["Error"]["Message"]) from error
        return answer

    def definitions(self, memory: FakeMemory, prefix: str) -> Definitions:
        """Those of a broker that has just started and remembers this."""
        marks = Marks(installation=self.installation, backend="aws", sign=lambda text: f"signed:{hash(text)}")
        return Definitions(self.ask, memory, self.clock, Naming(marks=marks, family_prefix=prefix))


@pytest.fixture
async def account(moto: str) -> AsyncIterator[Account]:
    options = BackendOptions(
        region="eu-west-1", access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key="secret", endpoint_url=moto
    )
    sessions = Sessions(options, SystemClock(), "aws")
    yield Account(sessions)
    await sessions.close()


@pytest.fixture
def prefix() -> str:
    """Families of the test's own."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def every() -> tuple[Template, Pool]:
    """A template with every key there is, and its pool."""
    known = every_key()
    return known.templates[TemplateName("every")], known.pools[PoolName("tasks")]


async def test_every_key_s_definition_is_taken_once_and_known_again_without_memory(
    account: Account, prefix: str, every: tuple[Template, Pool]
) -> None:
    first = account.definitions(FakeMemory(), prefix)
    chosen = [await first.arn_for(*every) for _ in range(20)]
    assert account.calls.count("RegisterTaskDefinition") == 1
    assert {one.arn for one in chosen} == {chosen[0].arn}
    assert chosen[0].revision == 1
    again = await account.definitions(FakeMemory(), prefix).arn_for(*every)
    assert again.arn == chosen[0].arn
    assert account.calls.count("RegisterTaskDefinition") == 1


async def test_a_changed_template_is_a_revision_and_old_ones_go_when_nothing_uses_them(
    account: Account, prefix: str, every: tuple[Template, Pool]
) -> None:
    template, pool = every
    definitions = account.definitions(FakeMemory(), prefix)
    arns = [(await definitions.arn_for(replace(template, image=f"acme/agent:{n}"), pool)).arn for n in range(5)]
    assert [arn.rpartition(":")[2] for arn in arns] == ["1", "2", "3", "4", "5"]
    await account.clock.advance(timedelta(hours=30).total_seconds())
    await definitions.arn_for(replace(template, image="acme/agent:4"), pool)
    await definitions.prune([arns[0]])
    ecs = await account.sessions.client("ecs")
    listed = await ecs.list_task_definitions(familyPrefix=arns[0].rpartition("/")[2].rpartition(":")[0])
    assert listed["taskDefinitionArns"] == [arns[0], arns[2], arns[3], arns[4]]


@pytest.mark.parametrize(
    "by", [lambda arn: arn, lambda arn: arn.rpartition("/")[2], lambda arn: arn.split("/")[1][:-2]]
)
async def test_a_definition_of_somebody_else_is_run_by_its_revision(
    account: Account, prefix: str, every: tuple[Template, Pool], by: Callable[[str], str]
) -> None:
    ecs = await account.sessions.client("ecs")
    containers = [{"name": "builder", "image": "acme/agent", "memory": 512, "essential": True}]
    made = await ecs.register_task_definition(family=prefix, containerDefinitions=containers)
    arn = made["taskDefinition"]["taskDefinitionArn"]
    template = replace(every[0], options={"task_definition": by(arn)})
    chosen = await account.definitions(FakeMemory(), prefix).arn_for(template, every[1])
    assert (chosen.arn, chosen.container, chosen.ours) == (arn, "builder", False)


async def test_a_definition_that_is_not_there_names_the_key(
    account: Account, prefix: str, every: tuple[Template, Pool]
) -> None:
    template = replace(every[0], options={"task_definition": f"{prefix}-none"})
    with pytest.raises(BackendRejected, match=r"templates\.every\.task_definition names"):
        await account.definitions(FakeMemory(), prefix).arn_for(template, every[1])
