"""Signature Version 4 as the services check it: recomputed by botocore's own code from what arrived.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html; each protocol says the refusals in its own codes.
"""

import hmac
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from broker.demo.clouds.model import ApiError, Identity

_SKEW: Final = timedelta(minutes=15)
_DATE: Final = "%Y%m%dT%H%M%SZ"
_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=(?P<key>[^/, ]+)/(?P<date>\d{8})/(?P<region>[^/, ]+)/(?P<service>[^/, ]+)"
    r"/aws4_request"
    r", *SignedHeaders=(?P<headers>[a-z0-9;.-]+), *Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A pair of keys and who signs with it; those of a session have a token and an end."""

    access_key: str
    secret: str = field(repr=False)
    identity: Identity
    token: str = field(default="", repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A request as it came."""

    method: str
    host: str
    path: str
    """With its query, as in the request line."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signed, and for which service and region."""

    identity: Identity
    service: str
    region: str


class Refused(Exception):
    """Why a signature is not taken; `why` is a row of the table that `as_error` reads."""

    def __init__(self, why: str, message: str) -> None:
        """`message` goes to the caller."""
        super().__init__(message)
        self.why, self.message = why, message


_CODES: Final[Mapping[str, tuple[tuple[str, int], tuple[str, int], tuple[str, int]]]] = {
    # why: JSON protocols, query, ec2
    "missing": (
        ("MissingAuthenticationTokenException", 400),
        ("MissingAuthenticationToken", 403),
        ("AuthFailure", 401),
    ),
    "incomplete": (("IncompleteSignatureException", 400), ("IncompleteSignature", 400), ("IncompleteSignature", 400)),
    "mismatch": (("InvalidSignatureException", 400), ("SignatureDoesNotMatch", 403), ("SignatureDoesNotMatch", 403)),
    "skewed": (("InvalidSignatureException", 400), ("SignatureDoesNotMatch", 403), ("RequestExpired", 400)),
    "unknown": (("UnrecognizedClientException", 400), ("InvalidClientTokenId", 403), ("AuthFailure", 401)),
    "expired": (("ExpiredTokenException", 400), ("ExpiredToken", 403), ("RequestExpired", 400)),
}


def as_error(refused: Refused, protocol: str) -> ApiError:
    """The refusal in the words of a protocol: json, query or ec2."""
    code, status = _CODES[refused.why][("json", "query", "ec2").index(protocol)]
    return ApiError(code, refused.message, status)


class Keyring:
    """The keys that exist."""

    def __init__(self) -> None:
        """None yet."""
        self._keys: dict[str, Key] = {}

    def add(self, key: Key) -> Key:
        """One more, or a new secret of one that is there."""
        self._keys[key.access_key] = key
        return key

    def remove(self, access_key: str) -> None:
        """A key that was deleted; one that is gone is a success."""
        self._keys.pop(access_key, None)

    def end_sessions(self, now: datetime) -> None:
        """Every session's time is over."""
        for key in [key for key in self._keys.values() if key.expires_at]:
            self._keys[key.access_key] = Key(
                access_key=key.access_key, secret=key.secret, identity=key.identity, token=key.token, expires_at=now
            )

    def verify(self, request: Signed, *, now: datetime, regions: Collection[str]) -> Signer:
        """Who signed a request; raises Refused."""
        said = _authorization(request)
        signed_at = _date(request, said["date"])
        if abs(now - signed_at) > _SKEW:
            raise Refused("skewed", f"Signature expired: {signed_at:{_DATE}} is not within 15 min of {now:{_DATE}}")
        key = self._keys.get(said["key"])
        if key is None or request.headers.get("x-amz-security-token", "") != key.token:
            raise Refused("unknown", "The security token included in the request is invalid.")
        if said["region"] not in regions:
            raise Refused("mismatch", f"Credential should be scoped to a valid region, not '{said['region']}'.")
        if not _is_signed_by(request, said, key):
            raise Refused("mismatch", "The request signature we calculated does not match the signature you provided.")
        if key.expires_at and now >= key.expires_at:
            raise Refused("expired", "The security token included in the request is expired")
        return Signer(identity=key.identity, service=said["service"], region=said["region"])


def scope_of(headers: Mapping[str, str]) -> str:
    """The service for which a request says that it is signed, "" if it says nothing; unverified."""
    found = _AUTHORIZATION.match(headers.get("authorization", ""))
    return found["service"] if found else ""


def _authorization(request: Signed) -> Mapping[str, str]:
    text = request.headers.get("authorization", "")
    if not text:
        raise Refused("missing", "Missing Authentication Token")
    found = _AUTHORIZATION.fullmatch(text)
    if found is None:
        raise Refused("incomplete", "Authorization header requires Credential, SignedHeaders and Signature parameters.")
    said = found.groupdict()
    signed = said["headers"].split(";")
    must = {"host", *(name for name in request.headers if name.startswith("x-amz-"))}
    if missing := sorted(must - set(signed)):
        raise Refused("mismatch", f"'{missing[0]}' must be a signed header in the Authorization header.")
    return said


def _date(request: Signed, day: str) -> datetime:
    text = request.headers.get("x-amz-date", "")
    try:
        date = datetime.strptime(text, _DATE).replace(tzinfo=UTC)
    except ValueError:
        raise Refused("incomplete", "Authorization header requires existence of a valid 'X-Amz-Date' header.") from None
    if not text.startswith(day):
        raise Refused("mismatch", "Date in Credential scope does not match the day of X-Amz-Date.")
    return date


def _is_signed_by(request: Signed, said: Mapping[str, str], key: Key) -> bool:
    names = said["headers"].split(";")
    headers = {name: request.headers[name] for name in names if name in request.headers and name != "host"}
    hashed = headers.get("x-amz-content-sha256")
    if hashed is not None and hashed != sha256(request.body).hexdigest():
        return False
    again = AWSRequest(
        method=request.method, url=f"http://{request.host}{request.path}", headers=headers, data=request.body
    )
    again.context["timestamp"] = request.headers["x-amz-date"]
    auth = SigV4Auth(Credentials(key.access_key, key.secret, key.token or None), said["service"], said["region"])
    canonical = auth.canonical_request(again)
    expected = auth.signature(auth.string_to_sign(again, canonical), again)
    return hmac.compare_digest(expected, said["signature"])
