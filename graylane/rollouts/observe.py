"""Reads the caches and says what is true about one Rollout.

Pure. In: a `View`, the decoded Rollout, its remembered release, now. Out: `Facts`, and the objects they were read from,
so that a change of any of them leads to another look.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from graylane.kit.cache import View
from graylane.model.intorpercent import resolve
from graylane.model.kinds import CONFIG_MAP, DEPLOYMENT, POD, REPLICA_SET, ROLLOUT, SERVICE, TRAFFIC_ROUTING, Kind
from graylane.model.meta import (
    Key,
    Obj,
    annotations_of,
    condition,
    controller_of,
    dig,
    finalizers_of,
    generation_of,
    is_deleting,
    labels_of,
    name_of,
    uid_of,
)
from graylane.model.revisions import (
    POD_TEMPLATE_HASH,
    hash_of,
    oldest_first,
    revision_of,
    stable_candidate,
    template_of,
    wanted_replicas,
)
from graylane.model.rollout import (
    CANARY_FINALIZER,
    IN_PROGRESSING,
    PINNED_BY,
    STABLE_REVISION,
    WORKLOAD_TYPE,
    Embedded,
    Rollout,
)
from graylane.model.selectors import LabelSelector
from graylane.model.userscripts import config_map_key
from graylane.rollouts import canary as canaries
from graylane.rollouts.batch import batch_of
from graylane.rollouts.exposure import exposure, read_by
from graylane.rollouts.facts import Facts
from graylane.rollouts.lane import former_of, lane_of, services_of, strays_of
from graylane.rollouts.listed import deployment_of, listed_pods, ready_pods, service_serves
from graylane.rollouts.parts import Canary, Lane, RevisionSet, Services, Stable
from graylane.rollouts.reach import unreached
from graylane.rollouts.release import OVERDUE, Release

Source = tuple[Kind, Key]
_NOT_OURS = "-"  # an overlay that no Rollout has: its canary is none of the present plan


@dataclass(frozen=True, slots=True)
class Known:
    """What the shell knows besides the caches.

    `watched_since`: this process's first look at the Rollout; while nobody looked, nothing can be said to have stood
    still. `patience`: until when what passes may be left out of the status; None: for a moment from now.
    """

    watched_since: datetime | None = None
    patience: datetime | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    facts: Facts
    sources: frozenset[Source]


def observe(
    view: View, obj: Obj, rollout: Rollout, release: Release, now: datetime, known: Known = Known()
) -> Observation:
    namespace = rollout.key.namespace
    workload = view.get(DEPLOYMENT, namespace, rollout.workload.name)
    sets = view.owned_by(REPLICA_SET, uid_of(workload)) if workload else []
    stable = _stable(workload, sets) if workload and not is_deleting(workload) else None
    lane = lane_of(view, rollout)
    services = services_of(view, rollout, lane.obj) if lane else ()
    batch = batch_of(view, rollout)
    owned = canaries.owned(view, rollout, uid_of(batch.obj) if batch else "")
    seen = (_any_canary(view, item, rollout, stable, services) for item in owned)
    found = tuple(_as_reached(view, lane, item) for item in seen)
    facts = Facts(
        now=now,
        obj=obj,
        rollout=rollout,
        release=release,
        stable=stable,
        canaries=found,
        lane=lane,
        strays=strays_of(view, rollout),
        candidate=_candidate(stable, sets),
        overlay=rollout.overlay,
        free_name=canaries.free_name(view, rollout, stable.revision) if stable else "",
        misfit=canaries.misfit(stable.obj, rollout) if stable else "",
        services=_services(view, rollout, frozenset(item.name for item in found)),
        exposed=exposure(view, rollout, lane.obj if lane else None, stable.obj) if stable else "",
        former=former_of(view, rollout),
        batch=batch,
        watched_since=known.watched_since,
    )
    return Observation(facts, frozenset((*_sources(view, rollout, lane, services, found), *_pods_of(facts))))


def _sources(
    view: View, rollout: Rollout, lane: Lane | None, services: tuple[str, ...], found: Iterable[Canary]
) -> Iterable[Source]:
    namespace = rollout.key.namespace
    yield DEPLOYMENT, Key(namespace, rollout.workload.name)
    for item in found:
        yield DEPLOYMENT, Key(namespace, item.name)
    if lane:
        yield TRAFFIC_ROUTING, Key(namespace, lane.name)
        yield from ((kind, Key(namespace, name)) for kind, name in read_by(lane.obj))
        yield CONFIG_MAP, config_map_key()
    for service in services:
        yield SERVICE, Key(namespace, service)
    if len(services) > 1:
        yield from _neighbours(view, namespace, services)
    for routes in filter(None, (rollout.embedded, _routes(view, rollout))):
        yield SERVICE, Key(namespace, routes.service)


def _pods_of(facts: Facts) -> Iterable[Source]:
    lingering = facts.services.lingering if facts.services else ()
    return ((POD, Key(facts.rollout.key.namespace, name)) for name in lingering)


def _neighbours(view: View, namespace: str, services: tuple[str, ...]) -> Iterable[Source]:
    """Pods that a shared TrafficRouting's Services list, and whose they are: perhaps another Rollout's canary."""
    for name in {name for service in services for name in listed_pods(view, namespace, service)}:
        yield POD, Key(namespace, name)
        if pod := view.get(POD, namespace, name):
            yield DEPLOYMENT, Key(namespace, deployment_of(pod))


def _services(view: View, rollout: Rollout, canary_names: frozenset[str]) -> Services | None:
    """None: stable and canary share a Service, or the routes are not the Rollout's own."""
    routes = _routes(view, rollout)
    if routes is None:
        return None
    stable = view.get(SERVICE, rollout.key.namespace, routes.service)
    canary = view.get(SERVICE, rollout.key.namespace, routes.canary_service)
    claimed_by = annotations_of(stable or {}).get(PINNED_BY, "")
    claimant = view.get(ROLLOUT, rollout.key.namespace, claimed_by)
    ours = canary_names | {rollout.workload.name}
    return Services(
        stable_name=f"{rollout.key.namespace}/{routes.service}",
        canary_name=routes.canary_service,
        stable=stable,
        canary=canary,
        pin=_pin(stable),
        canary_pin=_pin(canary),
        foreign=canary is not None and (controller_of(canary) or {}).get("uid") != rollout.uid,
        claimed_by=claimed_by if claimed_by != rollout.key.name and claimant else "",
        stranger="" if _pin(stable) else _stranger(view, Key(rollout.key.namespace, routes.service), ours),
        lingering=() if canary_names or not _pin(stable) else _lingering(view, rollout.key.namespace, _pin(canary)),
        unwanted=routes is not rollout.embedded,
    )


