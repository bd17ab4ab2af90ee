"""What pools say of hosts, wherever those come from: how they are reached, prepared, used and kept."""

import re
from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from broker.config.base import AtLeastOne, Count, Cpu, Model, OrText, Text
from broker.config.model_ecs_types import Like
from broker.config.units import Duration, Size, SomeTime, describe, problem

HOST_KEYS: Final = frozenset({"agents_per_host", "ssh", "init", "host", "runner"})
"""Keys of every pool whose agents are on hosts of ours."""
_PLACE: Final = re.compile(
    r"(?:(?P<user>[A-Za-z_][A-Za-z0-9_.-]{0,31})@)?(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9_.-]{1,255}))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_ADDRESS: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,254})|[0-9A-Fa-f:.]{2,45}"
_KEY_TYPES: Final = r"(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\.com)"

Port = Annotated[int, Field(ge=1, le=65535)]
UserName = Annotated[
    str, Like(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", "the name of a user", "jenkins", "use letters, digits and '_.-'")
]
HostAddress = Annotated[
    str,
    Like(
        _ADDRESS, "a host's name or address", "build1.example.com", "write it without a user and a port", "bad-address"
    ),
]
HostKey = Annotated[
    str,
    Like(
        rf"{_KEY_TYPES} [A-Za-z0-9+/]{{40,2000}}={{0,2}}",
        "a host key",
        f"ssh-ed25519 {'A' * 64}",
        "write TYPE BASE64, such as a line of 'ssh-keyscan HOST' without the name in front",
    ),
]
Variable = Annotated[str, Like(r"[A-Za-z_][A-Za-z0-9_]{0,127}", "the name of a variable", "NPM_TOKEN")]


def _as_place(value: object) -> object:
    """`user@host:port` as a map."""
    if not isinstance(value, str):
        return value
    found = _PLACE.fullmatch(value)
    if found is None:
        message = f"expected a machine, got {describe(value)}"
        raise problem("bad-machine", message, "write USER@HOST:PORT, of which user and port may be left out")
    made: dict[str, object] = {"address": found["six"] or found["host"]}
    if found["user"]:
        made["user"] = found["user"]
    if found["port"]:
        made["port"] = int(found["port"])
    return made


class JumpHost(Model):
    """A machine between the broker and the hosts."""

    address: HostAddress = Field(description="Its name or address.", examples=["bastion.example.com"])
    port: Port = Field(default=22, description="Port.")
    user: UserName | None = Field(default=None, description="User there; default: that of ssh.user.", examples=["jump"])
    private_key: Text | None = Field(
        default=None, description="The key itself, from ${VAR}; default: that of the hosts.", examples=["${JUMP_KEY}"]
    )
    private_key_file: Text | None = Field(
        default=None, description="File that holds the key.", examples=["/run/secrets/jump_key"]
    )
    host_key: Literal["pinned", "accept-new"] | None = Field(
        default=None, description="Trust; default: pinned where keys are named, else accept-new."
    )
    host_keys: list[HostKey] | None = Field(
        default=None, description="Its public keys, TYPE BASE64 each.", examples=[[f"ssh-ed25519 {'A' * 64}"]]
    )
    known_hosts_file: Text | None = Field(
        default=None, description="File of known hosts that has its keys.", examples=["/etc/agentbroker/known_hosts"]
    )


class Ssh(Model):
    """The way onto a host."""

    user: UserName = Field(default="root", description="User on the host.")
    port: Port = Field(default=22, description="Port.")
    private_key: Text | None = Field(
        default=None, description="The key itself, from ${VAR}; better private_key_file.", examples=["${SSH_KEY}"]
    )
    private_key_file: Text | None = Field(
        default=None,
        description="File that holds the key: OpenSSH or PEM, without a passphrase.",
        examples=["/run/secrets/ssh_key"],
    )
    host_key: Literal["from-console", "pinned", "accept-new"] | None = Field(
        default=None,
        description="Trust: keys from the machine's console output, named ones, or those first seen; default: pinned "
        "where keys are named, else from-console, and accept-new on ssh-hosts.",
    )
    host_keys: list[HostKey] | None = Field(
        default=None,
        description="Public keys of the hosts, TYPE BASE64 each, of which one is to be shown.",
        examples=[[f"ssh-ed25519 {'A' * 64}"]],
    )
    known_hosts_file: Text | None = Field(
        default=None, description="File of known hosts in OpenSSH's form.", examples=["/etc/agentbroker/known_hosts"]
    )
    jump_host: Annotated[JumpHost, BeforeValidator(_as_place), OrText()] | None = Field(
        default=None,
        description="Machine to go through: USER@HOST:PORT, or a map.",
        examples=["jump@bastion.example.com:22"],
    )
    connect_timeout: SomeTime = Field(
        default=timedelta(seconds=10), description="How long one try to connect and log in may take."
    )


class Init(Model):
    """What is run once on a new host, before its first agent."""

    script_file: Text | None = Field(
        default=None, description="File with the script to run.", examples=["/etc/agentbroker/init-host.sh"]
    )
    script: Text | None = Field(
        default=None,
        description="The script itself, in place of a file.",
        examples=["#!/bin/sh\ndnf install -y java-21-openjdk-headless\n"],
    )
    timeout: SomeTime = Field(default=timedelta(minutes=10), description="How long it may take.")
    sudo: bool = Field(default=False, description="Whether it runs as root, by sudo -n.")
    env: dict[Variable, str] = Field(
        default={}, description="Variables of the script; values are masked in its log.", examples=[{"MIRROR": "cn"}]
    )
    env_files: dict[Variable, Text] = Field(
        default={},
        description="Variables of the script whose values stand in files.",
        examples=[{"NPM_TOKEN": "/run/secrets/npm_token"}],
    )
    legacy_marker: Text | None = Field(
        default=None,
        description="File on the host that says that it has been prepared, whatever the script.",
        examples=["~/.hudson-run-init"],
    )


class Runner(Model):
    """What agents run in on a host: containers if their template has an image, else Java."""

    container_engine: Literal["auto", "docker", "podman"] = Field(
        default="auto", description="What runs templates with an image; auto takes the one that is there."
    )
    java: Text | None = Field(
        default=None,
        description="The java program on the host; default: the one that is found.",
        examples=["/usr/lib/jvm/java-21/bin/java"],
    )
    java_version: Annotated[int, Field(ge=17, le=99)] = Field(
        default=17, description="Java's least major version for agents without an image."
    )
    java_opts: list[Text] = Field(
        default=[], description="Options of the agent's Java, without an image.", examples=[["-Xmx512m"]]
    )
    work_dir: Text = Field(
        default="agentbroker",
        description="Directory on the host that agents have theirs in; a relative one is in the user's home.",
        examples=["/home/jenkins/agents"],
    )


class HostModel(Model):
    """How long a host is kept."""

    idle_timeout: Duration = Field(
        default=timedelta(minutes=10), description="Empty time after which it ends; 0s is never."
    )
    max_age: Duration | None = Field(
        default=None, description="Age at which it takes no more agents; 0s is without limit.", examples=["24h"]
    )
    max_uses: Count | None = Field(
        default=None, description="Agents after which it takes no more; 0 is without limit.", examples=[50]
    )
    boot_timeout: SomeTime = Field(
        default=timedelta(minutes=10), description="Time from its order until it can be reached."
    )


class Machine(Model):
    """One machine of ssh-hosts."""

    address: HostAddress = Field(description="Its name or address.", examples=["build1.example.com"])
    port: Port | None = Field(default=None, description="Port; default: that of ssh.port.", examples=[22])
    user: UserName | None = Field(default=None, description="User; default: that of ssh.user.", examples=["jenkins"])
    cpu: Cpu | None = Field(default=None, description="vCPU for agents; default: no bound.")
    memory: Size | None = Field(default=None, description="Memory for agents; default: no bound.")
    slots: AtLeastOne | None = Field(default=None, description="Most agents at once; default: agents_per_host.")
    zone: Text | None = Field(default=None, description="Where it stands, for strategy spread.", examples=["rack-1"])
    host_keys: list[HostKey] | None = Field(
        default=None,
        description="Its public keys, TYPE BASE64 each, of which one is to be shown.",
        examples=[[f"ssh-ed25519 {'A' * 64}"]],
    )


class HostPoolKeys(Model):
    """The keys of pools whose agents are on hosts of ours."""

    agents_per_host: AtLeastOne | None = Field(
        default=None, description="Most agents on one host; default: as many as fit its cpu and memory."
    )
    ssh: Ssh | None = Field(default=None, description="The way onto a host.")
    init: Init | None = Field(default=None, description="What is run once on a new host.")
    runner: Runner | None = Field(default=None, description="What agents run in on a host.")
    host: HostModel | None = Field(default=None, description="How long a host is kept.")
    hosts: (
        Annotated[dict[str, Annotated[Machine, BeforeValidator(_as_place), OrText()]], Field(min_length=1)] | None
    ) = Field(
        default=None,
        description="The machines by name: USER@HOST:PORT, or a map; ssh-hosts.",
        examples=[{"build1": "jenkins@build1.example.com"}],
    )
