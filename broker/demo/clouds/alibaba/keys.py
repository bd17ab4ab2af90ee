"""SSH key pairs of a region.

The vendor tells a fingerprint of 32 hexadecimal digits without colons, as
https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-importkeypair shows it. That it is the
MD5 of the public key's blob, as `ssh-keygen -l -E md5` has it, is the fake's rule: the reference does not say how it is
made.
"""

import base64
import binascii
import hashlib
import re
import struct
from typing import Final

from broker.demo.clouds.alibaba import errors, formats, paging
from broker.demo.clouds.alibaba.region import KeyPair, Region
from broker.demo.clouds.model import ApiError, Call, Parameters

_NAME: Final = re.compile(r"[^\W\d_][\w:-]{1,127}")
_KINDS: Final = frozenset(
    {"ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"}
)


def make(name: str, body: str, now: float) -> KeyPair:
    """A key pair of a public key in the form of `authorized_keys`; raises ApiError."""
    return KeyPair(name=name, body=body, fingerprint=fingerprint(body), created_at=now)


def fingerprint(body: str) -> str:
    """The vendor's of a public key; raises ApiError for a text that is none."""
    kind, _, rest = body.strip().partition(" ")
    try:
        blob = base64.b64decode(rest.split(" ")[0], validate=True)
        (length,) = struct.unpack(">I", blob[:4])
        if kind in _KINDS and blob[4 : 4 + length].decode() == kind and len(blob) > 4 + length:
            return hashlib.md5(blob, usedforsecurity=False).hexdigest()
    except (ValueError, binascii.Error, struct.error):
        pass
    raise ApiError("InvalidPublicKeyBody.Malformed", "The PublicKeyBody format is not supported.")


def import_key_pair(region: Region, call: Call) -> Parameters:
    """One more, of a public key."""
    now, said = region.settle(), call.parameters
    name = said["KeyPairName"]
    if not _NAME.fullmatch(name) or name.startswith(("http://", "https://")):
        raise ApiError("InvalidKeyPairName.Malformed", "Specified Key Pair name is not valid.")
    pair = make(name, said["PublicKeyBody"], now)
    pair.tags = formats.tags(said.get("Tag"))
    if name in region.key_pairs:
        raise ApiError("KeyPair.AlreadyExist", "The key pair already exist.")
    if len(region.key_pairs) >= region.knobs.quotas.key_pairs:
        raise ApiError("QuotaExceed.KeyPair", "The key pair quota exceeds.", 403)
    region.key_pairs[name] = pair
    return {"KeyPairName": name, "KeyPairFingerPrint": pair.fingerprint}


def describe_key_pairs(region: Region, call: Call) -> Parameters:
    """By name (with * at either end), fingerprint and tags, at most 50 a page."""
    region.settle()
    said = call.parameters
    tags = formats.wanted_tags(said.get("Tag"))
    found = [
        pair
        for pair in region.key_pairs.values()
        if _is_named(pair.name, said.get("KeyPairName"))
        and said.get("KeyPairFingerPrint") in (None, pair.fingerprint)
        and formats.has_tags(pair.tags, tags)
    ]
    shown, told = paging.page(found, said, most=50)
    return {**told, "KeyPairs": {"KeyPair": [_told(pair, said.get("IncludePublicKey", False)) for pair in shown]}}


def _is_named(name: str, pattern: str | None) -> bool:
    if pattern is None:
        return True
    text = pattern.strip("*")
    if pattern.startswith("*") and pattern.endswith("*"):
        return text in name
    if pattern.startswith("*"):
        return name.endswith(text)
    return name.startswith(text) if pattern.endswith("*") else name == text


def _told(pair: KeyPair, with_key: bool) -> Parameters:
    told: Parameters = {
        "KeyPairName": pair.name,
        "KeyPairFingerPrint": pair.fingerprint,
        "CreationTime": formats.told(pair.created_at),
        "Tags": {"Tag": [{"TagKey": key, "TagValue": value} for key, value in pair.tags.items()]},
    }
    return {**told, "PublicKey": pair.body} if with_key else told


def delete_key_pairs(region: Region, call: Call) -> Parameters:
    """Up to a hundred, by names that are written as JSON; those that instances have stay usable in them."""
    region.settle()
    names = paging.ids(call.parameters["KeyPairNames"], "KeyPairNames")
    if not names:
        raise errors.invalid("KeyPairNames")
    for name in names:
        region.key_pairs.pop(name, None)
    return {}
