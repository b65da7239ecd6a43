"""A request's whole way: from the gateway or a pod through all services that are called for it.

Pure. In: `Inputs`, a `View` of the pods and Services, what the user asked. Out: `Explained`, a tree of hops.

Each service is taken to pass on the headers that it received; what it calls is read from the configuration of the very
pods that are reached, as `chain.topology` does.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from graylane.chain.hosts import service_key
from graylane.chain.likeness import meant
from graylane.chain.match import Request
from graylane.chain.problems import Confirmation, weakest
from graylane.chain.topology import Call, calls_of_pod
from graylane.errors import NotFound, UserError
from graylane.kit.cache import View
from graylane.mesh.compile.listeners import ListenerSpec, Role
from graylane.mesh.effective import effective
from graylane.mesh.explain import advice
from graylane.mesh.explain.hop import Destination, Headers, Hop, hop_at
from graylane.mesh.explain.scene import Scene, scene_of
from graylane.mesh.inputs import Inputs, Service
from graylane.mesh.simulate import NO_LISTENER, Refusal, choose_host, table_of
from graylane.model.kinds import DESTINATION_RULE, POD, SERVICE, VIRTUAL_SERVICE
from graylane.model.meta import Key, Obj, dig, key_of, name_of, namespace_of

_KINDS = {kind.kind: kind for kind in (VIRTUAL_SERVICE, DESTINATION_RULE)}


@dataclass(frozen=True, slots=True)
class Asked:
    """`caller` None asks at the gateway. `host` "" is what one would dial; `port` 0 is the only one, or 80."""

    host: str = ""
    path: str = "/"
    method: str = "GET"
    headers: Headers = ()
    caller: Key | None = None
    port: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """Where the request, or `percent` of such requests, gets an error."""

    hop: int
    authority: str
    refusal: Refusal
    percent: float


@dataclass(frozen=True, slots=True)
class Explained:
    hops: tuple[Hop, ...]
    routes: Confirmation

    def walk(self) -> Iterator[Hop]:
        for hop in self.hops:
            yield from _walk(hop)

    def refusals(self) -> Iterator[Refused]:
        """In the order of the hops, which count from 1."""
        for number, hop in enumerate(self.walk(), 1):
            if hop.refusal:
                yield Refused(number, hop.request.authority, hop.refusal, 100)
            for destination in hop.destinations:
                if destination.refusal:
                    yield Refused(number, hop.request.authority, destination.refusal, destination.percent)


def _walk(hop: Hop) -> Iterator[Hop]:
    yield hop
    for call in hop.calls:
        yield from _walk(call)


def explain(view: View, inputs: Inputs, asked: Asked) -> Explained:
    """Raises `NotFound` for a pod that does not exist, `UserError` when it is not clear what is asked."""
    walker = _Walker(view, scene_of(inputs))
    hops = walker.from_pod(asked, asked.caller) if asked.caller else (walker.at_gateway(asked),)
    found = Explained(hops, Confirmation.CONFIRMED)
    sources = {source for hop in found.walk() for source in hop.sources if source.kind in _KINDS}
    objects = [view.get(_KINDS[source.kind], source.namespace, source.name) for source in sources]
    return replace(found, routes=weakest(item for item in objects if item is not None))


def entrance(scene: Scene, asked: Asked) -> ListenerSpec | None:
    """The gateway listener that is meant: one that knows the host, then Istio's port 80, then the node's."""
    found = [spec for spec in scene.plan.listeners.values() if spec.role is Role.GATEWAY and spec.table]
    fitting = [spec for spec in found if asked.port in (0, spec.port, spec.port_number)]
    return min(fitting, key=lambda spec: _rank(scene, spec, asked.host), default=None)


def _rank(scene: Scene, spec: ListenerSpec, host: str) -> tuple[bool, bool, bool, str]:
    table = table_of(spec, host or spec.address)
    known = choose_host(effective(scene.plan, table).table, host or spec.address) if table else None
    on_pod = spec.owner is not None and spec.address == spec.owner.ip
    return (known is None, spec.port_number != 80, on_pod, spec.name)


@dataclass(frozen=True, slots=True)
class _Caller:
    """Pods that call the same with the same headers through the same routes."""

    spec: ListenerSpec
    calls: tuple[Call, ...]
    headers: Headers
    names: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Walker:
    view: View
    scene: Scene

    def at_gateway(self, asked: Asked) -> Hop:
        spec = entrance(self.scene, asked)
        if spec is None or spec.owner is None:
            self._require_requests(asked.port)
            where = f"port {asked.port} of the gateway" if asked.port else "the gateway"
            request = Request(asked.host, asked.path, asked.method, headers=asked.headers)
            return Hop((where,), request, "", refusal=NO_LISTENER, advice=advice.NO_GATEWAY)
        authority = asked.host or (spec.address if spec.port == 80 else f"{spec.address}:{spec.port}")
        request = Request(authority, asked.path, asked.method, spec.scheme(authority), asked.headers)
        return self._hop(spec, request, (f"gateway {spec.owner.key}",), frozenset())

    def _require_requests(self, port: int) -> None:
        """Raises `UserError` where a gateway's port is open, and nobody looks for requests in what comes by it."""
        for spec in self.scene.plan.listeners.values():
            if port and spec.role is Role.GATEWAY and port in (spec.port, spec.port_number):
                raise UserError(f"port {port} of the gateway passes connections on as they are: no request to explain")

    def from_pod(self, asked: Asked, key: Key) -> tuple[Hop, ...]:
        pod = self.view.get(POD, *key)
        if pod is None:
            raise NotFound(f'pods "{key.name}" not found in namespace {key.namespace}{self._other_pods(key)}')
        spec = self._outbound(str(dig(pod, "status", "podIP", default="")))
        if spec is None:
            raise UserError(f"pod {key} calls nothing: it has no address yet, has ended, or is a gateway's")
        calls = tuple(calls_of_pod(self.view, pod))
        if asked.host:
            request = Request(self._authority(asked, key.namespace), asked.path, asked.method, headers=asked.headers)
            return (self._hop(spec, request, (f"pod {key}",), frozenset()),)
        if not calls:
            raise UserError(f"nothing in pod {key}'s configuration names a Service; say with --host what it calls")
        return tuple(self._called(_Caller(spec, calls, asked.headers, [f"pod {key}"]), frozenset()))

    def _other_pods(self, key: Key) -> str:
        """Those called like it, or the namespaces that have pods at all."""
        names = [name_of(pod) for pod in self.view.list(POD, key.namespace)]
        spaces = {namespace_of(pod) for pod in self.view.list(POD)}
        return meant(key.name, names) if names else f", which has no pod{meant(key.namespace, spaces)}"

    def _authority(self, asked: Asked, namespace: str) -> str:
        """A Service's only port needs not be typed."""
        name, _, port = asked.host.partition(":")
        if port:
            return asked.host
        service = self._service(name, namespace)
        ports = service.ports if service else ()
        number = asked.port or (ports[0].number if len(ports) == 1 else 80)
        return name if number == 80 else f"{name}:{number}"

    def _service(self, name: str, namespace: str) -> Service | None:
        key = service_key(name, namespace)
        return next((each for each in self.scene.plan.inputs.services if each.key == key), None)

    def _outbound(self, address: str) -> ListenerSpec | None:
        return self.scene.plan.listeners.get(f"{address}_{self.scene.plan.inputs.mesh.proxy_port}")

    def _hop(self, spec: ListenerSpec, request: Request, callers: tuple[str, ...], above: frozenset[str]) -> Hop:
        hop = hop_at(self.scene, self.view, spec, request, callers)
        inside = above | {destination.service for destination in hop.destinations}
        calls = [call for caller in self._callers(hop) for call in self._called(caller, inside)]
        return replace(hop, calls=tuple(calls))

    def _callers(self, hop: Hop) -> Iterable[_Caller]:
        """The pods that were reached, together where they fare the same."""
        found: dict[Hashable, _Caller] = {}
        for destination, pod in _reached(self.view, hop):
            spec = self._outbound(str(dig(pod, "status", "podIP", default="")))
            calls = tuple(calls_of_pod(self.view, pod))
            if spec is not None and calls:
                key = (spec.table, tuple(map(_spelled, calls)), destination.headers)
                caller = found.setdefault(key, _Caller(spec, calls, destination.headers))
                caller.names.append(f"pod {key_of(pod)}")
        return found.values()

    def _called(self, caller: _Caller, above: frozenset[str]) -> Iterable[Hop]:
        """A Service that is already above is not entered again."""
        for call in caller.calls:
            if str(call.service) not in above and self.view.get(SERVICE, *call.service):
                request = Request(call.authority, call.request.path, headers=caller.headers)
                yield self._hop(caller.spec, request, tuple(caller.names), above | {str(call.service)})


def _spelled(call: Call) -> tuple[str, str]:
    return call.authority, call.request.path


def _reached(view: View, hop: Hop) -> Iterator[tuple[Destination, Obj]]:
    for destination in hop.destinations:
        for each in destination.pods:
            pod = view.get(POD, each.namespace, each.name)
            if pod is not None:
                yield destination, pod
