"""Agents as tasks of Amazon ECS, counted in the fake cloud, which outlives the brokers."""

from typing import Any, Final

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ec2 import Subnet
from broker.demo.clouds.ecs.knobs import Timing
from broker.demo.clouds.ecs.tasks import Status, Task

_AGENT, _ATTEMPT, _LAUNCH = "agentbroker:agent-id", "agentbroker:attempt", "agentbroker:launch"
_QUICK: Final = Timing(provisioning_s=0.05, pending_s=0.05, activating_s=0, stopping_s=0.05, deprovisioning_s=0.05)


class Tasks:
    """A ground of tasks: one runs from when it was made until its containers have ended."""

    def __init__(self, fake: FakeAws, url: str, secret_delivery: str = "env") -> None:
        fake.ecs.timing = _QUICK
        self.fake = fake
        self._url = url
        self._delivery = secret_delivery
        self._seen: dict[str, tuple[str, int, str]] = {}

    def pool(self) -> dict[str, Any]:
        subnet: Subnet = next(iter(self.fake.ec2.subnets.values()))
        return {
            "backend": "aws",
            "capacity_provider": "FARGATE",
            "subnets": [subnet.id],
            "security_groups": ["sg-" + "a" * 17],
            "execution_role_arn": f"arn:aws:iam::{self.fake.account}:role/agentbroker-exec",
            "secret_delivery": self._delivery,
        }

    def backends(self) -> dict[str, Any]:
        return {
            "aws": {
                "type": "aws-ecs",
                "region": self.fake.region,
                "cluster": "default",
                "endpoint_url": self._url,
                "access_key_id": self.fake.access_key,
                "secret_access_key": self.fake.secret_key,
                "poll_interval": "1s",
                "leave_grace": "0s",
            }
        }

    def template(self) -> dict[str, Any]:
        return {"image": "jenkins/inbound-agent:jdk21", "cpu": 1, "memory": "2Gi"}

    async def living(self) -> set[tuple[str, int]]:
        found = [(agent_id, attempt) for agent_id, attempt, _ in map(self._marks, self.fake.ecs.living)]
        assert len(found) == len(set(found)), f"two tasks of one launch: {found}"
        return set(found)

    async def stop(self, agent_id: str, attempt: int) -> None:
        for task in self.fake.ecs.living:
            runs = task.status(self.fake.ecs.now) is Status.RUNNING
            if runs and self._marks(task)[:2] == (agent_id, attempt):
                self.fake.ecs.stop(task.arn, exit_code=1)

    async def remove_all(self) -> None:
        for task in self.fake.ecs.living:
            self.fake.ecs.stop(task.arn)

    def starts(self) -> list[str]:
        return [self._marks(task)[2] for task in self.fake.ecs.tasks.values()]

    def secrets(self) -> list[str]:
        """Those that are in the cloud."""
        stored = [one.name for one in self.fake.ssm.parameters]
        return stored + [one.name for one in self.fake.secretsmanager.secrets]

    def _marks(self, task: Task) -> tuple[str, int, str]:
        """Agent, attempt and launch, as they were when it was first looked at: StopTask deletes tags."""
        if task.arn not in self._seen:
            self._seen[task.arn] = (
                task.tags.get(_AGENT, task.arn),
                int(task.tags.get(_ATTEMPT, "0")),
                task.tags.get(_LAUNCH, task.arn),
            )
        return self._seen[task.arn]
