"""The chain view as a plain document, the part of `graylane status -o json` that the API tells.

Pure. In: `ChainView`. Out: dicts, lists, strings, numbers and nulls with stable names.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from graylane.chain.releases import Release
from graylane.chain.view import ChainView, EntryView, HopView, Served
from graylane.chain.workloads import Group
from graylane.model.meta import dig, format_time, name_of


def document(view: ChainView) -> dict[str, Any]:
    return {
        "namespace": view.namespace,
        "dyes": [[_header(header) for header in dye.headers] for dye in view.dyes],
        "entries": [_entry(entry) for entry in view.entries],
        "releases": [_release(release) for release in view.releases],
        "problems": [{"object": problem.object, "message": problem.message} for problem in view.problems],
    }


def _header(header: Any) -> dict[str, Any]:
    return {"name": header.name, "value": header.value, "type": "RegularExpression" if header.regex else "Exact"}


def _entry(entry: EntryView) -> dict[str, Any]:
    return {"gateway": entry.gateway or None, "host": entry.host or None, "hops": [_hop(hop) for hop in entry.hops]}


def _hop(hop: HopView) -> dict[str, Any]:
    return {
        "service": hop.service,
        "depth": hop.depth,
        "version": hop.version,
        "base": _group(hop.base),
        "canary": _group(hop.canary),
        "plain": _served(hop.plain),
        "dyed": [_served(served) for served in hop.served],
        "routes": None if hop.direct else hop.routes.value,
    }


def _group(group: Group) -> dict[str, Any]:
    pods = [{"name": name_of(pod), "ip": dig(pod, "status", "podIP")} for pod in group.pods]
    return {"ready": group.ready, "wanted": group.wanted, "pods": pods}


def _served(served: Served) -> dict[str, Any]:
    return {
        "basePercent": served.base,
        "canaryPercent": served.canary,
        "rule": served.rule or None,
        "problem": served.problem or None,
    }


def _release(release: Release) -> dict[str, Any]:
    return {
        "name": release.name,
        "namespace": release.namespace,
        "workload": release.workload,
        "trafficRouting": release.routing or None,
        "phase": release.phase,
        "step": release.step,
        "state": release.state,
        "revision": release.revision or None,
        "waitsFor": release.waits_for or None,
        "since": _time(release.since),
        "next": list(release.next),
        "outcome": release.outcome or None,
        "ended": release.ended.value or None,
        "failed": release.failed,
        "lane": [str(dye) for dye in release.lane],
        "traffic": release.traffic or None,
    }


def _time(moment: datetime | None) -> str | None:
    return format_time(moment) if moment else None
