"""What a broker on the fake of AWS is made of: pools, a policy over them, and the real backend."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from broker.backends.aws_ecs.assembly import Surroundings, open_ecs
from broker.backends.aws_ecs.backend import EcsBackend
from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ecs.knobs import Timing
from broker.domain.definitions import Definitions
from broker.domain.ids import BackendName, PoolName
from broker.domain.pool import BackendDefinition, Pool
from broker.testing.clock import ManualClock
from broker.testing.factories import BACKEND, make_definitions, make_policy, make_pool, make_template
from broker.testing.memory import FakeMemory
from tests.benchmarks.ecs_world import Counted

INSTALLATION: Final = "0123abcd"
TIMING: Final = Timing(provisioning_s=2, pending_s=8, activating_s=1, stopping_s=1, deprovisioning_s=2)
SUBNETS: Final = [f"subnet-{letter * 17}" for letter in "abc"]
FARGATE: Final[Mapping[str, Any]] = {
    "capacity_provider": "FARGATE",
    "subnets": SUBNETS,
    "security_groups": ["sg-" + "a" * 17],
    "execution_role_arn": "arn:aws:iam::111122223333:role/agentbroker-exec",
}


def fargate(name: str = "it", backend: BackendName = BACKEND, **options: Any) -> Pool:
    """A pool of three zones on Fargate, but for `options`."""
    return make_pool(name=PoolName(name), backend=backend, options={**FARGATE, **options})


def backend_on(
    fake: FakeAws, url: str, clock: ManualClock, installation: str = INSTALLATION, name: BackendName = BACKEND,
    **options: Any,
) -> tuple[EcsBackend, Counted]:  # fmt: skip
    """A backend, and how many of its calls are under way."""
    told = {
        "region": fake.region,
        "cluster": "default",
        "endpoint_url": url,
        "access_key_id": fake.access_key,
        "secret_access_key": fake.secret_key,
        **options,
    }
    around = Surroundings(
        installation=installation,
        sign=lambda text: hashlib.sha256(f"key of {installation}\n{text}".encode()).hexdigest(),
        clock=clock,
        memory=FakeMemory(),
        called=lambda action, failed, seconds: None,
    )
    backend = open_ecs(BackendDefinition(name=name, type="aws-ecs", options=told), around)
    counted = Counted(backend.calls._clients)
    backend.calls._clients = counted
    return backend, counted


def definitions(pools: Sequence[Pool] = (), template: Mapping[str, Any] | None = None, **policy: Any) -> Definitions:
    """One policy over these pools in their order."""
    pools = tuple(pools) or (fargate(),)
    return make_definitions(
        pools=pools,
        templates=[make_template(image="jenkins/inbound-agent:jdk21", **(template or {}))],
        policies=[make_policy(*(pool.name for pool in pools), **policy)],
    )
