"""Signatures as the vendor checks them: ACS3-HMAC-SHA256 in a header, and the older HMAC-SHA1 among the parameters.

https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature and
https://www.alibabacloud.com/help/en/sdk/product-overview/rpc-mechanism; codes:
https://api.alibabacloud.com/document/Ecs/2014-05-26/errorCode. `alibabacloud_tea_openapi` signs the first way,
`alibabacloud_credentials` asks for sessions in the second.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from broker.demo.clouds.model import ApiError, Identity

_SKEW: Final = timedelta(minutes=15)
_NONCE_KEPT: Final = timedelta(minutes=31)
_DATE: Final = "%Y-%m-%dT%H:%M:%SZ"
_ALGORITHM: Final = "ACS3-HMAC-SHA256"
_AUTHORIZATION: Final = re.compile(
    _ALGORITHM
    + r" +Credential=(?P<key>[^, ]+), *SignedHeaders=(?P<headers>[a-z0-9;_.-]+), *Signature=(?P<signature>[0-9a-f]{64})"
)
_MUST: Final = ("host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A pair of keys and who signs with it; those of a session have a token and an end."""

    access_key: str
    secret: str = field(repr=False)
    identity: Identity
    token: str = field(default="", repr=False)
    expires_at: datetime | None = None
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A request as it came. `said` are the fields of its query, `form` those of its body."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    said: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Keyring:
    """The keys that exist, and the nonces that were used."""

    def __init__(self) -> None:
        """None yet."""
        self._keys: dict[str, Key] = {}
        self._nonces: dict[str, datetime] = {}

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

    def verify(self, request: Signed, now: datetime) -> Identity:
        """Who signed a request; raises ApiError in the vendor's codes."""
        if "authorization" not in request.headers and "Signature" in {**request.said, **request.form}:
            return self._verify_parameters(request, now)
        said = _authorization(request)
        key = self._key(said["key"], request.headers.get("x-acs-security-token", ""), now)
        _check_date(request.headers["x-acs-date"], now)
        hashed = request.headers["x-acs-content-sha256"]
        if hashed != hashlib.sha256(request.body).hexdigest():
            raise ApiError("InvalidContentSha256", "The specified x-acs-content-sha256 is not that of the body.")
        canonical = _canonical(request, said["headers"].split(";"), hashed)
        text = f"{_ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        expected = hmac.new(key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        _compare(expected, said["signature"], canonical)
        self._use(said["key"], request.headers["x-acs-signature-nonce"], now)
        return key.identity

    def _verify_parameters(self, request: Signed, now: datetime) -> Identity:
        said = {**request.said, **request.form}
        for name in ("AccessKeyId", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp", "Version"):
            if not said.get(name):
                raise missing(name)
        if (said["SignatureMethod"], said["SignatureVersion"]) != ("HMAC-SHA1", "1.0"):
            raise _incomplete()
        key = self._key(said["AccessKeyId"], said.get("SecurityToken", ""), now)
        _check_date(said["Timestamp"], now)
        signature = said.pop("Signature")
        text = f"{request.method}&%2F&{_encoded(_query(said))}"
        digest = hmac.new(f"{key.secret}&".encode(), text.encode(), hashlib.sha1).digest()
        _compare(base64.b64encode(digest).decode(), signature, text)
        self._use(said["AccessKeyId"], said["SignatureNonce"], now)
        return key.identity

    def _key(self, access_key: str, token: str, now: datetime) -> Key:
        key = self._keys.get(access_key)
        if key is None:
            raise ApiError("InvalidAccessKeyId.NotFound", "Specified access key is not found.", 404)
        if not key.active:
            raise ApiError("InvalidAccessKeyId.Inactive", "Specified access key is disabled.")
        if key.token and not token:
            raise missing("SecurityToken")
        if token != key.token:
            raise ApiError(
                "InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken mismatch with the AccessKey."
            )
        if key.expires_at and now >= key.expires_at:
            raise ApiError("InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")
        return key

    def _use(self, access_key: str, nonce: str, now: datetime) -> None:
        used = self._nonces.get(f"{access_key} {nonce}")
        if used is not None and now - used < _NONCE_KEPT:
            raise ApiError("SignatureNonceUsed", "Specified signature nonce was used already.")
        if len(self._nonces) > 100_000:
            self._nonces = {name: at for name, at in self._nonces.items() if now - at < _NONCE_KEPT}
        self._nonces[f"{access_key} {nonce}"] = now


def missing(name: str) -> ApiError:
    """What the gateway of the API says of a parameter that is not there."""
    return ApiError(f"Missing{name}", f"{name} is mandatory for this action.")


def _authorization(request: Signed) -> Mapping[str, str]:
    text = request.headers.get("authorization", "")
    if not text:
        raise missing("AccessKeyId")
    found = _AUTHORIZATION.fullmatch(text)
    if found is None:
        raise _incomplete()
    said = found.groupdict()
    signed = said["headers"].split(";")
    must = {*_MUST, *(name for name in request.headers if name.startswith("x-acs-"))}
    if signed != sorted(signed) or must - {*signed} or any(name not in request.headers for name in signed):
        raise _incomplete()
    return said


def _incomplete() -> ApiError:
    return ApiError("IncompleteSignature", "The request signature does not conform to Aliyun standards.")


def _check_date(text: str, now: datetime) -> None:
    try:
        date = datetime.strptime(text, _DATE).replace(tzinfo=UTC)
    except ValueError:
        raise ApiError("InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted.") from None
    if abs(now - date) > _SKEW:
        raise ApiError("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")


def _compare(expected: str, given: str, text: str) -> None:
    if not hmac.compare_digest(expected, given):
        message = "Specified signature is not matched with our calculation. server string to sign is:"
        raise ApiError("SignatureDoesNotMatch", message + text)


def _canonical(request: Signed, names: list[str], hashed: str) -> str:
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names)
    path = request.path.partition("?")[0]
    return "\n".join((request.method, path, _query(request.said), headers, ";".join(names), hashed))


def _query(said: Mapping[str, str]) -> str:
    return "&".join(f"{_encoded(name)}={_encoded(said[name])}" for name in sorted(said))


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
