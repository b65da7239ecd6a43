"""API objects decoded into the nouns of `inputs`, narrowly: only what routing depends on.

Pure. In: Kubernetes and Istio objects as the API gives them. Out: nouns, or None where an object plays no part.
Odd values are read as absent, never raised: what is wrong with an object is `findings`' to say. ServiceEntries and
WorkloadEntries are `entries`' to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from graylane.chain import hosts
from graylane.mesh.compile.delegates import PLACE
from graylane.mesh.inputs import (
    MESH,
    DestinationRule,
    Egress,
    Endpoint,
    Endpoints,
    EnvoyFilter,
    Gateway,
    Protocol,
    Proxy,
    ProxyKind,
    Resolution,
    Server,
    Service,
    ServicePort,
    Sidecar,
    Source,
    Subset,
    VirtualService,
)
from graylane.mesh.numbers import natural
from graylane.model.meta import (
    Key,
    Obj,
    annotations_of,
    dig,
    generation_of,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
)

MIRROR = "kubernetes.io/config.mirror"
SPOOF_GUARD = "graylane.dev/spoof-guard"
TRANSLATED = "graylane.dev/translated-from"
AGE = "graylane.dev/as-old-as"
"""Of what was made of other objects: their age, by which it comes before others or after them."""
SERVICE_NAME = "kubernetes.io/service-name"
EXPORT_TO = "networking.istio.io/exportTo"

PROTOCOLS = {
    "http": Protocol.HTTP,
    "http_proxy": Protocol.HTTP,
    "http2": Protocol.HTTP2,
    "grpc": Protocol.HTTP2,
    "grpc-web": Protocol.HTTP2,
    "kubernetes.io/h2c": Protocol.HTTP2,
    "kubernetes.io/ws": Protocol.HTTP,
    "https": Protocol.TLS,
    "tls": Protocol.TLS,
    "kubernetes.io/wss": Protocol.TLS,
    "tcp": Protocol.TCP,
    "mongo": Protocol.TCP,
    "redis": Protocol.TCP,
    "mysql": Protocol.TCP,
    "udp": Protocol.UDP,
}
_SERVER_SPEAKS_FIRST = (25, 53, 3306, 27017)


def protocol_of(port: Obj) -> Protocol:
    """Istio's protocol selection: transport, then `appProtocol`, then the port name up to its first dash."""
    if port.get("protocol", "TCP") == "UDP":
        return Protocol.UDP
    told = str(port.get("appProtocol") or port.get("name") or "").lower()
    name = "grpc-web" if told.startswith("grpc-web") else told.split("-", 1)[0]
    known = PROTOCOLS.get(told) or PROTOCOLS.get(name)
    if known is None:
        return Protocol.TCP if port.get("port") in _SERVER_SPEAKS_FIRST else Protocol.AUTO
    return known


def service(obj: Obj, domain: str) -> Service:
    spec = obj.get("spec") or {}
    ports = tuple(_service_port(port) for port in spec.get("ports") or [] if port.get("port"))
    found = Service(
        namespace=namespace_of(obj),
        name=name_of(obj),
        host=hosts.fqdn(name_of(obj), namespace_of(obj), domain),
        ports=ports,
        addresses=(),
        selector=dict(spec.get("selector") or {}),
        headless=False,
        export_to=tuple(scope.strip() for scope in annotations_of(obj).get(EXPORT_TO, "").split(",") if scope.strip()),
    )
    if spec.get("type") == "ExternalName":
        return _elsewhere(found, str(spec.get("externalName") or "").lower().rstrip("."))
    addresses = [address for address in spec.get("clusterIPs") or [spec.get("clusterIP")] if address]
    told = tuple(address for address in addresses if address != "None")
    return replace(found, addresses=told, headless="None" in addresses)


def _elsewhere(found: Service, name: str) -> Service:
    """An ExternalName Service: another name for a service that is known, else for a host to be looked up."""
    there = Endpoint(name, tuple(sorted((port.name, port.number) for port in found.ports)), (), "")
    return replace(found, selector={}, alias_of=name, resolution=Resolution.DNS, listed=Endpoints((there,)))


