"""How large a task is: in its definition, and by what a launch says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.backends.aws_ecs.chosen import Chosen, chosen_of, launch_sizes
from broker.backends.aws_ecs.sizes import SizeOverrides, Sizes, fargate_size, resized, size_overrides, sizes_of
from broker.domain.fargate import SIZES
from broker.domain.resources import Resources
from broker.errors import BackendRejected
from tests.unit.backends.aws_ecs.bodies import a_body, a_pool, a_template, fargate, problems_of

USUAL = Resources(cpu_milli=2000, memory_mib=8192)
LARGE = Resources(cpu_milli=4000, memory_mib=16384)


def chosen_for(pool_body: dict[str, object]) -> Chosen:
    return chosen_of(pool_body, "arn:aws:ecs:eu-west-1:1:task-definition/f:3", "agent", ours=True)


def named(sizes: Sizes) -> Chosen:
    arn = "arn:aws:ecs:eu-west-1:1:task-definition/builds:7"
    return Chosen(arn=arn, container="agent", containers=("agent",), ours=False, sizes=sizes)


def test_a_launch_of_the_usual_size_says_nothing_of_it() -> None:
    for pool in (a_pool(), fargate()):
        assert launch_sizes(chosen_for(a_body(pool=pool)), a_template(), pool, USUAL) == SizeOverrides()


def test_on_instances_a_builds_size_is_the_containers() -> None:
    asked = launch_sizes(chosen_for(a_body()), a_template(resources=LARGE), a_pool(), USUAL)
    assert asked == SizeOverrides(container={"cpu": 4096, "memory": 16384})


def test_on_fargate_a_builds_size_is_the_tasks_and_what_sidecars_leave_the_containers() -> None:
    ecs = {"sidecars": [{"name": "db", "image": "postgres", "cpu": 512, "memory": 1024}]}
    chosen = chosen_for(a_body(a_template(ecs=ecs), fargate()))
    asked = launch_sizes(chosen, a_template(resources=LARGE, ecs=ecs), fargate(), USUAL)
    assert asked.task == {"cpu": "4096", "memory": "16384"}
    assert asked.container == {"cpu": 3584, "memory": 15360}


def test_a_build_that_asks_fargate_for_less_than_its_reservation_gets_less_reserved() -> None:
    ecs = {"memory_reservation": 6144}
    small = Resources(cpu_milli=1000, memory_mib=2048)
    asked = launch_sizes(chosen_for(a_body(a_template(ecs=ecs))), a_template(resources=small, ecs=ecs), a_pool(), USUAL)
    assert asked.container == {"cpu": 1024, "memory": 2048, "memoryReservation": 2048}


def test_what_fargate_has_not_is_rounded_up_for_a_build() -> None:
    asked = launch_sizes(
        chosen_for(a_body(pool=fargate())),
        a_template(resources=Resources(cpu_milli=3000, memory_mib=7000)),
        fargate(),
        USUAL,
    )
    assert asked.task == {"cpu": "4096"}, "4 vCPU go with 8 GiB, which the definition has"


def test_more_than_fargate_has_is_refused_with_what_it_has() -> None:
    with pytest.raises(BackendRejected, match="at most 16 vCPU and 120 GiB"):
        fargate_size(32 * 1024, 1024)


@given(cpu=st.integers(0, 16 * 1024), memory=st.integers(0, 120 * 1024))
def test_a_fargate_size_is_legal_and_holds_what_was_asked(cpu: int, memory: int) -> None:
    task_cpu, task_memory = fargate_size(cpu, memory)
    assert task_memory in SIZES[task_cpu * 1000 // 1024]
    assert task_cpu >= cpu * 1000 // 1024 * 1024 // 1000
    assert task_memory >= memory


@pytest.mark.parametrize(
    ("hard", "soft", "task_memory", "memory", "reservation"),
    [(8192, 0, 8192, 8192, 0), (0, 4096, 4096, 0, 4096), (8192, 6144, 8192, 8192, 6144)],
)
def test_on_fargate_the_soft_limit_sizes_a_task_without_a_hard_one(
    hard: int, soft: int, task_memory: int, memory: int, reservation: int
) -> None:
    sizes = sizes_of(Resources(cpu_milli=2000, memory_mib=hard), soft, (), on_fargate=True)
    assert (sizes.task_memory, sizes.memory, sizes.reservation) == (task_memory, memory, reservation)


class TestNamed:
    """A definition that the config names keeps its size but for what a build asks for."""

    def test_the_templates_own_size_says_nothing(self) -> None:
        asked = launch_sizes(named(Sizes(cpu=512, memory=1024)), a_template(), a_pool(), USUAL)
        assert asked == SizeOverrides()

    def test_nor_does_one_of_which_nobody_knows_what_was_configured(self) -> None:
        asked = launch_sizes(named(Sizes(cpu=512, memory=1024)), a_template(resources=LARGE), a_pool(), None)
        assert asked == SizeOverrides()

    def test_on_instances_a_build_changes_the_container(self) -> None:
        asked = launch_sizes(named(Sizes(memory=1024)), a_template(resources=LARGE), a_pool(), USUAL)
        assert asked == SizeOverrides(container={"cpu": 4096, "memory": 16384})

    def test_on_fargate_a_build_changes_the_task_and_the_container_by_as_much(self) -> None:
        sizes = Sizes(task_cpu=2048, task_memory=8192, cpu=1024, memory=6144)
        asked = launch_sizes(named(sizes), a_template(resources=LARGE), fargate(), USUAL)
        assert asked.task == {"cpu": "4096", "memory": "16384"}
        assert asked.container == {"cpu": 3072, "memory": 14336}

    def test_what_is_asked_alone_takes_the_rest_from_the_definition(self) -> None:
        sizes = Sizes(task_cpu=2048, task_memory=4096)
        only_cpu = a_template(resources=Resources(cpu_milli=4000, memory_mib=8192))
        asked = launch_sizes(named(sizes), only_cpu, fargate(), USUAL)
        assert asked == SizeOverrides(task={"cpu": "4096", "memory": "8192"}), "the least that goes with 4 vCPU"


def test_a_container_without_a_size_gets_none_when_its_task_grows() -> None:
    assert resized(Sizes(task_cpu=1024, task_memory=2048), 2048, 0, on_fargate=True).cpu == 0


def test_the_model_of_the_api_takes_the_overrides() -> None:
    said = size_overrides(Sizes(), Sizes(task_cpu=256, task_memory=512, cpu=256, memory=512, reservation=256))
    request = {"containerOverrides": [{"name": "agent", **said.container}], **said.task}
    assert problems_of("RunTask", {"taskDefinition": "x", "overrides": request}) == ""