def _routes(view: View, rollout: Rollout) -> Embedded | None:
    """The spec's, if the canary has a Service of its own; else a former spec's, while that Service is still there."""
    if rollout.embedded and rollout.embedded.own_service:
        return rollout.embedded
    left: list[Obj] = view.owned_by(SERVICE, rollout.uid)
    return Embedded(name_of(left[0]).removesuffix("-canary"), {}) if left else None


def _stranger(view: View, service: Key, deployments: frozenset[str]) -> str:
    """A pod that the Service lists and that is of none of these Deployments; "" when there is none."""
    for name in sorted(listed_pods(view, *service)):
        pod = view.get(POD, service.namespace, name)
        owner = (controller_of(pod) or {}).get("name", "") if pod else ""
        replica_set = view.get(REPLICA_SET, service.namespace, str(owner))
        if pod and (controller_of(replica_set or {}) or {}).get("name") not in deployments:
            return name
    return ""


def _lingering(view: View, namespace: str, mark: str) -> tuple[str, ...]:
    """Pods outlive their Deployment until they are collected; those on their way out get no requests any more."""
    pods = view.list(POD, namespace, LabelSelector.of_map({POD_TEMPLATE_HASH: mark})) if mark else []
    return tuple(sorted(name_of(pod) for pod in pods if not is_deleting(pod)))


def _pin(service: Obj | None) -> str:
    return str(dig(service, "spec", "selector", POD_TEMPLATE_HASH, default=""))