def _service_port(port: Obj) -> ServicePort:
    number = int(port["port"])
    return ServicePort(
        name=str(port.get("name") or ""),
        number=number,
        protocol=protocol_of(port),
        target=port.get("targetPort") or number,
        node_port=int(port.get("nodePort") or 0),
    )


def proxy(pod: Obj) -> Proxy | None:
    """None while a pod has no address or once it has ended; a terminating pod keeps its proxy until it is gone.

    A mirror of the mesh itself is no part of it.
    """
    address = dig(pod, "status", "podIP", default="")
    if (
        not address
        or annotations_of(pod).get(MIRROR) == "mesh"
        or dig(pod, "status", "phase") in ("Succeeded", "Failed")
    ):
        return None
    containers = dig(pod, "spec", "containers", default=[])
    return Proxy(
        namespace=namespace_of(pod),
        name=name_of(pod),
        kind=ProxyKind.ROUTER if MIRROR in annotations_of(pod) else ProxyKind.SIDECAR,
        ip=address,
        host_ip=dig(pod, "status", "hostIP", default=""),
        labels=labels_of(pod),
        ports={
            str(port["name"]): int(port["containerPort"])
            for container in containers
            for port in container.get("ports") or []
            if port.get("name")
        },
    )


def service_of(endpoint_slice: Obj) -> Key:
    return Key(namespace_of(endpoint_slice), labels_of(endpoint_slice).get(SERVICE_NAME, ""))


def endpoints(slices: Iterable[Obj], pod: Callable[[Key], Obj | None]) -> tuple[Endpoint, ...]:
    """The addresses of one Service that may be sent to, in a stable order.

    A pod that is being deleted leaves here at once, before its EndpointSlice says so; one that is not (yet, or any
    more) in the cache is left out too, because without its labels no subset can be told.
    """
    found: dict[tuple[str, tuple[tuple[str, int], ...]], Endpoint] = {}
    for each in slices:
        if each.get("addressType", "IPv4") != "IPv4":
            continue
        ports = tuple(
            sorted(
                (str(port.get("name") or ""), int(port["port"])) for port in each.get("ports") or [] if port.get("port")
            )
        )
        for entry in each.get("endpoints") or []:
            for endpoint in _endpoint(each, entry, ports, pod):
                found.setdefault((endpoint.address, endpoint.ports), endpoint)
    return tuple(found[key] for key in sorted(found))


def _endpoint(
    owner: Obj, entry: Obj, ports: tuple[tuple[str, int], ...], pod: Callable[[Key], Obj | None]
) -> Iterable[Endpoint]:
    conditions = entry.get("conditions") or {}
    if conditions.get("ready") is False or conditions.get("terminating"):
        return
    labels: dict[str, str] = {}
    target = entry.get("targetRef") or {}
    if target.get("kind") == "Pod":
        behind = pod(Key(target.get("namespace") or namespace_of(owner), str(target.get("name"))))
        if behind is None or is_deleting(behind):
            return
        labels = labels_of(behind)
    for address in entry.get("addresses") or []:
        yield Endpoint(str(address), ports, tuple(sorted(labels.items())), str(target.get("name") or ""))


def _source(obj: Obj, kind: str) -> Source:
    return Source(kind, namespace_of(obj), name_of(obj), generation_of(obj))


def config_of(obj: Obj, kind: str) -> dict[str, Any]:
    """What every `Config` has, by its fields' names."""
    spec = obj.get("spec") or {}
    return {
        "source": _source(obj, kind),
        "created": annotations_of(obj).get(AGE) or str(dig(obj, "metadata", "creationTimestamp", default="")),
        "export_to": tuple(map(str, spec.get("exportTo") or ())),
        "spec": spec,
    }


def virtual_service(obj: Obj, domain: str) -> VirtualService:
    config = config_of(obj, "VirtualService")
    spec, namespace = config["spec"], namespace_of(obj)
    rules = spec.get("http") or ()
    return VirtualService(
        **config,
        hosts=tuple(hosts.resolve(str(host), namespace, domain) for host in spec.get("hosts") or ()),
        gateways=tuple(hosts.gateway_name(str(name), namespace) for name in spec.get("gateways") or (MESH,)),
        http=tuple(_of_routes(rules) if TRANSLATED in labels_of(obj) else rules),
        tls=tuple(spec.get("tls") or ()),
        tcp=tuple(spec.get("tcp") or ()),
    )


