"""What to do about a request that is refused: which object lacks what.

Pure. In: a `Scene`, the pods, and what was refused. Out: one sentence, "" where nothing is refused. It names what is
there, because what is missing is most often a slip in one of the two.
"""

from __future__ import annotations

from collections.abc import Iterable

from graylane.chain.hosts import service_key
from graylane.chain.likeness import like, meant, nearest_first
from graylane.kit.cache import View
from graylane.mesh.compile.clusters import ClusterSpec
from graylane.mesh.compile.directory import Client, parsed_cluster
from graylane.mesh.compile.gateways import GatewayPort
from graylane.mesh.compile.listeners import ListenerSpec
from graylane.mesh.effective import effective
from graylane.mesh.explain.scene import Scene
from graylane.mesh.findings import Finding
from graylane.mesh.inputs import Service, selects
from graylane.mesh.simulate import NO_CLUSTER, Lost
from graylane.mesh.table import VirtualHost
from graylane.model.kinds import POD
from graylane.model.meta import Key, Obj, is_deleting, is_true, labels_of, name_of

_MANY = 3
NO_GATEWAY = "No Gateway opens this port on a gateway's pod: create a Gateway, or correct its selector or port."

ABORTED = "The rule's own spec.http[].fault.abort ends every such request: take it out, or lower its percentage."


def no_route(scene: Scene, spec: ListenerSpec, host: VirtualHost | None, authority: str) -> str:
    """404 NR: nobody speaks for the host, or nobody who does takes the request."""
    if host is not None:
        names = _some(str(speaker.service.source) for speaker in scene.speakers(spec, host))
        return f"No rule takes it: correct a match, or end {names} with a rule without match."
    domains = (name for each in effective(scene.plan, spec.table).table.hosts for name in each.domains)
    known = _some(nearest_first(authority, domains))
    if not known:
        return f"No VirtualService is bound to {_gateways(scene.opened(spec))}: list it in one's spec.gateways."
    return f"No VirtualService speaks for host {authority}; there are rules for {known}: send one of these with --host."


def _gateways(port: GatewayPort | None) -> str:
    openings = port.openings if port else ()
    return _some(str(source) for source in dict.fromkeys(opening.gateway.source for opening in openings))


def no_server(spec: ListenerSpec) -> str:
    """A TLS connection for a name that no certificate of this port is for."""
    names = _some(name for chain in spec.chains for name in chain.names)
    return f"TLS ends here for {names}: ask for one of them with --host, or open a server for this one."


def unknown_host(services: Iterable[Service], authority: str, namespace: str) -> str:
    """What leaves the mesh as it is, though most likely a Service was meant."""
    name, _, port = authority.partition(":")
    by_key = {each.key: each for each in services}
    found = by_key.get(service_key(name, namespace) or Key("", ""))
    if found is not None:
        numbers = _some(str(each.number) for each in found.ports)
        return f"Service {found.key} has no port {port or 80}, but {numbers}: ask for one of them."
    near = [key.name for key in by_key if key.namespace == namespace]
    names = [*near, *(f"{key.name}.{key.namespace}" for key in by_key)]
    if "." not in name:
        return f"No Service in namespace {namespace} is called {name}{meant(name, near)}"
    return f"No Service is called {name}{meant(name, names)}" if like(name, names) else ""


def lost(scene: Scene, view: View, client: Client, part: Lost) -> str:
    """503 NC and 503 UH: what the destination means that is not there."""
    host, port, subset = parsed_cluster(part.cluster)
    service = client.service(host)
    if service is None:
        return f"There is no Service {host}: create it, or correct the destination's host."
    if part.refusal == NO_CLUSTER:
        return _no_cluster(client, service, port, subset)
    found = scene.plan.clusters.get(part.cluster)
    if found is not None and found.closed:
        return _closed(found)
    return _no_pod(view, service, dict(found.labels) if found else {})


def _no_cluster(client: Client, service: Service, port: int, subset: str) -> str:
    if service.port(port) is None:
        numbers = _some(str(each.number) for each in service.ports)
        return f"Service {service.key} has no port {port}, but {numbers}: correct the destination's port."
    rule = client.rule(service)
    if rule is None:
        return f"No DestinationRule for {service.host} is followed here: create one with subset {subset}."
    names = _some(str(source) for source in rule.sources)
    known = _some(each.name for each in rule.subsets)
    return f"{names} has no subset {subset}, but {known or 'none at all'}: add it, or correct the destination's subset."


def _closed(found: ClusterSpec) -> str:
    if isinstance(found.tls, Finding):
        return f"It would be encrypted, and cannot be: {found.tls.message}"
    where = f"{found.service.entry} has resolution NONE"
    return (
        f"A gateway knows no address of {found.service.host}, because {where}: give it DNS, or STATIC with endpoints."
    )


def _no_pod(view: View, service: Service, labels: dict[str, str]) -> str:
    wanted = {**service.selector, **labels}
    text = ",".join(f"{name}={value}" for name, value in wanted.items())
    pods = [pod for pod in view.list(POD, service.namespace) if wanted and selects(wanted, labels_of(pod))]
    if not pods:
        return f"No pod in namespace {service.namespace} has the labels {text}: start one, or correct the labels."
    told = _some(f"{name_of(pod)} ({_state(pod)})" for pod in pods)
    return f"No pod with the labels {text} is ready to serve: see {told}."


def _state(pod: Obj) -> str:
    if is_deleting(pod):
        return "terminating"
    return "ready, but not among the endpoints of the port" if is_true(pod, "Ready") else "not ready"


def _some(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - _MANY} more" if len(found) > _MANY else ""
    return ", ".join(found[:_MANY]) + more
