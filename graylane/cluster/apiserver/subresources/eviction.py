"""`pods/eviction`: deletion that asks the pod's disruption budget first.

Shell (store). In: a policy/v1 Eviction. Out: a Status; the pod is deleted as by DELETE, and the budget has counted it.
How many may go is what the budget's status says, which the controllers beside the API keep. The rules are those of
Kubernetes' `eviction.go`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from graylane.cluster.apiserver import bodies, deletion, failures, pipeline
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.deletion import DeleteOptions
from graylane.cluster.apiserver.exchange import Reply
from graylane.cluster.apiserver.internal import own_call
from graylane.cluster.apiserver.store import Entry
from graylane.errors import BadRequest, Conflict, Forbidden, TooManyRequests, Unclassified
from graylane.model.meta import (
    Condition,
    Key,
    Obj,
    dig,
    format_time,
    generation_of,
    is_deleting,
    is_true,
    labels_of,
    name_of,
    rv_of,
    set_condition,
    uid_of,
)
from graylane.model.selectors import LabelSelector

_BUDGETS = "poddisruptionbudgets.policy"
_MOST_NOTED = 2000  # evictions that no controller has confirmed
_VIOLATED = "Cannot evict pod as it would violate the pod's disruption budget."
_EVICTED = Condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting")


async def create(call: Call) -> Reply:
    loaded = bodies.load(call.request.body, call.request.headers.get("content-type", ""))
    eviction = bodies.expect_kind(loaded, "policy/v1", "Eviction", lenient=True)
    bodies.decoded(eviction, "io.k8s.api.policy.v1.Eviction")
    if dig(eviction, "metadata", "name", default=call.key.name) != call.key.name:
        raise BadRequest("name in URL does not match name in Eviction object")
    options = DeleteOptions.of(eviction.get("deleteOptions") or {})
    dry = options.dry_run or "All" in call.request.query.all("dryRun")
    await _evict(call, replace(options, dry_run=dry))
    return Reply.json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)


async def _evict(call: Call, options: DeleteOptions) -> None:
    pod = _pod(call)
    budget = None if _is_over(pod) else _budget_of(call, pod)
    if budget is None:
        await _delete(call, options)
    elif _may_go_anyway(pod, budget):
        await _delete_as_seen(call, pod, budget, options)
    else:
        await _count(call, budget, options.dry_run)
        await _delete(call, options)


def _pod(call: Call) -> Obj:
    entry = call.api.store.get("pods", call.key)
    if entry is None:
        raise failures.not_found(call.resource, call.key.name)
    return entry.obj


def _is_over(pod: Obj) -> bool:
    """Its end disrupts nothing: it has not begun, or it has ended."""
    return is_deleting(pod) or dig(pod, "status", "phase") in ("Pending", "Succeeded", "Failed")


def _budget_of(call: Call, pod: Obj) -> Obj | None:
    entries = call.api.store.entries(_BUDGETS, call.key.namespace)
    found = [entry.obj for entry in entries if _selects(entry.obj, pod)]
    if len(found) > 1:
        raise Unclassified(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        )
    return found[0] if found else None


def _selects(budget: Obj, pod: Obj) -> bool:
    selector = dig(budget, "spec", "selector")
    return selector is not None and LabelSelector.of(selector).matches(labels_of(pod))


def _may_go_anyway(pod: Obj, budget: Obj) -> bool:
    """A pod that is not healthy is none of those that the budget keeps, unless it keeps too few already."""
    if is_true(pod, "Ready"):
        return False
    if dig(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status: Obj = budget.get("status") or {}
    desired = status.get("desiredHealthy") or 0
    return desired > 0 and (status.get("currentHealthy") or 0) >= desired


async def _count(call: Call, budget: Obj, dry_run: bool) -> None:
    """Take one of the disruptions that are allowed; 429 when there is none."""
    key = Key(call.key.namespace, name_of(budget))
    now = call.api.clock()

    def counted(old: Obj) -> Obj:
        _check(old)
        status: Obj = old["status"]
        left = status["disruptionsAllowed"] - 1
        noted = (status.get("disruptedPods") or {}) | {call.key.name: format_time(now)}
        new = status | {"disruptionsAllowed": left, "disruptedPods": noted}
        if left == 0:
            none = Condition("DisruptionAllowed", "False", "InsufficientPods")
            observed = status.get("observedGeneration") or 0
            told = set_condition(status.get("conditions") or [], none, now, observedGeneration=observed)
            new |= {"conditions": told}
        return {**old, "status": new}

    if dry_run:
        counted(budget)
    else:
        await pipeline.update(own_call(call.api, _BUDGETS, key, subresource="status"), key, counted)


def _check(budget: Obj) -> None:
    status: Obj = budget.get("status") or {}
    name, allowed = name_of(budget), status.get("disruptionsAllowed") or 0
    if (status.get("observedGeneration") or 0) < generation_of(budget):
        raise _in_process(name)
    if allowed < 0:
        raise _broken(name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or {}) > _MOST_NOTED:
        raise _broken(name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller")
    if allowed == 0:
        needs, has = status.get("desiredHealthy") or 0, status.get("currentHealthy") or 0
        raise _refused(f"The disruption budget {name} needs {needs} healthy pods and has {has} currently")


def _broken(name: str, why: str) -> Forbidden:
    details = {"name": name, "group": "policy", "kind": "poddisruptionbudget"}
    return Forbidden(f'poddisruptionbudget.policy "{name}" is forbidden: {why}', details=details)


def _refused(why: str, **more: Any) -> TooManyRequests:
    return TooManyRequests(_VIOLATED, details={"causes": [{"reason": "DisruptionBudget", "message": why}], **more})


def _in_process(name: str) -> TooManyRequests:
    return _refused(f"The disruption budget {name} is still being processed by the server.", retryAfterSeconds=10)


async def _delete(call: Call, options: DeleteOptions) -> None:
    if not options.dry_run:
        marked = await _mark(call, options)
        if options.resource_version:
            options = replace(options, resource_version=str(marked.revision))
    await deletion.delete(call, call.key, options)


async def _mark(call: Call, options: DeleteOptions) -> Entry:
    """Say in the pod why it goes: a Job's policies ask for it."""

    def marked(old: Obj) -> Obj:
        if options.uid not in ("", uid_of(old)) or options.resource_version not in ("", str(rv_of(old))):
            raise failures.conflict(call.resource, call.key.name)
        status = dict(old.get("status") or {})
        told = set_condition(status.get("conditions") or [], _EVICTED, call.api.clock())
        return {**old, "status": status | {"conditions": told}}

    return await pipeline.update(own_call(call.api, "pods", call.key, subresource="status"), call.key, marked)


async def _delete_as_seen(call: Call, pod: Obj, budget: Obj, options: DeleteOptions) -> None:
    """Only if it has not become healthy meanwhile."""
    if options.resource_version:
        return await _delete(call, options)
    try:
        await _delete(call, replace(options, resource_version=str(rv_of(pod))))
    except Conflict:
        raise _in_process(name_of(budget)) from None
