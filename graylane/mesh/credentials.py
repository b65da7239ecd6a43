"""Secrets that a `credentialName` may mean: certificate and key, a CA's certificate, or both.

Pure. In: a Secret. Out: a `Credential`, or None for a Secret of another use. What Envoy would refuse is found here, so
that one bad Secret costs the servers that name it and nothing else.
"""

from __future__ import annotations

import base64
import binascii

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from graylane.mesh.inputs import Credential
from graylane.model.meta import Key, Obj, name_of, namespace_of

_CERTIFICATE, _KEY, _AUTHORITY = ("tls.crt", "cert"), ("tls.key", "key"), ("ca.crt", "cacert")
_SMALLEST_RSA = 2048
AUTHORITY_SUFFIX = "-cacert"
KUBERNETES_GATEWAY = "kubernetes-gateway://"


def located(name: str, namespace: str) -> Key:
    """What a `credentialName` means: a Secret beside the gateway's pod, or one with its namespace spelled out."""
    space, _, rest = name.removeprefix(KUBERNETES_GATEWAY).partition("/")
    return Key(space, rest) if name.startswith(KUBERNETES_GATEWAY) else Key(namespace, name)


def credential(secret: Obj) -> Credential | None:
    data = secret.get("data") or {}
    certificate, private, authority = (_first(data, names) for names in (_CERTIFICATE, _KEY, _AUTHORITY))
    key = Key(namespace_of(secret), name_of(secret))
    if not (certificate and private) and not authority:
        return None
    return Credential(key, certificate, private, authority, _fault(certificate, private, authority))


def _first(data: Obj, names: tuple[str, ...]) -> bytes:
    for name in names:
        if data.get(name):
            try:
                return base64.b64decode(str(data[name]), validate=True)
            except binascii.Error:
                return b"?"
    return b""


def _fault(certificate: bytes, private: bytes, authority: bytes) -> str:
    try:
        if authority:
            x509.load_pem_x509_certificates(authority)
    except ValueError:
        return "its CA certificate is not PEM"
    if not certificate:
        return ""
    try:
        leaf = x509.load_pem_x509_certificates(certificate)[0]
    except ValueError:
        return "its certificate is not PEM"
    try:
        key = serialization.load_pem_private_key(private, None)
    except (ValueError, TypeError):
        return "its key is not PEM, or has a password"
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _SMALLEST_RSA:
        return f"its RSA key has {key.key_size} bits; Envoy wants at least {_SMALLEST_RSA}"
    return "" if key.public_key() == leaf.public_key() else "its key is not its certificate's"
