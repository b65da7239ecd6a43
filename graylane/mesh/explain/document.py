"""An explanation as a plain document, the contract of `graylane explain -o json`.

Pure. In: `Explained`. Out: dicts, lists, strings, numbers and nulls with stable names.
"""

from __future__ import annotations

from typing import Any

from graylane.mesh.explain.hop import Destination, Hop, Pod
from graylane.mesh.explain.walk import Explained
from graylane.mesh.simulate import Refusal


def document(found: Explained) -> dict[str, Any]:
    return {
        "answered": not any(found.refusals()),
        "routes": found.routes.value,
        "hops": [_hop(hop) for hop in found.hops],
    }


def _hop(hop: Hop) -> dict[str, Any]:
    request = hop.request
    return {
        "callers": list(hop.callers),
        "request": {
            "method": request.method,
            "authority": request.authority,
            "path": request.path,
            "headers": [{"name": name, "value": value} for name, value in request.headers],
        },
        "listener": hop.listener or None,
        "gateways": list(hop.opened_by),
        "stripped": [{"name": name, "value": value} for name, value in hop.stripped],
        "virtualHost": hop.virtual_host or None,
        "passedOver": [
            {
                "rule": passed.rule,
                "wants": passed.wants,
                "unmet": [{"condition": each.condition, "seen": each.seen} for each in passed.unmet],
            }
            for passed in hop.passed
        ],
        "rule": hop.rule or None,
        "wants": hop.wants or None,
        "notEvaluated": list(hop.not_evaluated),
        "fault": hop.fault or None,
        "destinations": [_destination(destination) for destination in hop.destinations],
        "answer": hop.answer or None,
        "advice": hop.advice or None,
        "refusal": _refusal(hop.refusal, hop.advice),
        "calls": [_hop(call) for call in hop.calls],
    }


def _destination(destination: Destination) -> dict[str, Any]:
    return {
        "percent": destination.percent,
        "service": destination.service,
        "port": destination.port,
        "subset": destination.subset or None,
        "labels": dict(destination.labels),
        "destinationRules": list(destination.rules),
        "pods": [_pod(pod) for pod in destination.pods],
        "refusal": _refusal(destination.refusal, destination.advice),
    }


def _pod(pod: Pod) -> dict[str, Any]:
    return {
        "namespace": pod.namespace,
        "name": pod.name,
        "address": pod.address,
        "version": pod.version or None,
        "versionLabels": dict(pod.labels),
        "changedBy": list(pod.changed_by),
    }


def _refusal(refusal: Refusal | None, advice: str) -> dict[str, Any] | None:
    if refusal is None:
        return None
    told = {"status": refusal.status or None, "flag": refusal.flag or None, "details": refusal.details}
    return {**told, "advice": advice or None}
