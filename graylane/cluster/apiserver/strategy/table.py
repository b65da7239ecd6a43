"""Which kinds are particular: one row each.

Pure. In: a `Resource`. Out: its `Strategy`; a kind without a row has none.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.admission import conditions, policy_texts
from graylane.cluster.apiserver.resources import Resource
from graylane.cluster.apiserver.strategy.base import Strategy
from graylane.cluster.apiserver.strategy.crds import CRDS
from graylane.cluster.apiserver.strategy.daemonsets import DAEMON_SETS
from graylane.cluster.apiserver.strategy.jobs import JOBS
from graylane.cluster.apiserver.strategy.namespaces import NAMESPACES
from graylane.cluster.apiserver.strategy.pods import PODS
from graylane.cluster.apiserver.strategy.services import SERVICES
from graylane.model.meta import Obj, format_time

_PLAIN = Strategy()
_UPSERT = Strategy(create_on_update=True)
_ANSWERS = Strategy(answers_deleted=True)
_PLAIN_STATUS = Strategy(status_fixes=None)
_WEBHOOKS = Strategy(check=conditions.check, warnings=conditions.warnings)


def _starting_with(status: dict[str, Any], **more: Any) -> Strategy:
    """A kind whose status begins with something other than nothing."""

    def create(obj: Obj, now: datetime) -> Obj:
        return {**obj, "status": status}

    return Strategy(create=create, **more)


def _volume(obj: Obj, now: datetime) -> Obj:
    return {**obj, "status": {"phase": "Pending", "lastPhaseTransitionTime": format_time(now)}}


_TABLE: dict[str, Strategy] = {
    "customresourcedefinitions.apiextensions.k8s.io": CRDS,
    "csidrivers.storage.k8s.io": _ANSWERS,
    "csinodes.storage.k8s.io": _ANSWERS,
    "daemonsets.apps": DAEMON_SETS,
    "deployments.apps": Strategy(status_fixes=("labels",), wishes=("annotations",)),
    "deviceclasses.resource.k8s.io": _ANSWERS,
    "endpoints": _UPSERT,
    "endpointslices.discovery.k8s.io": Strategy(wishes=("labels",)),
    "events": _UPSERT,
    "flowschemas.flowcontrol.apiserver.k8s.io": _PLAIN_STATUS,
    "jobs.batch": JOBS,
    "leases.coordination.k8s.io": _UPSERT,
    "limitranges": _UPSERT,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": _WEBHOOKS,
    "namespaces": NAMESPACES,
    "nodes": Strategy(keeps_first_status=True),
    "persistentvolumeclaims": _starting_with({"phase": "Pending"}, answers_deleted=True),
    "persistentvolumes": Strategy(create=_volume, answers_deleted=True),
    "pods": PODS,
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": _PLAIN_STATUS,
    "podtemplates": _ANSWERS,
    "replicationcontrollers": Strategy(propagation="Orphan"),
    "resourcequotas": _ANSWERS,
    "serviceaccounts": Strategy(answers_deleted=True),
    "services": SERVICES,
    "resourceclaims.resource.k8s.io": Strategy(answers_deleted=True, status_fixes=None),
    "resourceclaimtemplates.resource.k8s.io": _ANSWERS,
    "resourceslices.resource.k8s.io": _ANSWERS,
    "storageclasses.storage.k8s.io": _ANSWERS,
    "validatingadmissionpolicies.admissionregistration.k8s.io": Strategy(
        check=policy_texts.check, warnings=policy_texts.warnings
    ),
    "validatingwebhookconfigurations.admissionregistration.k8s.io": _WEBHOOKS,
    "volumeattachments.storage.k8s.io": Strategy(answers_deleted=True, status_fixes=None),
    "volumeattributesclasses.storage.k8s.io": _ANSWERS,
}


def strategy_of(resource: Resource) -> Strategy:
    return _TABLE.get(resource.store, _PLAIN)
