"""Pools of containers, from the file to what the backend is given."""

from broker.backends.container.request import ContainerOptions
from broker.config.load import parse
from broker.domain.ids import BackendName, PoolName, TemplateName
from broker.domain.template import Inject, Mount

TEXT = """
version: 1
backends: { boxes: { type: container, socket: "unix:///run/podman/podman.sock" } }
templates:
  java:
    image: acme/agent-java:21
    inject: script
    user: "1000:1000"
    read_only: true
    mounts: ["/var/cache/maven:/m2:ro", "gradle:/gradle"]
pools:
  box: { backend: boxes, network: host, pids: 512, pull: always, init_process: false, cap_add: [SYS_PTRACE] }
  plain: { backend: container }
policies: { linux: { labels: [linux], template: java, pools: [box, plain] } }
"""


def test_a_template_s_keys_for_containers_reach_its_template() -> None:
    template = parse(TEXT, env={}).definitions.templates[TemplateName("java")]
    assert (template.image, template.user, template.read_only) == ("acme/agent-java:21", "1000:1000", True)
    assert template.inject is Inject.SCRIPT
    assert template.mounts == (
        Mount(source="/var/cache/maven", target="/m2", read_only=True),
        Mount(source="gradle", target="/gradle"),
    )


def test_a_pool_s_keys_reach_its_backend_and_have_safe_defaults() -> None:
    definitions = parse(TEXT, env={}, starting=True).definitions
    assert definitions.backends[BackendName("boxes")].options["socket"] == "unix:///run/podman/podman.sock"
    assert ContainerOptions.of(definitions.pools[PoolName("box")]) == ContainerOptions(
        network="host", pids=512, pull="always", init_process=False, cap_add=("SYS_PTRACE",)
    )
    assert ContainerOptions.of(definitions.pools[PoolName("plain")]) == ContainerOptions(pids=4096, init_process=True)


def test_a_template_used_by_containers_and_processes_may_have_an_image() -> None:
    text = TEXT.replace("pools: [box, plain]", "pools: [box, here]") + "\n"
    text = text.replace("pools:\n", "pools:\n  here: { backend: process }\n", 1)
    assert "unused-key" not in parse(text, env={}).warnings
