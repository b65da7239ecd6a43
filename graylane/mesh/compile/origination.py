"""TLS that begins at a proxy, as a DestinationRule's `tls` asks for.

Pure. In: the block, the service it is for, where Secrets are looked for. Out: an `Origination`, a `Finding` why it
cannot be had, or None where requests go in plain text.
"""

from __future__ import annotations

from dataclasses import dataclass

from graylane.mesh.credentials import AUTHORITY_SUFFIX
from graylane.mesh.findings import Finding, invalid, not_found
from graylane.mesh.inputs import Block, Credential, Inputs, Service
from graylane.model.meta import Key


@dataclass(frozen=True, slots=True)
class Material:
    """PEM as it is, or the path of a file of this machine that Envoy reads."""

    pem: bytes = b""
    path: str = ""

    def __bool__(self) -> bool:
        return bool(self.pem or self.path)


NOTHING = Material()


@dataclass(frozen=True, slots=True)
class Origination:
    """`authority` is who must have signed the server's certificate; nothing where any is taken. `names` are those it
    must be for, and the one that is asked for besides with `checks_host`. `sni` "" asks for the request's own host.
    """

    authority: Material
    certificate: Material = NOTHING
    private_key: Material = NOTHING
    sni: str = ""
    names: tuple[str, ...] = ()
    checks_host: bool = False


def origination(tls: Block, service: Service, wallet: str, inputs: Inputs) -> Origination | Finding | None:
    """`wallet` "" with a `credentialName`: as with Istio, whoever may not see the Secret goes on in plain text."""
    if not tls:
        return None
    if tls.get("credentialName"):
        return _by_secret(tls, service, Key(wallet, str(tls["credentialName"])), inputs) if wallet else None
    mutual = tls.get("mode") == "MUTUAL"
    authority = _authority(str(tls.get("caCertificates") or "system"), inputs.mesh.system_roots)
    if not authority and _verifies(tls):
        return not_found("caCertificates", "the certificates of this machine's authorities")
    return _with(
        tls,
        service,
        authority,
        Material(path=str(tls.get("clientCertificate") or "")) if mutual else NOTHING,
        Material(path=str(tls.get("privateKey") or "")) if mutual else NOTHING,
    )


def _authority(written: str, system: str) -> Material:
    return Material(path=system if written == "system" else written)


def _by_secret(tls: Block, service: Service, key: Key, inputs: Inputs) -> Origination | Finding:
    found = inputs.credentials.get(key)
    beside = inputs.credentials.get(Key(key.namespace, key.name + AUTHORITY_SUFFIX))
    mutual = tls.get("mode") == "MUTUAL"
    if mutual and (found is None or not found.certificate):
        return not_found("credentialName", str(key))
    for secret in (found, beside):
        if secret is not None and secret.fault:
            return invalid(f"Secret {secret.key} cannot be used: {secret.fault}")
    authority = Material(pem=_first(found, beside))
    if not authority and _verifies(tls):
        return not_found("CA certificate (ca.crt, or a Secret beside it)", f"{key}{AUTHORITY_SUFFIX}")
    if not mutual or found is None:
        return _with(tls, service, authority, NOTHING, NOTHING)
    return _with(tls, service, authority, Material(found.certificate), Material(found.private_key))


def _first(*secrets: Credential | None) -> bytes:
    return next((each.authority for each in secrets if each is not None and each.authority), b"")


def _verifies(tls: Block) -> bool:
    return not tls.get("insecureSkipVerify")


def _with(tls: Block, service: Service, authority: Material, certificate: Material, key: Material) -> Origination:
    names = tls.get("subjectAltNames") or service.subject_names
    return Origination(
        authority=authority if _verifies(tls) else NOTHING,
        certificate=certificate,
        private_key=key,
        sni=str(tls.get("sni") or ""),
        names=tuple(map(str, names)) if _verifies(tls) else (),
        checks_host=_verifies(tls) and bool(authority) and not tls.get("sni") and not tls.get("subjectAltNames"),
    )
