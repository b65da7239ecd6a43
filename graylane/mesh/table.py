"""Route tables: which hosts a proxy knows, and what becomes of a request for each.

Pure. In: what `compile` decided. Out: frozen tables, independent of Envoy's spelling; `encode` writes them as protobuf,
`simulate` walks them.
"""

from __future__ import annotations

from dataclasses import dataclass

from graylane.chain.match import RouteMatch, Text
from graylane.mesh.inputs import Source

PASSTHROUGH = "PassthroughCluster"
SELF = "self"
FOREVER = 0.0


@dataclass(frozen=True, slots=True)
class HeaderEdits:
    """Removals happen first, then each `set` replaces, then each `add` appends."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


NO_EDITS = HeaderEdits()


@dataclass(frozen=True, slots=True)
class HashKey:
    """What consistent hashing looks at: a header, cookie, source or query. `ttl` None makes up no cookie."""

    kind: str
    name: str = ""
    path: str = ""
    ttl: float | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One destination. `weight` counts among the targets of one route."""

    cluster: str
    weight: int = 1
    request: HeaderEdits = NO_EDITS
    response: HeaderEdits = NO_EDITS
    host_rewrite: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` after the first. `avoid` takes another host for each."""

    attempts: int
    on: str
    statuses: tuple[int, ...]
    per_try: float | None = None
    avoid: bool = True
    other_localities: bool = False


ISTIO_RETRY = Retry(2, "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes", (503,))


@dataclass(frozen=True, slots=True)
class Rewrite:
    """`prefix` replaces what the path match matched; else `regex` is substituted; `host` becomes the authority."""

    prefix: str = ""
    regex: str = ""
    substitution: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Mirror:
    cluster: str
    percent: float


@dataclass(frozen=True, slots=True)
class Forward:
    """`split` where a rule lists several destinations, even if only one of them has weight: its edits stay its own."""

    targets: tuple[Target, ...]
    timeout: float = FOREVER
    retry: Retry | None = ISTIO_RETRY
    rewrite: Rewrite = Rewrite()
    mirrors: tuple[Mirror, ...] = ()
    hash_keys: tuple[HashKey, ...] = ()
    split: bool = False


REDIRECT_PREFIX = "%PREFIX()%"  # begins a redirect's uri that replaces only what the match took, as in Istio


@dataclass(frozen=True, slots=True)
class Redirect:
    """`path` replaces all of it, `prefix` what the match took."""

    path: str = ""
    prefix: str = ""
    host: str = ""
    scheme: str = ""
    port: int = 0
    code: int = 301


@dataclass(frozen=True, slots=True)
class DirectResponse:
    status: int
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Fault:
    """Percentages are 0–100; absent parts are None."""

    delay: tuple[float, float] | None = None
    abort_status: tuple[int, float] | None = None
    abort_grpc: tuple[int, float] | None = None


@dataclass(frozen=True, slots=True)
class Cors:
    origins: tuple[Text, ...]
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    max_age: str = ""
    credentials: bool | None = None
    forward_unmatched: bool = True


@dataclass(frozen=True, slots=True)
class Route:
    """First match wins. `source` is the object that asked for it, at `place`; None for a Service's default."""

    name: str
    match: RouteMatch
    action: Forward | Redirect | DirectResponse
    request: HeaderEdits = NO_EDITS
    response: HeaderEdits = NO_EDITS
    fault: Fault | None = None
    cors: Cors | None = None
    stat_prefix: str = ""
    source: Source | None = None
    place: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class VirtualHost:
    """`domains` as a request may spell them, ports included where the table keeps ports."""

    name: str
    domains: tuple[str, ...]
    routes: tuple[Route, ...]
    sources: frozenset[Source] = frozenset()
    https_only: bool = False


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class RouteTable:
    """`name` is what Envoy asks for. `names` are by what EnvoyFilters match it: what Istio would call it, and at a
    gateway's TLS port the Gateway and the port's name. `port` 0 has hosts of all ports.
    """

    name: str
    names: tuple[str, ...]
    hosts: tuple[VirtualHost, ...]
    sources: frozenset[Source]
    ignore_port: bool = False
    port: int = 0