def _stable(workload: Obj, sets: list[Obj]) -> Stable:
    replicas = wanted_replicas(workload)
    unavailable = dig(workload, "spec", "strategy", "rollingUpdate", "maxUnavailable", default="25%")
    return Stable(
        obj=workload,
        name=name_of(workload),
        replicas=replicas,
        paused=bool(dig(workload, "spec", "paused", default=False)),
        revision=revision_of(template_of(workload)),
        claimed_by=claimed_by(workload),
        labelled=labels_of(workload).get(STABLE_REVISION, ""),
        typed=WORKLOAD_TYPE in labels_of(workload),
        observed=_observed(workload),
        max_unavailable=resolve(unavailable, replicas, round_up=False),
        deadline_seconds=int(dig(workload, "spec", "progressDeadlineSeconds", default=600)),
        stalled=_observed(workload) and (condition(workload, "Progressing") or {}).get("reason") == OVERDUE,
        sets=tuple(_revision_set(item) for item in oldest_first(sets) if not is_deleting(item)),
    )


def claimed_by(workload: Obj) -> str:
    """The Rollout named by `in-progressing`; text that is not ours to understand claims nothing."""
    try:
        claim = json.loads(annotations_of(workload).get(IN_PROGRESSING, "{}"))
    except ValueError:
        return ""
    return str(claim.get("rolloutName", "")) if isinstance(claim, dict) else ""


def _revision_set(replica_set: Obj) -> RevisionSet:
    template = template_of(replica_set)
    return RevisionSet(
        name=name_of(replica_set),
        hash=hash_of(replica_set),
        revision=revision_of(template),
        wanted=wanted_replicas(replica_set),
        replicas=_count(replica_set, "replicas"),
        available=_count(replica_set, "availableReplicas"),
        template=template,
    )


def _candidate(stable: Stable | None, sets: list[Obj]) -> str:
    """The label a past admission left names the stable version, if that still runs; else the oldest one that does."""
    if stable is None:
        return ""
    labelled = stable.set_of(stable.labelled)
    if stable.claimed_by and labelled and labelled.wanted > 0 and labelled.revision != stable.revision:
        return labelled.hash
    found = stable_candidate((item for item in sets if not is_deleting(item)), template_of(stable.obj))
    return hash_of(found) if found else ""


def _canary(view: View, deployment: Obj, namespace: str, services: tuple[str, ...]) -> Canary:
    sets = view.owned_by(REPLICA_SET, uid_of(deployment))
    newest = max(sets, key=lambda item: (wanted_replicas(item) > 0, generation_of(item), name_of(item)), default=None)
    ready, trouble = ready_pods(view, sets)
    listed = {service: service_serves(view, namespace, service, deployment, ready) for service in services}
    least = min(listed, key=listed.__getitem__, default="")
    return Canary(
        obj=deployment,
        name=name_of(deployment),
        revision=canaries.revision_on(deployment),
        overlay=canaries.overlay_on(deployment),
        replicas=wanted_replicas(deployment),
        updated=_count(deployment, "updatedReplicas"),
        available=_count(deployment, "availableReplicas"),
        observed=_observed(deployment),
        deleting=is_deleting(deployment),
        protected=CANARY_FINALIZER in finalizers_of(deployment),
        listed=listed.get(least, len(ready)),
        template_hash=hash_of(newest) if newest else "",
        trouble=trouble,
        owner=str((controller_of(deployment) or {}).get("uid", "")),
        recorded=canaries.is_recorded(deployment),
        listed_least_by=least,
    )


def _as_reached(view: View, lane: Lane | None, canary: Canary) -> Canary:
    """Pods that no route would find count as not listed: their routes are not asked for, or are taken back."""
    why = unreached(view, lane.obj if lane else None, canary.obj)
    return replace(canary, listed=0, unreached=why) if why else canary


def _any_canary(
    view: View, deployment: Obj, rollout: Rollout, stable: Stable | None, services: tuple[str, ...]
) -> Canary:
    """OpenKruise's says nothing of its revision and overlay; they are the present ones if it is what we would make."""
    seen = _canary(view, deployment, rollout.key.namespace, services)
    if seen.revision:
        return replace(seen, overlay=_NOT_OURS) if canaries.is_edited(view, deployment) else seen
    seen = replace(seen, foreign=True)
    if stable and revision_of(canaries.template(stable.obj, rollout)) == revision_of(template_of(deployment)):
        return replace(seen, revision=stable.revision, overlay=rollout.overlay)
    return replace(seen, revision=revision_of(template_of(deployment)), overlay=_NOT_OURS)


def _observed(workload: Obj) -> bool:
    return int(dig(workload, "status", "observedGeneration", default=0)) >= generation_of(workload)


def _count(workload: Obj, name: str) -> int:
    return int(dig(workload, "status", name, default=0))