def _of_routes(rules: Iterable[Any]) -> Iterable[Any]:
    """With the route that each rule came from, which its name tells: `namespace.name.rule`, of gRPC `….grpc`."""
    for index, rule in enumerate(rules):
        namespace, _, rest = str(rule.get("name") or "").partition(".")
        kind = "GRPCRoute" if rest.endswith(".grpc") else "HTTPRoute"
        name, _, number = rest.removesuffix(".grpc").rpartition(".")
        yield {**rule, PLACE: f"http[{index}], of {kind} {namespace}/{name} rules[{number}]"} if name else rule


def destination_rule(obj: Obj, domain: str) -> DestinationRule:
    config = config_of(obj, "DestinationRule")
    spec = config["spec"]
    return DestinationRule(
        **config,
        host=hosts.resolve(str(spec.get("host") or ""), namespace_of(obj), domain),
        subsets=tuple(
            Subset(str(entry.get("name")), dict(entry.get("labels") or {}), entry.get("trafficPolicy") or {})
            for entry in spec.get("subsets") or ()
        ),
        policy=spec.get("trafficPolicy"),
        selector=dig(spec, "workloadSelector", "matchLabels"),
    )


def gateway(obj: Obj) -> Gateway:
    config = config_of(obj, "Gateway")
    spec = config["spec"]
    return Gateway(
        **config,
        selector=spec.get("selector"),
        servers=tuple(_server(server, namespace_of(obj)) for server in spec.get("servers") or ()),
        guard=annotations_of(obj).get(SPOOF_GUARD, ""),
        translated=TRANSLATED in labels_of(obj),
    )


def _server(server: Obj, namespace: str) -> Server:
    port = server.get("port") or {}
    return Server(
        number=natural(port.get("number") or 0),
        protocol=str(port.get("protocol") or "").upper(),
        name=str(port.get("name") or ""),
        hosts=_server_hosts(list(map(str, server.get("hosts") or ())), namespace),
        https_redirect=bool(dig(server, "tls", "httpsRedirect", default=False)),
        tls=server.get("tls") or {},
        bind=str(server.get("bind") or ""),
        label=str(server.get("name") or ""),
    )


def _server_hosts(written: list[str], namespace: str) -> tuple[tuple[str, str], ...]:
    """Beside `*/*` Istio reads no other."""
    return (("*", "*"),) if "*/*" in written else tuple(_server_host(host, namespace) for host in written)


def _server_host(host: str, namespace: str) -> tuple[str, str]:
    space, slash, name = host.lower().rpartition("/")
    if not slash:
        return "*", name
    return (namespace if space == "." else space), name


def sidecar(obj: Obj) -> Sidecar:
    config = config_of(obj, "Sidecar")
    spec = config["spec"]
    policy = spec.get("outboundTrafficPolicy")
    return Sidecar(
        **config,
        selector=dig(spec, "workloadSelector", "labels"),
        egress=tuple(map(_egress, spec.get("egress") or ({"hosts": ["*/*"]},))),
        # A block without mode means its first value; only an absent one leaves the choice to the mesh.
        registry_only=None if policy is None else policy.get("mode") != "ALLOW_ANY",
        egress_proxy=(policy or {}).get("egressProxy"),
    )


def _egress(entry: Obj) -> Egress:
    named = (str(host).lower().partition("/") for host in entry.get("hosts") or ())
    number = int(dig(entry, "port", "number", default=0))
    return Egress(number, tuple((space, host) for space, _, host in named))


def envoy_filter(obj: Obj) -> EnvoyFilter:
    config = config_of(obj, "EnvoyFilter")
    spec = config["spec"]
    return EnvoyFilter(
        **config,
        priority=int(spec.get("priority") or 0),
        selector=dig(spec, "workloadSelector", "labels"),
        patches=tuple(spec.get("configPatches") or ()),
    )
