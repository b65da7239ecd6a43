"""What every namespace is given: the ServiceAccount `default`, and the certificate that the API is trusted by.

Pure. In: a namespace and what is in it. Out: the account, and the ConfigMap `kube-root-ca.crt` as a copy of the one in
kube-system, which the API server writes. Both come back when deleted; a namespace on its way out is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from graylane.kit import Controller, Create, Effect, Outcome, Patch, View
from graylane.model.kinds import CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT
from graylane.model.meta import Key, Obj, is_deleting, name_of, namespace_of

ACCOUNT = "default"
AUTHORITY = "kube-root-ca.crt"
HOME = "kube-system"


def controller() -> Controller:
    watches = {SERVICE_ACCOUNT: _namespace_if(ACCOUNT), CONFIG_MAP: _namespace_if(AUTHORITY)}
    return Controller("namespace-identity-controller", NAMESPACE, reconcile, watches)


def _namespace_if(name: str) -> Callable[[Obj], Iterable[Key]]:
    """The namespace of an object that has this name; of others nothing follows."""
    return lambda obj: (Key("", namespace_of(obj)),) if name_of(obj) == name else ()


def reconcile(view: View, key: Key, now: datetime) -> Outcome:
    namespace = view.get(NAMESPACE, "", key.name)
    if namespace is None or is_deleting(namespace):
        return Outcome()
    return Outcome((*_account(view, key.name), *_authority(view, key.name)))


def _account(view: View, namespace: str) -> Iterator[Effect]:
    if view.get(SERVICE_ACCOUNT, namespace, ACCOUNT) is None:
        metadata = {"name": ACCOUNT, "namespace": namespace}
        yield Create(SERVICE_ACCOUNT, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})


def _authority(view: View, namespace: str) -> Iterator[Effect]:
    """An edited copy is put right again: a pod that reads it would otherwise trust nobody, or somebody else."""
    source = view.get(CONFIG_MAP, HOME, AUTHORITY)
    if source is None or namespace == HOME:
        return
    found, data = view.get(CONFIG_MAP, namespace, AUTHORITY), source.get("data") or {}
    if found is None:
        metadata = {"name": AUTHORITY, "namespace": namespace}
        yield Create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    elif found.get("data") != data:
        stale = {name: None for name in found.get("data") or {} if name not in data}
        yield Patch(CONFIG_MAP, Key(namespace, AUTHORITY), {"data": {**data, **stale}})
