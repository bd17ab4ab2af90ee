"""Requests that ECS takes, for tests to change."""

from typing import Any

from broker.demo.clouds.ecs.service import FakeEcs


def fargate_definition(**other: Any) -> dict[str, Any]:
    """A definition for Fargate with one container, `agent`."""
    return {
        "family": "agents",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "512",
        "memory": "1024",
        "containerDefinitions": [{"name": "agent", "image": "jenkins/inbound-agent"}],
        **other,
    }


def machine_definition(*, cpu: int = 1024, memory: int = 2048, **container: Any) -> dict[str, Any]:
    """A definition for container instances with one container, `agent`."""
    agent = {"name": "agent", "image": "jenkins/inbound-agent", "cpu": cpu, "memory": memory, **container}
    return {"family": "machines", "containerDefinitions": [agent]}


def network(ecs: FakeEcs, *subnets: str) -> dict[str, Any]:
    """A network configuration in these subnets, or in all."""
    return {"awsvpcConfiguration": {"subnets": list(subnets) or list(ecs.network.subnets)}}


def on_fargate(ecs: FakeEcs, **other: Any) -> dict[str, Any]:
    """A RunTask of one task of `agents` on Fargate."""
    return {"taskDefinition": "agents", "launchType": "FARGATE", "networkConfiguration": network(ecs), **other}
