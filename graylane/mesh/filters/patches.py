"""EnvoyFilters decoded: which patches hold for which proxy and listener, and in what order.

Pure. In: EnvoyFilters. Out: `Patch`es, ready to be applied, and findings for those that cannot be.
Order: lower priority first, then the root namespace's, then older, then by `name.namespace`; inside one object as
listed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from graylane.mesh.compile.listeners import ListenerSpec
from graylane.mesh.filters.types import BadValue, parse
from graylane.mesh.findings import Finding, invalid, unsupported
from graylane.mesh.inputs import Block, EnvoyFilter, Proxy, selects
from graylane.model.meta import dig

HCM = "envoy.filters.network.http_connection_manager"
_CONTEXTS = ("ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY")
_OPERATIONS = ("MERGE", "ADD", "REMOVE", "INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST", "REPLACE")


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One HTTP_FILTER patch. `beside` names the filter it looks for, "" where it looks for none."""

    owner: EnvoyFilter
    context: str
    listener_name: str
    port_number: int
    network_filter: str
    beside: str
    operation: str
    value: Any

    def concerns(self, spec: ListenerSpec) -> bool:
        """Whether a listener is one this patch is for; the filter it names is looked for later."""
        return (
            self.context in ("ANY", spec.role.value)
            and self.listener_name in ("", spec.istio_name)
            and self.port_number in (0, spec.port_number)
            and self.network_filter in ("", HCM)
        )


def decode(owner: EnvoyFilter) -> tuple[tuple[Patch, ...], tuple[Finding, ...]]:
    patches: list[Patch] = []
    findings: list[Finding] = []
    for index, block in enumerate(owner.patches):
        path = f"spec.configPatches[{index}]"
        problem = _problem(block, path)
        if problem is not None:
            findings.append(problem)
            continue
        try:
            value, complaints = _value(block, path)
        except BadValue as error:
            findings.append(invalid(str(error)))
            continue
        findings.extend(Finding("IST0106", "WARNING", f"Schema warning: {text}") for text in complaints)
        patches.append(_patch(owner, block, value))
    return tuple(patches), tuple(findings)


def _problem(block: Block, path: str) -> Finding | None:
    apply_to, operation = block.get("applyTo"), dig(block, "patch", "operation")
    if apply_to != "HTTP_FILTER":
        return unsupported(f"{path}.applyTo {apply_to}")
    if operation not in _OPERATIONS:
        return invalid(f"{path}.patch.operation {operation!r} is none of {', '.join(_OPERATIONS)}")
    match = block.get("match") or {}
    if match.get("context", "ANY") not in _CONTEXTS:
        return invalid(f"{path}.match.context {match['context']!r} is none of {', '.join(_CONTEXTS)}")
    if match.get("context") == "SIDECAR_INBOUND":
        return unsupported(f"{path}.match.context SIDECAR_INBOUND")
    for field in ("proxy", "routeConfiguration", "cluster"):
        if match.get(field):
            return unsupported(f"{path}.match.{field}")
    if operation == "REMOVE" and not _beside(match):
        return invalid(f"{path}.match must name the filter to remove")
    return None


def _beside(match: Block) -> str:
    return str(dig(match, "listener", "filterChain", "filter", "subFilter", "name", default=""))


def _value(block: Block, path: str) -> tuple[Any, list[str]]:
    message = hcm_pb2.HttpFilter()
    if dig(block, "patch", "operation") == "REMOVE":
        return message, []
    complaints = parse(dig(block, "patch", "value", default={}), message, f"{path}.patch.value")
    if dig(block, "patch", "operation") != "MERGE" and not message.name:
        raise BadValue(f"{path}.patch.value.name is missing")
    return message, complaints


def _patch(owner: EnvoyFilter, block: Block, value: Any) -> Patch:
    match = block.get("match") or {}
    listener = match.get("listener") or {}
    return Patch(
        owner=owner,
        context=str(match.get("context") or "ANY"),
        listener_name=str(listener.get("name") or ""),
        port_number=int(listener.get("portNumber") or 0),
        network_filter=str(dig(listener, "filterChain", "filter", "name", default="")),
        beside=_beside(match),
        operation=str(block["patch"]["operation"]),
        value=value,
    )


def for_proxy(filters: Iterable[EnvoyFilter], proxy: Proxy, root_namespace: str) -> list[EnvoyFilter]:
    """The EnvoyFilters that select a proxy: the root namespace's and its own namespace's, in order."""
    scope = (root_namespace, proxy.namespace)
    found = (each for each in filters if each.namespace in scope and selects(each.selector, proxy.labels))
    return sorted(found, key=lambda each: _order(each, root_namespace))


def _order(each: EnvoyFilter, root_namespace: str) -> tuple[int, bool, str, str]:
    source = each.source
    return (each.priority, each.namespace != root_namespace, each.created, f"{source.name}.{source.namespace}")
