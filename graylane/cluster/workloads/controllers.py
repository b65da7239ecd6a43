"""The list of workload controllers: who reconciles what, and which changes make them look again.

Pure. In: nothing. Out: `Controller`s for a `kit.Manager`, fresh at every call since some remember selectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from graylane.cluster.workloads import (
    daemonset,
    deployment,
    disruption,
    endpoints,
    job,
    legacy_endpoints,
    replicaset,
    statefulset,
)
from graylane.cluster.workloads.attraction import Attraction, label_selector, service_selector
from graylane.cluster.workloads.cronjob import CronJobs
from graylane.cluster.workloads.history import CONTROLLER_REVISION
from graylane.cluster.workloads.job_pods import JOB_NAME
from graylane.cluster.workloads.pods import is_finished
from graylane.cluster.workloads.revisions import HASH_LABEL
from graylane.cluster.workloads.scheduler import Scheduler
from graylane.cluster.workloads.serviceaccounts import controller as namespace_identity
from graylane.kit import Controller
from graylane.model.kinds import (
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    ENDPOINTS,
    JOB,
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    SERVICE,
    STATEFUL_SET,
    Kind,
)
from graylane.model.meta import Key, Obj, controller_of, is_deleting, key_of, labels_of, namespace_of

KeysOf = Callable[[Obj], Iterable[Key]]

_CREATES = (NAMESPACE,)  # who creates objects must know which namespaces are closing


def controllers() -> list[Controller]:
    """Every kind of workload, both kinds of endpoints and the scheduler."""
    workloads = [_deployments(), _replica_sets(), _stateful_sets(), _daemon_sets(), _jobs(), _cron_jobs()]
    around = [_endpoint_slices(), _endpoints(), _budgets()]
    return [*workloads, *around, Scheduler().controller(), namespace_identity()]


def _deployments() -> Controller:
    attraction = Attraction(label_selector)
    watches = {
        DEPLOYMENT: _remember(attraction),
        REPLICA_SET: owner_or_attracted(DEPLOYMENT, attraction),
        POD: _deployment_of_stopping_pod,
    }
    return Controller(
        "deployment-controller", DEPLOYMENT, deployment.reconcile, watches, workers=4, extra_caches=_CREATES
    )


def _replica_sets() -> Controller:
    attraction = Attraction(label_selector)
    watches = {REPLICA_SET: _remember(attraction), POD: owner_or_attracted(REPLICA_SET, attraction)}
    return Controller(
        "replicaset-controller", REPLICA_SET, replicaset.reconcile, watches, workers=4, extra_caches=_CREATES
    )


def _stateful_sets() -> Controller:
    attraction = Attraction(label_selector)
    mine = owner_or_attracted(STATEFUL_SET, attraction)
    watches = {STATEFUL_SET: _remember(attraction), POD: mine, CONTROLLER_REVISION: mine}
    return Controller(
        "statefulset-controller",
        STATEFUL_SET,
        statefulset.reconcile,
        watches,
        workers=2,
        extra_caches=(*_CREATES, PERSISTENT_VOLUME_CLAIM),
    )


def _daemon_sets() -> Controller:
    attraction, everyone = Attraction(label_selector), set[Key]()
    mine = owner_or_attracted(DAEMON_SET, attraction)

    def note(daemon_set: Obj) -> Iterable[Key]:
        everyone.add(key_of(daemon_set))
        attraction.note(daemon_set)
        return ()

    watches = {DAEMON_SET: note, POD: mine, CONTROLLER_REVISION: mine, NODE: lambda _: tuple(everyone)}
    return Controller(
        "daemonset-controller", DAEMON_SET, daemonset.reconcile, watches, workers=2, extra_caches=_CREATES
    )


def _jobs() -> Controller:
    attraction = Attraction(label_selector)
    own = owner_or_attracted(JOB, attraction)

    def job_of(pod: Obj) -> Iterable[Key]:
        """By its label too: a pod that a gone Job left behind still carries the finalizer."""
        name = labels_of(pod).get(JOB_NAME)
        return {*own(pod), *((Key(namespace_of(pod), name),) if name else ())}

    watches = {JOB: _remember(attraction), POD: job_of}
    return Controller("job-controller", JOB, job.reconcile, watches, workers=4, extra_caches=_CREATES)


def _cron_jobs() -> Controller:
    watches = {JOB: owner_or_attracted(CRON_JOB)}
    return Controller("cronjob-controller", CRON_JOB, CronJobs().reconcile, watches, extra_caches=_CREATES)


def _endpoint_slices() -> Controller:
    attraction = Attraction(service_selector)
    slices = owner_or_attracted(SERVICE)
    watches = {SERVICE: _remember(attraction), POD: attraction.of, ENDPOINT_SLICE: slices}
    return Controller(
        "endpoint-slice-controller", SERVICE, endpoints.reconcile, watches, workers=4, extra_caches=_CREATES
    )


def _budgets() -> Controller:
    attraction = Attraction(disruption.budget_selector)
    watches = {POD_DISRUPTION_BUDGET: _remember(attraction), POD: attraction.of}
    caches = (DEPLOYMENT, REPLICA_SET, STATEFUL_SET)
    return Controller(
        "disruption-controller", POD_DISRUPTION_BUDGET, disruption.reconcile, watches, workers=2, extra_caches=caches
    )


def _endpoints() -> Controller:
    attraction = Attraction(service_selector)
    watches = {SERVICE: _remember(attraction), POD: attraction.of, ENDPOINTS: lambda obj: (key_of(obj),)}
    return Controller(
        "endpoint-controller", SERVICE, legacy_endpoints.reconcile, watches, workers=2, extra_caches=_CREATES
    )


def _remember(attraction: Attraction) -> KeysOf:
    def note(owner: Obj) -> Iterable[Key]:
        attraction.note(owner)
        return ()

    return note


def owner_or_attracted(kind: Kind, attraction: Attraction | None = None) -> KeysOf:
    """A dependent concerns its controller; one without any, whoever of `kind` would adopt it."""

    def keys_of(obj: Obj) -> Iterable[Key]:
        reference = controller_of(obj)
        if reference is None:
            return attraction.of(obj) if attraction else ()
        if (reference.get("kind"), reference.get("apiVersion")) != (kind.kind, kind.api_version):
            return ()
        return (Key(namespace_of(obj), reference["name"]),)

    return keys_of


def _deployment_of_stopping_pod(pod: Obj) -> Iterable[Key]:
    """Recreate waits for the last old pod: `web-<hash>-<pod>` leads to `web` by way of the hash in its label."""
    reference = controller_of(pod)
    suffix = f"-{labels_of(pod).get(HASH_LABEL, '')}"
    if reference is None or not (is_deleting(pod) or is_finished(pod)) or not reference["name"].endswith(suffix):
        return ()
    return (Key(namespace_of(pod), reference["name"].removesuffix(suffix)),)
