"""Texts with a form of their own that Amazon ECS takes: ids, ARNs, names. The forms are those of the API reference."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from broker.config.units import describe, problem


@dataclass(frozen=True, slots=True)
class Like:
    """A text that has to have a form: `what` it is, and an example of it."""

    pattern: str
    what: str
    example: str
    help: str = ""
    code: str = "bad-value"
    may_be_secret: bool = False
    """Whether what stands there instead is not told."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Checks the form first; what is no text at all is refused as everywhere."""
        return core_schema.no_info_before_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The form as a pattern."""
        return {"type": "string", "pattern": f"^(?:{self.pattern})$", "examples": [self.example]}

    def _check(self, value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(self.pattern, value, re.ASCII):
            got = "something else" if self.may_be_secret else describe(value)
            raise problem(self.code, f"expected {self.what}, got {got}", self.help or self._written())
        return value

    def _written(self) -> str:
        return f"write it such as '{self.example}'"


def _arn(service: str, resource: str) -> str:
    return rf"arn:aws[a-z-]*:{service}:[a-z0-9-]*:[0-9]{{0,12}}:{resource}"


ACCOUNT: Final = "111122223333"
_SSM: Final = _arn("ssm", r"parameter/[A-Za-z0-9_./-]+")
_SECRET: Final = _arn("secretsmanager", r"secret:[A-Za-z0-9/_+=.@:-]+")
_S3: Final = r"arn:aws[a-z-]*:s3:::[^\s]+"
SECRET_REFERENCE: Final = rf"{_SSM}|{_SECRET}|/[A-Za-z0-9_./-]+"
_REFERENCE_WORDS: Final = "the reference of a secret"
_REFERENCE_HELP: Final = (
    "write the ARN of a parameter (SSM) or of a secret (Secrets Manager), or a parameter's name that begins with '/': "
    "the secret itself never stands in this file"
)
_LOGIN_HELP: Final = "write the ARN of a secret in Secrets Manager that holds user and password"
_NAME: Final = r"[A-Za-z0-9_-]{1,255}"

Region = Annotated[str, Like(r"[a-z]{2}[a-z-]*-[a-z]+-[0-9]{1,2}", "a region", "eu-west-1")]
RoleArn = Annotated[
    str,
    Like(
        r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}",
        "the ARN of a role",
        f"arn:aws:iam::{ACCOUNT}:role/agentbroker",
        code="bad-arn",
    ),
]
ExternalId = Annotated[str, Like(r"[\w+=,.@:/-]{2,1224}", "an external id", "agentbroker-ci")]
SessionName = Annotated[str, Like(r"[\w+=,.@-]{2,64}", "the name of a session", "agentbroker")]
Subnet = Annotated[
    str, Like(r"subnet-[0-9A-Za-z]+", "the id of a subnet", "subnet-0a1", "a subnet's id begins with 'subnet-'")
]
SecurityGroup = Annotated[
    str,
    Like(r"sg-[0-9A-Za-z]+", "the id of a security group", "sg-0agents", "a security group's id begins with 'sg-'"),
]
Cluster = Annotated[
    str, Like(rf"{_NAME}|{_arn('ecs', f'cluster/{_NAME}')}", "a cluster's name or ARN", "ci", code="bad-name")
]
CapacityProviderName = Annotated[
    str,
    Like(
        r"(?!(?:aws|ecs|fargate)(?![A-Z]))[A-Za-z0-9_-]{1,255}",
        "the name of a capacity provider",
        "FARGATE_SPOT",
        "write FARGATE, FARGATE_SPOT or the name of one of the cluster's own",
        "bad-name",
    ),
]
FamilyPrefix = Annotated[
    str, Like(r"[A-Za-z0-9_-]{1,190}", "the beginning of a family's name", "ci", "use letters, digits, '-' and '_'")
]
"""190: a template's name has at most 63 characters, and a family's 255."""
EcsName = Annotated[
    str, Like(_NAME, "a name of 1 to 255 letters, digits, '-' and '_'", "m2", "leave out all other characters")
]
TaskDefinition = Annotated[
    str,
    Like(
        rf"{_NAME}(?::[1-9][0-9]*)?|{_arn('ecs', f'task-definition/{_NAME}:[1-9][0-9]*')}",
        "a task definition",
        "builds",
        "write a family, FAMILY:REVISION, or the ARN of a revision",
    ),
]
SecretReference = Annotated[
    str,
    Like(SECRET_REFERENCE, _REFERENCE_WORDS, "/ci/token", _REFERENCE_HELP, "bad-secret-reference", may_be_secret=True),
]
LoginReference = Annotated[
    str,
    Like(
        _SECRET,
        "the ARN of a secret",
        f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:hub-1",
        _LOGIN_HELP,
        "bad-arn",
        may_be_secret=True,
    ),
]
SecretPrefix = Annotated[
    str,
    Like(
        r"(?![aA][wW][sS]|[sS][sS][mM])[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+){0,9}",
        "the beginning of a secret's name",
        "agentbroker/ci",
        "write NAME or NAME/NAME in letters, digits and _ . -; it cannot begin with 'aws' or 'ssm'",
    ),
]
KmsKey = Annotated[
    str,
    Like(
        rf"{_arn('kms', r'(?:key|alias)/[A-Za-z0-9/_-]+')}|alias/[A-Za-z0-9/_-]+|(?:mrk-)?[0-9a-f-]{{32,36}}",
        "a KMS key",
        "alias/agentbroker",
        "write its id, its ARN, or 'alias/NAME'",
    ),
]
EnvironmentFileArn = Annotated[
    str, Like(rf"{_S3}\.env", "the ARN of an S3 object that ends in .env", "arn:aws:s3:::ci-settings/agent.env")
]
CredentialSpec = Annotated[
    str,
    Like(
        rf"credentialspec(?:domainless)?:(?:{_SSM}|{_S3})",
        "a credential spec",
        "credentialspec:arn:aws:s3:::ci-settings/gmsa.json",
        "write credentialspec:ARN or credentialspecdomainless:ARN, of an SSM parameter or an S3 object",
    ),
]
FileSystemId = Annotated[str, Like(r"fs-[0-9A-Za-z]+", "the id of a file system", "fs-0123456789abcdef0")]
AccessPointId = Annotated[str, Like(r"fsap-[0-9A-Za-z]+", "the id of an access point", "fsap-0123456789abcdef0")]
SnapshotId = Annotated[str, Like(r"snap-[0-9A-Za-z]+", "the id of a snapshot", "snap-0123456789abcdef0")]
PlatformVersion = Annotated[str, Like(r"LATEST|[0-9]+\.[0-9]+\.[0-9]+", "a platform version", "1.4.0")]
AbsolutePath = Annotated[str, Like(r"(?:/|[A-Za-z]:[\\/]).*", "an absolute path", "/m2")]
IpAddress = Annotated[str, Like(r"[0-9a-fA-F:.]{2,45}", "an IP address", "10.0.0.2")]
HostName = Annotated[str, Like(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?", "a host's name", "db.internal")]
Port = Annotated[int, Field(ge=0, le=65535)]
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?)?")


def is_user(text: str) -> bool:
    """Whether ECS takes it: USER, USER:GROUP, or either as a number."""
    return _USER.fullmatch(text) is not None


def _blank_is_unset(value: object) -> object:
    return (value.strip() or None) if isinstance(value, str) else value


def _network_mode(value: object) -> object:
    if value == "none":
        message, help_ = "with 'network_mode: none' no agent can reach the gateway", "write awsvpc, bridge or host"
        raise problem("bad-network-mode", message, help_)
    return value


NetworkMode = Annotated[Literal["awsvpc", "bridge", "host", "default"], BeforeValidator(_network_mode)]
User = Annotated[str | None, BeforeValidator(_blank_is_unset)]
"""A blank one is not said at all."""


class OneAsList:
    """In the schema: a text may stand for the list."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The list's schema, or a text."""
        return {"anyOf": [handler(core), {"type": "string", "minLength": 1}]}
