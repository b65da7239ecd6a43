"""Everything the mesh compiler may read, as one frozen value.

Pure. In: nouns that `read` decoded from API objects. Out: `Inputs`.

Nouns compare by identity, on purpose: the owner of an `Inputs` keeps a noun for as long as its object means the
same, so "is it the same noun" is a cheap and exact "has nothing changed", and what was compiled from it can be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from graylane.mesh.memo import Table
from graylane.model.meta import Key

Labels = Mapping[str, str]
Block = Mapping[str, Any]
MESH = "mesh"


class Source(NamedTuple):
    """One state of one configuration object: what a compiled resource says it was made from."""

    kind: str
    namespace: str
    name: str
    generation: int

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class Protocol(StrEnum):
    """What a port speaks. AUTO is a port whose name does not tell; a proxy-only data plane takes it for HTTP."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    AUTO = "AUTO"
    TLS = "TLS"
    TCP = "TCP"
    UDP = "UDP"

    @property
    def is_http(self) -> bool:
        return self in (Protocol.HTTP, Protocol.HTTP2, Protocol.AUTO)


@dataclass(frozen=True, slots=True, eq=False)
class ServicePort:
    name: str
    number: int
    protocol: Protocol
    target: int | str
    node_port: int

    def on(self, proxy: Proxy) -> int:
        """The number a pod listens on for this port, 0 if it has none of that name."""
        return self.target if isinstance(self.target, int) else proxy.ports.get(self.target, 0)


class Resolution(StrEnum):
    """How a service's endpoints are found: listed, looked up by name, or by the name each request asks for."""

    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    NONE = "NONE"

    @property
    def is_dns(self) -> bool:
        return self in (Resolution.DNS, Resolution.DNS_ROUND_ROBIN)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A ready pod behind a Service: one address, a number for each of the Service's port names, the pod's labels."""

    address: str
    ports: tuple[tuple[str, int], ...]
    labels: tuple[tuple[str, str], ...]
    pod: str
    weight: int = 1

    def number(self, port: str) -> int | None:
        return next((number for name, number in self.ports if name == port), None)


@dataclass(frozen=True, slots=True, eq=False)
class Endpoints:
    """All endpoints of one Service, in a stable order."""

    each: tuple[Endpoint, ...] = ()


NO_ENDPOINTS = Endpoints()


def sees(export_to: tuple[str, ...], owner: str, namespace: str) -> bool:
    """Whether what `owner` exports to these scopes (`*`, `.`, `~` or namespaces) is seen from `namespace`."""
    if not export_to:
        return True
    return any(scope in ("*", namespace) or (scope == "." and namespace == owner) for scope in export_to)


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """A Service, or a host of a ServiceEntry (then `entry` says of which, and `listed` are its endpoints, None where
    its `selector` chooses them among workloads).

    `host` is its full name; `alias_of` what an ExternalName Service stands for. `addresses` are those by which requests
    may call it, empty when headless. `subject_names` are those that a ServiceEntry's certificates are for. `parts` are
    the hosts of several ServiceEntries that are one service, this one's own among them.
    """

    namespace: str
    name: str
    host: str
    ports: tuple[ServicePort, ...]
    addresses: tuple[str, ...]
    selector: Labels
    headless: bool
    export_to: tuple[str, ...] = ()
    resolution: Resolution = Resolution.STATIC
    entry: Source | None = None
    listed: Endpoints | None = None
    alias_of: str = ""
    subject_names: tuple[str, ...] = ()
    parts: tuple[Service, ...] = ()

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)

    @property
    def endpoints_key(self) -> Key:
        """By what its endpoints are found that are not `listed`; no Service's name has a slash."""
        return self.key if self.entry is None else Key(self.namespace, f"{self.entry.name}/{self.host}")

    @property
    def sources(self) -> frozenset[Source]:
        return frozenset(each.entry for each in (self, *self.parts) if each.entry)

    def port(self, number: int) -> ServicePort | None:
        return next((port for port in self.ports if port.number == number), None)

    def visible_from(self, namespace: str) -> bool:
        return sees(self.export_to, self.namespace, namespace)


class ProxyKind(StrEnum):
    SIDECAR = "sidecar"
    ROUTER = "router"


@dataclass(frozen=True, slots=True, eq=False)
class Proxy:
    """A pod as the mesh sees it: who asks (a sidecar) or what a Gateway selects (a router)."""

    namespace: str
    name: str
    kind: ProxyKind
    ip: str
    host_ip: str
    labels: Labels
    ports: Mapping[str, int]

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.name)


@dataclass(frozen=True, slots=True, eq=False)
class Config:
    """What every Istio object has: its identity, its age and who may see it (`*`, `.`, `~` or namespaces)."""

    source: Source
    created: str
    export_to: tuple[str, ...]
    spec: Block

    @property
    def namespace(self) -> str:
        return self.source.namespace

    @property
    def age(self) -> tuple[str, str, str]:
        """Istio's order between objects of one kind: older first, then name, then namespace."""
        return (self.created, self.source.name, self.source.namespace)

    def visible_from(self, namespace: str) -> bool:
        return sees(self.export_to, self.namespace, namespace)


