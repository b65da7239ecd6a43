"""One line of what Envoy tells, read.

Pure. In: lines as `encode.observe` has Envoy write them, a `Directory`. Out: `Note`s. Lines come by thousands a second
and few are ever looked at, so what many requests have in common is read once, and what is a request's own when somebody
asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from graylane.chain.seen import Count, Headers, SeenHop
from graylane.mesh.compile.directory import parsed_cluster
from graylane.mesh.encode.observe import FIELD, KIND, KIND_FIELDS, OWN_FIELDS, PAIR, VALUE
from graylane.mesh.explain.hop import edited
from graylane.mesh.ledger.carried import host_of
from graylane.mesh.ledger.directory import Directory
from graylane.mesh.table import HeaderEdits

_LONGEST, _LONGEST_COUNTED = 256, 64
_MOST_KINDS = 4096
_TIME = len("1764201234.123456")
_CLIENT = 2 * (_TIME + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What many requests have in common: `hop` is one without what is its own, `count` what they are counted as."""

    hop: SeenHop
    count: Count


@dataclass(slots=True, eq=False)
class Note:
    """One request, noted. The ledger gives it its number."""

    at: float
    ended: float
    kind: Kind
    own: str
    number: int = 0
    _hop: SeenHop | None = None

    @property
    def client(self) -> str:
        return self._own(2)

    @property
    def id(self) -> str:
        return self._own(3)[:_LONGEST]

    @property
    def path(self) -> str:
        return self._own(4)

    @property
    def gateway(self) -> bool:
        return self.kind.hop.gateway

    @property
    def hop(self) -> SeenHop:
        """All of it, once somebody looks; many are asked for and few are new."""
        if self._hop is None:
            mine = replace(self.kind.hop, id=self.id, client=self.client, path=self.path)
            self._hop = replace(mine, number=self.number, at=self.at, seconds=self.ended - self.at)
        return self._hop

    def _own(self, index: int) -> str:
        return self.own.split(FIELD, len(OWN_FIELDS) - 1)[index]


class Reader:
    """`named` are the headers that end each line."""

    def __init__(self, directory: Directory, named: Sequence[str]) -> None:
        self._directory = directory
        self._named = named
        self._kinds: dict[tuple[str, str], Kind | None] = {}

    def forget(self) -> None:
        """The directory has changed."""
        self._kinds.clear()

    def read(self, lines: Iterable[str]) -> Iterator[Note]:
        """What is none of ours, or half a line since Envoy was killed while it wrote, is passed over."""
        for line in lines:
            own, _, common = line.partition(KIND)
            try:
                at, ended = float(own[:_TIME]), float(own[_TIME + 1 : _CLIENT - 1])
                address = own[_CLIENT : own.index(":", _CLIENT)]
                kind = self._kinds[common, address] if (common, address) in self._kinds else self._kind(common, address)
            except ValueError:
                continue
            if kind is not None:
                yield Note(at, max(at, ended), kind, own)

    def _kind(self, common: str, address: str) -> Kind | None:
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        found = self._kinds[common, address] = self._read_kind(common, address)
        return found

    def _read_kind(self, common: str, address: str) -> Kind | None:
        """None for a CONNECT: what is inside the tunnel comes to the same listener, and is told of by itself."""
        known = self._directory
        fields = common.split(FIELD)
        code, flags, details, local, upstream, cluster, method, authority, route, read = fields[: len(KIND_FIELDS)]
        if method == "CONNECT":
            return None
        listener = known.listener(local.replace(":", "_"), address)
        caller, routed = known.caller(listener), known.routed(listener, authority[:_LONGEST], route, cluster)
        headers = _headers(zip(self._named, fields[len(KIND_FIELDS) :], strict=True), read)
        upstream = _pod_of(upstream)
        hop = SeenHop(
            number=0,
            at=0.0,
            seconds=0.0,
            id="",
            client="",
            listener=listener,
            caller=caller.name,
            gateway=caller.gateway,
            method=method,
            authority=authority[:_LONGEST],
            path="",
            virtual_host=routed.virtual_host,
            rule=routed.rule,
            route=route,
            cluster=cluster,
            upstream=upstream,
            pod=known.pod(upstream.rpartition(":")[0]) if upstream else "",
            code=int(code),
            flags=",".join(sorted(flags.split(","))) if flags != "-" else "",
            details=details[:_LONGEST],
            headers=headers,
            passed=_passed(headers, routed.edits, inside=known.changed_inside(upstream)),
        )
        return Kind(hop, count_of(hop, known.lanes))


def count_of(hop: SeenHop, lanes: frozenset[str]) -> Count:
    headers = tuple((name, value[:_LONGEST_COUNTED]) for name, value in hop.headers if name in lanes)
    host = host_of(hop)
    port = parsed_cluster(hop.cluster)[1] if host else 0
    return Count(
        hop.caller, hop.gateway, host or hop.authority, port, headers, hop.rule, hop.pod, hop.code, hop.flags, 0
    )


def _passed(headers: Headers, edits: tuple[HeaderEdits, ...], *, inside: bool) -> Headers:
    """What the pod received of it, as far as that is known: what is changed on its way in is not."""
    if inside:
        return ()
    return edited(headers, edits) if edits else headers


def _pod_of(upstream: str) -> str:
    """Where a listener of Envoy's own stands before a pod, the endpoint says which pod that is."""
    return upstream.rpartition("/")[2].partition("#")[0] if upstream.startswith("envoy://") else upstream


def _headers(named: Iterable[tuple[str, str]], read: str) -> Headers:
    """What was read before this hop's edits, absence included, is truer than what a line names by itself."""
    found = dict(named)
    if read:
        found.update((name, value) for name, _, value in (each.partition(VALUE) for each in read.split(PAIR)))
    return tuple(sorted((name, value) for name, value in found.items() if value))
