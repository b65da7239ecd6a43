"""JSON Web Tokens signed with ES256 (RFC 7515, RFC 7518 §3.4): the one kind this server issues and accepts.

Pure. In: claims and a key. Out: the token; from a token its claims, or `BadToken`. The algorithm is never taken from
the token, so no token can choose how it is checked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from graylane.model.meta import Obj

ALGORITHM = "ES256"
_ECDSA = ec.ECDSA(hashes.SHA256())
_HALF = 32  # bytes of each of the two numbers of a P-256 signature
_LONGEST = 16 * 1024


class BadToken(Exception):
    """Not a token of ours, or not one that holds; the message says why, for the log and for TokenReview."""


def encode(claims: Obj, key: ec.EllipticCurvePrivateKey) -> str:
    header = {"alg": ALGORITHM, "kid": key_id(key.public_key())}
    signed = f"{_text(orjson.dumps(header))}.{_text(orjson.dumps(claims))}"
    r, s = decode_dss_signature(key.sign(signed.encode(), _ECDSA))
    return f"{signed}.{_text(r.to_bytes(_HALF, 'big') + s.to_bytes(_HALF, 'big'))}"


def decode(token: str, key: ec.EllipticCurvePublicKey) -> Obj:
    """The claims, once the signature is known to be ours. What they say is not judged here."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > _LONGEST or not token.isascii():
        raise BadToken("invalid bearer token")
    header = _object(parts[0])
    if header.get("alg") != ALGORITHM:
        raise BadToken(f"invalid bearer token: signed with {header.get('alg')!r}, not with {ALGORITHM}")
    signature = _bytes(parts[2])
    if len(signature) != 2 * _HALF:
        raise BadToken("invalid bearer token: the signature has the wrong length")
    numbers = int.from_bytes(signature[:_HALF], "big"), int.from_bytes(signature[_HALF:], "big")
    try:
        key.verify(encode_dss_signature(*numbers), f"{parts[0]}.{parts[1]}".encode(), _ECDSA)
    except InvalidSignature:
        raise BadToken("invalid bearer token: the signature is not this cluster's") from None
    return _object(parts[1])


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """The key's thumbprint (RFC 7638), so that it follows from the key alone."""
    public = public_jwk(key)
    members = {name: public[name] for name in ("crv", "kty", "x", "y")}
    return _text(hashlib.sha256(orjson.dumps(members, option=orjson.OPT_SORT_KEYS)).digest())


def public_jwk(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    x, y = (_text(number.to_bytes(_HALF, "big")) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def key_set(key: ec.EllipticCurvePublicKey) -> Obj:
    """`/openid/v1/jwks`: what others need to check our tokens."""
    return {"keys": [{**public_jwk(key), "use": "sig", "alg": ALGORITHM, "kid": key_id(key)}]}


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadToken("invalid bearer token") from None


def _object(text: str) -> Obj:
    try:
        found: Any = orjson.loads(_bytes(text))
    except orjson.JSONDecodeError:
        raise BadToken("invalid bearer token") from None
    if not isinstance(found, dict):
        raise BadToken("invalid bearer token")
    return found
