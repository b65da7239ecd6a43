"""Certificates for tests: an authority, and what it signs for servers and clients.

Pure in effect. In: names. Out: PEM texts, and the Secrets and TLS contexts that hold them.
"""

from __future__ import annotations

import base64
import datetime as dt
import ssl
import tempfile
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from graylane.model.meta import Obj


@dataclass(frozen=True)
class Pair:
    certificate: bytes
    key: bytes

    def secret(self, name: str, namespace: str = "istio-system", ca: bytes = b"") -> Obj:
        data = {"tls.crt": self.certificate, "tls.key": self.key} | ({"ca.crt": ca} if ca else {})
        texts = {field: base64.b64encode(value).decode() for field, value in data.items()}
        return {"kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "data": texts}


class Authority:
    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("tests")
        self._certificate = _builder(self._name, self._name, self._key, ca=True).sign(self._key, hashes.SHA256())
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)

    def pair(self, *names: str) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(names[0]), self._name, key, ca=False)
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        signed = builder.add_extension(alternative, critical=False).sign(self._key, hashes.SHA256())
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Pair(signed.public_bytes(serialization.Encoding.PEM), text)

    def context(self, client: Pair | None = None) -> ssl.SSLContext:
        """Trusts this authority, and shows a client's certificate if there is one."""
        found = ssl.create_default_context(cadata=self.pem.decode())
        if client is not None:
            with tempfile.NamedTemporaryFile() as file:
                file.write(client.certificate + client.key)
                file.flush()
                found.load_cert_chain(file.name)
        return found


def server_context(pair: Pair) -> ssl.SSLContext:
    found = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.certificate + pair.key)
        file.flush()
        found.load_cert_chain(file.name)
    return found


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, *, ca: bool
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
