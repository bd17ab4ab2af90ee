"""The config that `config init` prints: whole, commented, and accepted by `config check`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from broker.config.schema import MODELINE

_HEAD: Final = """%(modeline)s
# `agentbroker config check FILE` says all that is wrong with it, `agentbroker config explain pools.*.limits` what a key
# means. A variable such as AGENTBROKER_POOLS__%(variable)s__LIMITS__AGENTS=20 is put over the file, and the files in
# conf.d/ beside it are part of it.
version: 1

server:
  http: { listen: 127.0.0.1:7070 }      # status, metrics and the operators' API
  grpc: { listen: 127.0.0.1:7071 }      # Jenkins; beyond this machine with tls: { cert_file: ..., key_file: ... }
  state_dir: /var/lib/agentbroker       # agents and events survive a restart
  log: { level: info, format: console }

controllers:
  main:
    url: http://127.0.0.1:8080/         # your Jenkins
    # `agentbroker init jenkins --home DIR` makes a token and prints its hash for this line:
    token_sha256: %(token)s

gateway:                                # agents connect here, never to Jenkins
  websocket: { listen: %(listen)s, advertise: %(advertise)s }
"""
_NO_TOKEN: Final = f'"{"0" * 64}"'
_TEMPLATES: Final = """
templates:                              # what an agent is
  base:
    abstract: true                      # there to inherit from
    retention: { max_uses: 1, idle_timeout: 2m, max_lifetime: 6h }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Starter:
    """The parts of one backend."""

    backends: str
    template: str
    pools: str
    pool: str
    near: bool = False


