"""A doctor's visit to machines over SSH: real sshds are gone to, and each thing that can be wrong is found."""

from dataclasses import replace
from typing import Any

import asyncssh

from broker.clock import SystemClock
from broker.demo.clouds.vms.spec import Image, Java
from broker.demo.clouds.vms.vms import Vms
from broker.doctor.report import Check, Status
from broker.doctor.ssh_hosts import SshHostsVisit
from broker.domain.definitions import Definitions
from broker.domain.ids import BackendName, PolicyName
from broker.domain.policy import Policy, PoolChoice
from broker.domain.pool import BackendDefinition, Pool
from broker.testing.factories import make_template
from tests.contract.ssh_rig import SshRig
from tests.vms import a_spec


async def visit(pool: Pool, image: str | None = None) -> Check:
    pool = replace(pool, backend=BackendName("machines"))
    template = replace(make_template(), image=image or "")
    backend = BackendDefinition(name=pool.backend, type="ssh-hosts")
    policy = Policy(name=PolicyName("linux"), labels=(), template=template.name, pools=(PoolChoice(pool=pool.name),))
    definitions = Definitions(
        revision="",
        controllers={},
        backends={backend.name: backend},
        templates={template.name: template},
        pools={pool.name: pool},
        policies={policy.name: policy},
    )
    (found,) = await SshHostsVisit(definitions=definitions, name="machines", clock=SystemClock()).checks()
    return found


def with_ssh(pool: Pool, **changes: Any) -> Pool:
    said: dict[str, Any] = dict(pool.options)
    return replace(pool, options={**said, "ssh": {**said["ssh"], **changes}})


async def test_a_machine_that_is_sound_tells_what_it_has(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    found = await visit(rig.pool)
    assert found.status is Status.OK, found
    for word in (f"root@{rig.vm.address}", "podman", "openjdk", "sudo", "GiB free"):
        assert word in found.message


async def test_a_machine_without_java_is_a_warning_where_agents_run_on_it(vms: Vms) -> None:
    rig = await SshRig.on(vms, spec=a_spec(image=Image(java=Java.NONE)))
    found = await visit(rig.pool)
    assert found.status is Status.WARNING
    assert "install Java" in found.hint


async def test_a_machine_whose_key_is_not_pinned_is_a_warning(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    said: dict[str, Any] = dict(rig.pool.options)
    hosts = {name: {"address": one["address"]} for name, one in said["hosts"].items()}
    found = await visit(replace(rig.pool, options={**said, "hosts": hosts}))
    assert found.status is Status.WARNING
    assert "not pinned" in found.message


async def test_a_machine_without_an_engine_is_wrong_for_templates_with_an_image(vms: Vms) -> None:
    rig = await SshRig.on(vms, spec=a_spec(image=Image(engine="")))
    found = await visit(rig.pool, image="jenkins/inbound-agent:jdk21")
    assert found.status is Status.FAILED
    assert "docker or podman" in found.hint


async def test_a_key_that_nobody_knows_there_is_wrong_and_says_where_it_belongs(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    other = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    found = await visit(with_ssh(rig.pool, private_key=other))
    assert found.status is Status.FAILED
    assert "authorized_keys" in found.hint


async def test_a_machine_whose_key_is_another_one_is_wrong(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    await rig.vm.reboot(new_host_keys=True)
    found = await visit(rig.pool)
    assert found.status is Status.FAILED
    assert "host_keys" in found.hint


async def test_a_machine_that_does_not_answer_is_wrong(vms: Vms) -> None:
    rig = await SshRig.on(vms)
    await rig.vm.stop()
    found = await visit(rig.pool)
    assert found.status is Status.FAILED
    assert "sshd" in found.hint
