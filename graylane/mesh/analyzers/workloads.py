"""Services, Deployments and Sidecars: ports that do not say what they speak, workloads that two objects claim.

Pure. In: `Inputs` and the Deployments as written. Out: findings, each with the object it is about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from graylane.mesh.analyzers import messages
from graylane.mesh.findings import Finding, no_workloads
from graylane.mesh.inputs import Inputs, Protocol, ProxyKind, Service, ServicePort, Sidecar, Source, selects
from graylane.model.meta import Obj, dig, generation_of, key_of, namespace_of

Found = Iterator[tuple[Source, Finding]]
_SYSTEM = ("istio-system", "kube-system", "kube-public", "kube-node-lease")


def services(inputs: Inputs) -> Found:
    for service in inputs.services:
        if service.namespace in _SYSTEM or not service.selector:
            continue
        for port in service.ports:
            if port.protocol is Protocol.AUTO:
                source = Source("Service", service.namespace, service.name, 0)
                yield source, messages.port_name(port.name, port.number, port.target)


def deployments(inputs: Inputs, found: Iterable[Obj]) -> Found:
    for deployment in found:
        key = key_of(deployment)
        labels = dig(deployment, "spec", "template", "metadata", "labels", default={})
        mine = [
            each
            for each in inputs.services
            if each.namespace == namespace_of(deployment) and each.selector and selects(each.selector, labels)
        ]
        source = Source("Deployment", key.namespace, key.name, generation_of(deployment))
        for finding in _clashes(f"{key.name}.{key.namespace}", mine):
            yield source, finding


def _clashes(name: str, mine: list[Service]) -> Iterator[Finding]:
    by_number: dict[int, dict[bool, list[str]]] = defaultdict(dict)
    by_target: dict[str, list[tuple[Service, ServicePort]]] = defaultdict(list)
    for service in mine:
        for port in service.ports:
            by_number[port.number].setdefault(port.protocol is Protocol.UDP, []).append(str(service.key))
            by_target[str(port.target)].append((service, port))
    for number, users in by_number.items():
        if len(users) > 1:
            yield messages.several_protocols(name, number, [each for names in users.values() for each in names])
    for target, used in by_target.items():
        owners = dict.fromkeys(service.name for service, _ in used)
        numbers = {port.number for _, port in used}
        if len(owners) > 1 and len(numbers) > 1:
            yield messages.several_ports(name, owners, target, numbers)


def sidecars(inputs: Inputs) -> Found:
    by_namespace: dict[str, list[Sidecar]] = defaultdict(list)
    for each in inputs.sidecars:
        by_namespace[each.namespace].append(each)
    for namespace, found in by_namespace.items():
        of_all = [each for each in found if not each.selector]
        for each in of_all if len(of_all) > 1 else ():
            yield each.source, messages.sidecars_of_all((one.source.name for one in of_all), namespace)
        chosen = [each for each in found if each.selector]
        pods = [each for each in inputs.proxies if each.namespace == namespace and each.kind is ProxyKind.SIDECAR]
        for each in chosen:
            if not any(selects(each.selector, pod.labels) for pod in pods):
                yield each.source, no_workloads(each.selector or {})
        yield from _of_pods(inputs, namespace, chosen)


def _of_pods(inputs: Inputs, namespace: str, found: list[Sidecar]) -> Found:
    for proxy in inputs.proxies:
        if proxy.namespace != namespace or proxy.kind is not ProxyKind.SIDECAR:
            continue
        chosen = [each for each in found if selects(each.selector, proxy.labels)]
        for each in chosen if len(chosen) > 1 else ():
            yield each.source, messages.sidecars_of_pod((one.source.name for one in chosen), namespace, proxy.name)
