"""Namespaces: active at birth, terminating until their content is gone.

Pure. In: namespaces. Out: namespaces with finalizer, phase and the name label that selectors rely on.
"""

from __future__ import annotations

from datetime import datetime

from graylane.cluster.apiserver.strategy.base import Strategy
from graylane.model.meta import Obj, dig, is_deleting, labels_of, name_of

NAME_LABEL = "kubernetes.io/metadata.name"
CONTENT = "kubernetes"
PROTECTED = ("default", "kube-system", "kube-public")


def _create(namespace: Obj, now: datetime) -> Obj:
    labelled = _labelled(namespace)
    finalizers = dig(namespace, "spec", "finalizers", default=[])
    if CONTENT not in finalizers:
        finalizers = [*finalizers, CONTENT]
    return {**labelled, "spec": {"finalizers": finalizers}, "status": {"phase": "Active"}}


def _update(new: Obj, old: Obj) -> Obj:
    """`spec.finalizers` changes through `…/finalize` only."""
    return _labelled({**new, "spec": old.get("spec", {})})


def _labelled(namespace: Obj) -> Obj:
    metadata = namespace["metadata"]
    labels = {**labels_of(namespace), NAME_LABEL: name_of(namespace)}
    return {**namespace, "metadata": {**metadata, "labels": labels}}


def is_empty(namespace: Obj) -> bool:
    """Its content is gone, says whoever emptied it, by having taken the finalizers away."""
    return is_deleting(namespace) and not dig(namespace, "spec", "finalizers")


NAMESPACES = Strategy(create=_create, update=_update)