STARTERS: Final = {
    "process": _Starter(
        backends="",
        template="""  here:
    inherit_from: base                  # maps merge, scalars and lists replace, null removes
""",
        pools="""  here:
    backend: process                    # `java -jar agent.jar` on this machine
    limits: { agents: 4 }
""",
        pool="here",
        near=True,
    ),
    "container": _Starter(
        backends="""  engine:
    type: container                     # podman or Docker; `socket` names another than DOCKER_HOST
""",
        template="""  container:
    inherit_from: base
    image: docker.io/jenkins/inbound-agent:jdk21
    cpu: 1
    memory: 2Gi
""",
        pools="""  containers:
    backend: engine
    network: host                       # or give the gateway an address that containers reach
    limits: { agents: 10, pending: 5 }
""",
        pool="containers",
        near=True,
    ),
    "aws-ecs": _Starter(
        backends="""  aws:
    type: aws-ecs                       # credentials: the SDK's default chain, or `profile`, `assume_role_arn`, files
    region: eu-west-1
    cluster: ci                         # it exists already; `agentbroker discover` shows those of the account
    api_rate: 20/s
""",
        template="""  task:
    inherit_from: base
    image: docker.io/jenkins/inbound-agent:jdk21
    cpu: 1                              # with Fargate a pair that it has: 1 vCPU with 2Gi to 8Gi
    memory: 2Gi
""",
        pools="""  fargate:
    backend: aws
    capacity_provider: FARGATE          # or FARGATE_SPOT, or one of the cluster's own
    subnets: [subnet-0a1, subnet-0b2]   # the broker spreads tasks over their zones
    security_groups: [sg-0agents]
    # execution_role_arn: arn:aws:iam::111122223333:role/agentbroker-exec   # for images in ECR, logs, secrets
    limits: { agents: 100, pending: 20 }
""",
        pool="fargate",
    ),
    "aws-ecs-ec2": _Starter(
        backends="""  aws-instances:
    type: aws-ecs                       # credentials: the SDK's default chain
    region: eu-west-1
    cluster: ci-instances
    api_rate: 20/s
""",
        template="""  container-task:
    inherit_from: base
    image: docker.io/jenkins/inbound-agent:jdk21
    cpu: 1
    memory: 2Gi                         # ECS finds an instance with so much room
    ecs: { memory_reservation: 1Gi, stop_timeout: 60s }
""",
        pools="""  instances:
    backend: aws-instances
    launch_type: EC2                    # or capacity_provider: one with managed scaling, so that the cluster grows
    placement_strategy: [{ type: binpack, field: memory }]
    limits: { agents: 50, pending: 20 }
""",
        pool="instances",
    ),
    "alibaba-ecs": _Starter(
        backends="""  ali:
    type: alibaba-ecs
    region: cn-hangzhou
    ram_role_name: agentbroker          # of the broker's machine; or access_key_id_file and access_key_secret_file
    auto_network: false                 # true: pools may leave out vswitches and security_groups
    auto_release: 6h                    # the cloud deletes hosts so long after the broker is gone
""",
        template="""  host:
    inherit_from: base                  # without an image: Java on the host itself
    cpu: 2
    memory: 4Gi
""",
        pools="""  hangzhou:
    backend: ali
    image_id: m-bp1agents               # `agentbroker discover ali` lists images, types, vSwitches and security groups
    instance_types: [ecs.c7.2xlarge]    # the best first; or host_size: { cpu: 4, memory: 8Gi }
    vswitches: [vsw-h]
    security_groups: [sg-bp1]
    key_pair: agents
    # charge: { spot_strategy: SpotAsPriceGo, on_no_stock: on-demand }
    agents_per_host: 2
    ssh:
      user: root                        # whom the image gives the key pair to
      private_key_file: /run/secrets/ali_ssh_key   # of key_pair, without a passphrase
      host_key: from-console            # or pinned, accept-new
    # init: { script_file: /etc/agentbroker/init-host.sh, timeout: 10m }   # such as Java, if the image has none
    host: { idle_timeout: 10m, max_age: 24h }
    limits: { hosts: 20, agents: 40, pending: 10 }
""",
        pool="hangzhou",
    ),
    "ssh-hosts": _Starter(
        backends="""  machines:
    type: ssh-hosts                     # machines that are there already
""",
        template="""  on-machine:
    inherit_from: base                  # without an image: Java on the machine itself; with one: docker or podman
    cpu: 2
    memory: 4Gi
""",
        pools="""  racks:
    backend: machines
    hosts:
      build1: { address: build1.example.com, cpu: 8, memory: 16Gi }
      build2: { address: build2.example.com, cpu: 8, memory: 16Gi }
    ssh:
      user: jenkins
      private_key_file: /run/secrets/machines_ssh_key   # without a passphrase
      host_key: accept-new              # or pinned, with host_keys of each machine
    limits: { agents: 8, pending: 8 }
""",
        pool="racks",
    ),
}


def starter(backends: Sequence[str]) -> str:
    """A config with one pool and one policy a backend; `backends` are keys of `STARTERS`, each once."""
    parts = [(kind, STARTERS[kind]) for kind in dict.fromkeys(backends)]
    near = all(part.near for _, part in parts)
    text = _HEAD % {
        "modeline": MODELINE,
        "variable": parts[0][1].pool.upper(),
        "token": _NO_TOKEN,
        "listen": "127.0.0.1:7073" if near else "0.0.0.0:7073",
        "advertise": "ws://127.0.0.1:7073" if near else "ws://agents.ci.example.com:7073",
    }
    defined = "".join(part.backends for _, part in parts)
    if defined:
        text += f"\nbackends:                               # one account, region and credentials\n{defined}"
    text += _TEMPLATES + "".join(part.template for _, part in parts)
    text += "\npools:                                  # where agents may run\n"
    text += "".join(part.pools for _, part in parts)
    text += "\npolicies:                               # which label runs where\n"
    for kind, part in parts:
        label = "linux" if part is parts[0][1] else kind
        template = part.template.split(":")[0].strip()
        text += f"  {label}:\n    labels: [{label}]\n    template: {template}\n    pools: [{part.pool}]\n"
    return text
