"""The key that signs ServiceAccount tokens.

Shell (one file). In: the file's path. Out: signed tokens, and claims of tokens that this key signed. The key is made
when first needed and kept, so that tokens stay good over restarts; whoever deletes the file makes all tokens invalid.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from graylane.cluster.apiserver.tokens import jwt
from graylane.cluster.pki import write_private
from graylane.errors import UserError
from graylane.model.meta import Obj


class Issuer:
    """Reads or makes the key at its first use: a cluster without service accounts never pays for it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def sign(self, claims: Obj) -> str:
        return jwt.encode(claims, self._key)

    def read(self, token: str) -> Obj:
        """Raises `jwt.BadToken`."""
        return jwt.decode(token, self._key.public_key())

    def key_set(self) -> Obj:
        return jwt.key_set(self._key.public_key())

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        if not self._path.exists():
            write_private(self._path, _pem(ec.generate_private_key(ec.SECP256R1())))
        return _load(self._path)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise UserError(f"{path} is not a PEM key ({error}); delete it, and it will be made anew") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UserError(f"{path} is not a P-256 key; delete it, and it will be made anew")
    return key