@dataclass(frozen=True, slots=True, eq=False)
class Credential:
    """A Secret with a certificate and its key, a CA's certificate, or both. `fault` says why it cannot be used."""

    key: Key
    certificate: bytes = b""
    private_key: bytes = b""
    authority: bytes = b""
    fault: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Server:
    """One port of a Gateway. Each host is `(namespace or "*", host)`, `tls` as written, `name` the port's; `label` is
    the server's own, by which its statistics are named.
    """

    number: int
    protocol: str
    name: str
    hosts: tuple[tuple[str, str], ...]
    https_redirect: bool
    tls: Block = field(default_factory=dict)
    bind: str = ""
    label: str = ""

    @property
    def mode(self) -> str:
        """How TLS is dealt with, "" where there is none."""
        if self.https_redirect or not self.tls:
            return ""
        return str(self.tls.get("mode") or "PASSTHROUGH")


@dataclass(frozen=True, slots=True, eq=False)
class Gateway(Config):
    """`selector` None selects every router; `guard` is the spoof guard as written, "" for off.

    `translated` ones were made of the Gateway API's objects: what they refer to was permitted there.
    """

    selector: Labels | None
    servers: tuple[Server, ...]
    guard: str = ""
    translated: bool = False

    @property
    def full_name(self) -> str:
        return f"{self.source.namespace}/{self.source.name}"


@dataclass(frozen=True, slots=True, eq=False)
class VirtualService(Config):
    """`hosts` and `gateways` are resolved to full names; `http`, `tls` and `tcp` are the rules as written."""

    hosts: tuple[str, ...]
    gateways: tuple[str, ...]
    http: tuple[Block, ...]
    tls: tuple[Block, ...] = ()
    tcp: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Subset:
    name: str
    labels: Labels
    policy: Block


@dataclass(frozen=True, slots=True, eq=False)
class DestinationRule(Config):
    """`selector` None applies to every client."""

    host: str
    subsets: tuple[Subset, ...]
    policy: Block | None
    selector: Labels | None


@dataclass(frozen=True, slots=True, eq=False)
class ServiceEntry(Config):
    """`services` are its hosts, each a service of its own."""

    services: tuple[Service, ...]


@dataclass(frozen=True, slots=True, eq=False)
class WorkloadEntry(Config):
    """A workload that is no pod: `ports` are numbers by the names that a ServiceEntry gives them."""

    address: str
    ports: Mapping[str, int]
    labels: Labels
    weight: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Egress:
    """What pods may call on one port (0: on any port no other entry has). A host is `(namespace, host)`, `*` any."""

    port: int
    hosts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sidecar(Config):
    """`egress` is never empty. `registry_only` None leaves unknown hosts to the mesh; `egress_proxy` is where else."""

    selector: Labels | None
    egress: tuple[Egress, ...]
    registry_only: bool | None
    egress_proxy: Block | None


@dataclass(frozen=True, slots=True, eq=False)
class EnvoyFilter(Config):
    priority: int
    selector: Labels | None
    patches: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """What holds mesh-wide. `access_log` is a path to write to, "" for none; so is `ledger`, where we are told.

    Of the headers that the ledger tells of, `named` cost next to nothing; they are in listeners and can never change.
    `registry_only` refuses unknown hosts. Where pods have network namespaces, the path of a pod's is `namespaces` and
    the pod's address. `system_roots` is the file with the certificates of the authorities that this machine trusts.
    The exports are those of what says nothing itself, () for to everybody; `retries` are those of rules that say
    nothing, None for Istio's own. Pods' tables of more than `whole_up_to` virtual hosts come in parts.
    """

    domain: str = "cluster.local"
    root_namespace: str = "istio-system"
    proxy_port: int = 15001
    access_log: str = "/dev/stdout"
    connect_timeout: float = 10.0
    ledger: str = ""
    named: tuple[str, ...] = ("my-request-id",)
    registry_only: bool = False
    namespaces: str = ""
    system_roots: str = ""
    export_virtual_services: tuple[str, ...] = ()
    export_destination_rules: tuple[str, ...] = ()
    export_services: tuple[str, ...] = ()
    retries: tuple[tuple[str, str], ...] | None = None
    whole_up_to: int = 100

    def namespace_of(self, proxy: Proxy) -> str:
        """The path of a pod's network namespace, "" for one on the node's own network."""
        return f"{self.namespaces}{proxy.ip}" if self.namespaces and proxy.ip != proxy.host_ip else ""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What `compile` reads, and all it reads. `lanes` are the headers that mark a lane, whether routed by or not."""

    mesh: MeshConfig = MeshConfig()
    services: tuple[Service, ...] = ()
    endpoints: Table[Key, Endpoints] = field(default_factory=Table)
    proxies: tuple[Proxy, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    virtual_services: tuple[VirtualService, ...] = ()
    destination_rules: tuple[DestinationRule, ...] = ()
    envoy_filters: tuple[EnvoyFilter, ...] = ()
    lanes: frozenset[str] = frozenset()
    service_entries: tuple[ServiceEntry, ...] = ()
    sidecars: tuple[Sidecar, ...] = ()
    workload_entries: tuple[WorkloadEntry, ...] = ()
    credentials: Table[Key, Credential] = field(default_factory=Table)

    @property
    def configs(self) -> tuple[Config, ...]:
        """All objects that users configure the mesh with."""
        return tuple(each for field in CONFIG_FIELDS for each in getattr(self, field))


CONFIG_FIELDS = (
    "gateways",
    "virtual_services",
    "destination_rules",
    "envoy_filters",
    "service_entries",
    "sidecars",
    "workload_entries",
)


def selects(selector: Labels | None, labels: Labels) -> bool:
    """Istio's workload selectors: every label equal; None and {} take all."""
    return not selector or all(labels.get(name) == value for name, value in selector.items())
