"""Texts with a form of their own that Alibaba Cloud takes: ids, names, addresses; the forms of its API reference."""

import ipaddress
import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator

from broker.config.model_ecs_types import Like
from broker.config.units import describe, pattern_schema, problem

REGION: Final = r"[a-z]{2}-[a-z]{2,}(?:-[a-z]{2,})*(?:-[0-9]{1,2})?"
_ENDPOINT: Final = re.compile(
    r"(?:https?://)?[A-Za-z0-9.-]+(?::[0-9]{1,5})?|(?:https?://)?\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?"
)
_ZONE: Final = r"[a-z]{2}-[a-z]{2,}(?:-[a-z]{2,})*(?:-[0-9]{1,2}-?)?(?:(?<=[0-9])|-|(?<=-))[a-z]"


def _id(prefix: str, what: str, example: str) -> Like:
    return Like(
        rf"{prefix}-[0-9A-Za-z]+", what, example, f"{what.removeprefix('the id of ')}'s id begins with '{prefix}-'"
    )


def region_problem(value: str) -> tuple[str, str] | None:
    """What is wrong with a text as a region, and what to write; None if nothing is."""
    if re.fullmatch(REGION, value, re.ASCII):
        return None
    plain = value.strip().replace("_", "-").lower()
    if re.fullmatch(_ZONE, plain, re.ASCII):
        help_ = f"write the region alone, '{re.sub('-?[a-z]$', '', plain)}', and name zones in 'zones' of a pool"
        return f"expected a region, got the zone '{value}'", help_
    instead = plain if re.fullmatch(REGION, plain, re.ASCII) else "cn-hangzhou"
    return f"expected a region, got {describe(value)}", f"write it such as '{instead}'"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _endpoint(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not _ENDPOINT.fullmatch(value):
        help_ = "write HOST, HOST:PORT or https://HOST:PORT, without a path"
        raise problem("bad-url", f"expected an endpoint{'' if '@' in value else f', got {describe(value)}'}", help_)
    if value.startswith("http://") and not _is_loopback(urlsplit(value).hostname or ""):
        message = "an endpoint in clear would show what the broker asks and which keys it signs with"
        raise problem("bad-url", message, "write it with https://; http:// is for this machine alone")
    return value


def _metadata(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"http://[A-Za-z0-9.-]+(?::[0-9]{1,5})?", value):
        raise problem(
            "bad-url", f"expected the URL of a metadata server, got {describe(value)}", "begin it with http://"
        )
    return value


def _network(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise problem(
            "bad-network", f"expected a network, got {describe(value)}", "write it such as '10.0.0.0/16'"
        ) from error
    return str(network)


def _source(value: object) -> object:
    if value in {"0.0.0.0/0", "::/0"}:
        message = "port 22 of hosts is never opened to the whole world"
        raise problem("bad-network", message, "name the address that the broker dials from, such as '203.0.113.4/32'")
    return _network(value)


def _vpc_block(value: object) -> object:
    found = _network(value)
    if isinstance(found, str) and not 8 <= ipaddress.ip_network(found).prefixlen <= 28:
        raise problem("bad-network", f"expected a block of /8 to /28, got {describe(value)}", "write '172.16.0.0/12'")
    return found


Zone = Annotated[str, Like(_ZONE, "a zone", "cn-hangzhou-h", "write the region and a letter, such as 'cn-hangzhou-h'")]
Endpoint = Annotated[
    str,
    BeforeValidator(_endpoint),
    pattern_schema(
        r"(?:(?:https://)?[^/@\s]+|http://(?:127\.[0-9.]+|localhost|\[::1\])(?::[0-9]+)?)",
        "ecs.cn-hangzhou.aliyuncs.com",
    ),
]
MetadataUrl = Annotated[str, BeforeValidator(_metadata), pattern_schema(r"http://[^/@\s]+", "http://127.0.0.1:8398")]
SourceNetwork = Annotated[
    str, BeforeValidator(_source), pattern_schema(r"[0-9a-fA-F.:]+(?:/[0-9]{1,3})?", "203.0.113.4/32")
]
VpcBlock = Annotated[str, BeforeValidator(_vpc_block), pattern_schema(r"[0-9.]+/[0-9]{1,2}", "172.16.0.0/12")]
RamRoleArn = Annotated[
    str,
    Like(
        r"acs:ram::[0-9]{1,20}:role/[A-Za-z0-9._-]{1,64}",
        "the ARN of a RAM role",
        "acs:ram::1234567890123456:role/agentbroker",
        code="bad-arn",
    ),
]
RamRoleName = Annotated[
    str, Like(r"[A-Za-z0-9._-]{1,64}", "the name of a RAM role", "agentbroker", "write its name, not its ARN")
]
RamSession = Annotated[str, Like(r"[A-Za-z0-9.@_-]{2,64}", "the name of a session", "agentbroker")]
RamExternalId = Annotated[str, Like(r"[A-Za-z0-9=,.@:/_-]{2,1224}", "an external id", "agentbroker-ci")]
ImageId = Annotated[
    str,
    Like(
        r"m-[0-9A-Za-z]+|[A-Za-z][A-Za-z0-9_.-]*\.vhd",
        "the id of an image",
        "m-bp1agents",
        "an image's id begins with 'm-', that of a public image ends in '.vhd'; 'agentbroker discover' lists them",
    ),
]
ImageFamily = Annotated[
    str, Like(r"(?:acs:)?[A-Za-z0-9][A-Za-z0-9_.:-]{1,127}", "an image family", "acs:ubuntu_24_04_x64")
]
InstanceType = Annotated[
    str,
    Like(
        r"ecs\.[a-z0-9]+(?:-[a-z0-9]+)*\.[a-z0-9-]+",
        "an instance type",
        "ecs.c7.2xlarge",
        "write it such as 'ecs.c7.2xlarge'; 'agentbroker discover' lists them",
    ),
]
VSwitch = Annotated[str, _id("vsw", "the id of a vSwitch", "vsw-h")]
Vpc = Annotated[str, _id("vpc", "the id of a VPC", "vpc-bp1")]
DiskId = Annotated[str, _id("d", "the id of a disk", "d-bp1cache")]
DiskSnapshot = Annotated[str, _id("s", "the id of a snapshot", "s-bp1cache")]
DeploymentSet = Annotated[str, _id("ds", "the id of a deployment set", "ds-bp1")]
ResourceGroup = Annotated[str, _id("rg", "the id of a resource group", "rg-bp1")]
KeyPairName = Annotated[
    str,
    Like(
        r"(?!https?://)[A-Za-z\u4e00-\u9fff][A-Za-z0-9_:.\u4e00-\u9fff-]{1,127}",
        "the name of a key pair",
        "agents",
        "use 2 to 128 letters, digits and ':_-', with a letter first",
    ),
]
InstanceName = Annotated[
    str,
    Like(
        r"(?!https?://)[A-Za-z\u4e00-\u9fff{][^\s]{0,199}",
        "a name for instances",
        "ci-{pool}",
        "begin it with a letter; {pool}, {policy}, {controller}, {job} and {build} stand for what they say",
    ),
]
HostNameText = Annotated[
    str,
    Like(
        r"[A-Za-z0-9](?:[A-Za-z0-9]|[.-](?=[A-Za-z0-9])){1,63}",
        "a host name",
        "agent",
        "use 2 to 64 letters and digits, with single '.' or '-' between them",
    ),
]
DiskCategory = Literal[
    "cloud_auto",
    "cloud_essd",
    "cloud_essd_entry",
    "cloud_ssd",
    "cloud_efficiency",
    "cloud",
    "cloud_essd_PL0",
    "cloud_essd_PL1",
    "cloud_essd_PL2",
    "cloud_essd_PL3",
]
PerformanceLevel = Literal["PL0", "PL1", "PL2", "PL3"]
