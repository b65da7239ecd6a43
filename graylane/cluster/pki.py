"""Certificates, tokens and the kubeconfig of the embedded cluster.

Shell. In: a directory and names to certify. Out: files (0600 in a 0700 directory), made once and loaded ever after, so
that a kubeconfig stays good over restarts. Server certificates are made anew when a name is missing or the end is near.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from graylane.errors import UserError

_CA_DAYS = 3650
_SERVER_DAYS = 398  # the longest that strict clients accept of a server
_RENEW_DAYS = 30
_BACKDATED = dt.timedelta(hours=1)  # clocks of virtual machines lag behind after a resume

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path

    @property
    def pem(self) -> bytes:
        return self.certificate.read_bytes()


class Authority:
    """The cluster's certificate authority, loaded from `directory` or created there."""

    def __init__(self, directory: Path, now: dt.datetime) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._now = now
        self.pair = self._pair("ca")
        if not (self.pair.certificate.exists() and self.pair.key.exists()):
            self._create()
        self._certificate = _load_certificate(self.pair.certificate)
        self._key = _load_key(self.pair.key)

    @property
    def bundle(self) -> bytes:
        """PEM to trust: for a kubeconfig or a webhook's `caBundle`."""
        return self.pair.pem

    def server(self, name: str, hosts: Iterable[str]) -> Pair:
        """A server certificate `name` for `hosts` (DNS names and IP addresses); the existing one while it will do."""
        pair, wanted = self._pair(name), sorted(set(hosts))
        if not self._will_do(pair, wanted):
            key = ec.generate_private_key(ec.SECP256R1())
            alternatives = x509.SubjectAlternativeName([_alternative(host) for host in wanted])
            certificate = (
                _builder(name, self._certificate.subject, key, self._now, _SERVER_DAYS)
                .add_extension(alternatives, critical=False)
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
                .add_extension(_usage(signs_certificates=False), critical=True)
                .add_extension(
                    x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
                )
                .sign(self._key, hashes.SHA256())
            )
            _write_pair(pair, certificate, key)
        return pair

    def _create(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "graylane-ca")])
        certificate = (
            _builder("graylane-ca", subject, key, self._now, _CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write_pair(self.pair, certificate, key)

    def _will_do(self, pair: Pair, wanted: list[str]) -> bool:
        if not (pair.certificate.exists() and pair.key.exists()):
            return False
        certificate = _load_certificate(pair.certificate)
        ends = certificate.not_valid_after_utc - dt.timedelta(days=_RENEW_DAYS)
        ours = certificate.issuer == self._certificate.subject and _signed_by(certificate, self._key)
        return ours and self._now < ends and set(wanted) <= set(_hosts(certificate))

    def _pair(self, name: str) -> Pair:
        return Pair(self._directory / f"{name}.crt", self._directory / f"{name}.key")


def token(path: Path) -> str:
    """The bearer token kept in `path`, made on first use (256 random bits)."""
    if not path.exists():
        write_private(path, f"{secrets.token_urlsafe(32)}\n".encode())
    return path.read_text().strip()


def write_kubeconfig(path: Path, *, server: str, ca: bytes, token: str, name: str = "graylane") -> None:
    """A kubeconfig with one context; whoever may read it may do everything, so only its owner may."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": server, "certificate-authority-data": base64.b64encode(ca).decode()}}
        ],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
        "current-context": name,
    }
    write_private(path, yaml.safe_dump(document, sort_keys=False).encode())


def write_private(path: Path, content: bytes) -> None:
    """Write `path` whole or not at all, readable by its owner alone from the first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _write_pair(pair: Pair, certificate: x509.Certificate, key: Key) -> None:
    """The key first: a certificate on disk always has its key."""
    pair.certificate.unlink(missing_ok=True)
    plain = serialization.NoEncryption()
    write_private(pair.key, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    write_private(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _builder(name: str, issuer: x509.Name, key: Key, now: dt.datetime, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _hosts(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress)]


def _signed_by(certificate: x509.Certificate, key: Key) -> bool:
    """A CA made anew has the old one's name; only its signature tells them apart."""
    try:
        key.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    except Exception:  # any failure means the same: make a new one
        return False
    return True


def _load_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise UserError(f"{path} is not a PEM certificate ({error}); delete it, and it will be made anew") from error


def _load_key(path: Path) -> Key:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise UserError(f"{path} is not a PEM key ({error}); delete it, and it will be made anew") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UserError(f"{path} is not an elliptic-curve key; delete it, and it will be made anew")
    return key
