"""The TLS of a listener: where its certificate is, and whether its clients need one.

Pure. In: a `View`, a Gateway, one of its listeners. Out: the `tls` block of Istio's server, and what is wrong with it.
As in Istio 1.23 a listener has one certificate; another namespace's Secret needs a ReferenceGrant; what `options` may
say is `gateway.istio.io/tls-terminate-mode`.
"""

from __future__ import annotations

from typing import Any

from graylane.kit.cache import View
from graylane.mesh.credentials import KUBERNETES_GATEWAY, credential
from graylane.mesh.gatewayapi.grants import Problem, may_refer
from graylane.model.kinds import KUBE_GATEWAY, SECRET
from graylane.model.meta import Key, Obj, dig, namespace_of

MODE = "gateway.istio.io/tls-terminate-mode"
_MODES = ("SIMPLE", "MUTUAL")
_BAD = "InvalidCertificateRef"


def terminated(view: View, gateway: Obj, entry: Obj) -> tuple[dict[str, Any], Problem | None]:
    refs = dig(entry, "tls", "certificateRefs", default=[])
    mode = dig(entry, "tls", "options", MODE, default="SIMPLE")
    if mode not in _MODES:
        return {}, Problem(_BAD, f"tls.options[{MODE}] is {mode}; here it is one of {', '.join(_MODES)}")
    if len(refs) != 1:
        return {}, Problem(_BAD, f"exactly 1 certificateRef is needed to end TLS here, not {len(refs)}")
    ref = refs[0]
    group, kind = ref.get("group") or "", ref.get("kind") or SECRET.kind
    if (group, kind) != (SECRET.group, SECRET.kind):
        return {}, Problem(_BAD, f"certificateRef of group {group!r} kind {kind!r}: only a Secret holds a certificate")
    key = Key(str(ref.get("namespace") or namespace_of(gateway)), str(ref["name"]))
    fault = _fault(view, key)
    if fault:
        return {}, Problem(_BAD, fault)
    if not may_refer(view, KUBE_GATEWAY, namespace_of(gateway), SECRET, key):
        told = f"certificateRef {key} not accessible to a Gateway in namespace {namespace_of(gateway)!r}"
        return {}, Problem("RefNotPermitted", f"{told} (missing a ReferenceGrant?)")
    return {"mode": mode, "credentialName": f"{KUBERNETES_GATEWAY}{key}"}, None


def not_acted_on(entry: Obj) -> tuple[str, ...]:
    """Options meant for other implementations."""
    return tuple(sorted(name for name in dig(entry, "tls", "options", default={}) if name != MODE))


def _fault(view: View, key: Key) -> str:
    try:
        secret = view.get(SECRET, *key)
    except LookupError:
        return ""  # not read here: nobody needs private keys to ask where requests go
    if secret is None:
        return f"Secret {key} not found"
    found = credential(secret)
    if found is None or not found.certificate:
        return f"Secret {key} holds no certificate: tls.crt and tls.key are needed"
    return f"Secret {key} cannot be used: {found.fault}" if found.fault else ""
