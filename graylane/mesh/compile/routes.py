"""A VirtualService's HTTP rules as routes for one kind of client.

Pure. In: rules as written, and the `Client` who asks. Out: `Route`s in the order they are tried.
Who asks is decided here (port, gateway, source labels); what is asked is left to `match`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, replace

from graylane.chain import hosts
from graylane.chain.match import RouteMatch, route_match
from graylane.mesh.compile import actions
from graylane.mesh.compile.delegates import HOME, place_of
from graylane.mesh.compile.directory import Client
from graylane.mesh.compile.policy import hash_keys
from graylane.mesh.inputs import MESH, Block, VirtualService, selects
from graylane.mesh.numbers import natural
from graylane.mesh.table import (
    REDIRECT_PREFIX,
    DirectResponse,
    Forward,
    HashKey,
    Mirror,
    Redirect,
    Route,
    Target,
)

_DEFAULT_PORTS = {"http": 80, "https": 443}
"""Those that a redirect does not write, as in Istio."""


def routes_of(
    service: VirtualService, client: Client, port: int, domain: str, *, secure: bool = False
) -> tuple[Route, ...]:
    """All routes up to and including the first that takes everything; () when none is meant for this client.

    `secure` says that requests come with TLS.
    """
    found: list[Route] = []
    for index, rule in enumerate(service.http):
        for route in _rule(service, rule, _Place(client, port, domain, secure)):
            found.append(replace(route, place=place_of(rule, index)))
            if route.match.takes_all:
                return tuple(found)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where requests are routed: by whom, on which port, and whether they came with TLS."""

    client: Client
    port: int
    domain: str
    secure: bool


def _rule(owner: VirtualService, rule: Block, at: _Place) -> Iterable[Route]:
    matches = [block for block in rule.get("match") or [{}] if not unmet_by_caller(block, owner, at.client, at.port)]
    if not matches:
        return
    base = _Rule(owner, rule, at).route()
    if base is None:
        return
    for block in matches:
        names = [str(name) for name in (rule.get("name"), block.get("name")) if name]
        yield replace(
            base, name=".".join(names), match=route_match(block), stat_prefix=str(block.get("statPrefix") or "")
        )


def unmet_by_caller(match: Block, owner: VirtualService, client: Client, port: int) -> str:
    """The first field of a match that asks for another caller or port than these; "" when it is meant for them."""
    if match.get("port") not in (None, 0, port):
        return "port"
    if match.get("gateways"):
        return "" if names_gateway(match, owner, client) else "gateways"
    if not selects(match.get("sourceLabels"), client.labels):
        return "sourceLabels"
    return "" if match.get("sourceNamespace") in (None, "", client.namespace) else "sourceNamespace"


def names_gateway(match: Block, owner: VirtualService, client: Client) -> bool:
    """Whether a match is for a client by what it says of `gateways`; one that says nothing is for all."""
    written = match.get("gateways") or ()
    return not written or any(hosts.gateway_name(str(name), owner.namespace) in client.gateways for name in written)


def asks_for_labels(service: VirtualService) -> Iterable[Block]:
    """The `sourceLabels` by which this object tells clients apart."""
    of_requests = [match for rule in service.http for match in rule.get("match") or () if not match.get("gateways")]
    of_connections = (match for rule in (*service.tcp, *service.tls) for match in rule.get("match") or ())
    for match in (*of_requests, *of_connections):
        if match.get("sourceLabels"):
            yield match["sourceLabels"]


class _Rule:
    """One rule's action and decorations; its matches are put on afterwards."""

    def __init__(self, owner: VirtualService, rule: Block, at: _Place) -> None:
        self.owner, self.rule, self.client, self.port, self.domain = owner, rule, at.client, at.port, at.domain
        self.secure = at.secure

    def route(self) -> Route | None:
        action = self._action()
        if action is None:
            return None
        request, response = actions.header_edits(self.rule.get("headers"))
        if isinstance(action, Forward) and not action.split:
            # With one destination there is no weighted cluster to carry its header edits: they follow the route's.
            target = action.targets[0]
            request, response = actions.then(request, target.request), actions.then(response, target.response)
        return Route(
            name="",
            match=RouteMatch(),
            action=action,
            request=request,
            response=response,
            fault=actions.fault(self.rule.get("fault")),
            cors=actions.cors(self.rule.get("corsPolicy")),
            source=self.owner.source,
        )

    def _action(self) -> Forward | Redirect | DirectResponse | None:
        if self.rule.get("redirect"):
            return self._redirect(self.rule["redirect"])
        if self.rule.get("directResponse"):
            return _direct(self.rule["directResponse"])
        return self._forward() if self.rule.get("route") else None

    def _redirect(self, block: Block) -> Redirect:
        asked = self.port if block.get("derivePort") == "FROM_REQUEST_PORT" else natural(block.get("port") or 0)
        scheme = str(block.get("scheme") or "")
        port = 0 if asked == _DEFAULT_PORTS.get(scheme or ("https" if self.secure else "http")) else asked
        path = str(block.get("uri") or "")
        by_prefix = path.startswith(REDIRECT_PREFIX)
        return Redirect(
            path="" if by_prefix else path,
            prefix=path.removeprefix(REDIRECT_PREFIX) if by_prefix else "",
            host=str(block.get("authority") or ""),
            scheme=scheme,
            port=port,
            code=natural(block.get("redirectCode") or 301),
        )

    def _forward(self) -> Forward | None:
        written = [entry for entry in self.rule["route"] if entry.get("destination")]
        split = len(written) > 1
        if split:
            written = [entry for entry in written if entry.get("weight")]
        if not written:
            return None
        reached = [self._reach(entry["destination"]) for entry in written]
        keys = tuple(key for _, each in reached for key in each)
        targets = tuple(self._target(entry, name) for entry, (name, _) in zip(written, reached, strict=True))
        rewrite = actions.rewrite(self.rule.get("rewrite"))
        host = rewrite.host or actions.authority(self.rule.get("headers"))
        if not host and not split:
            host = targets[0].host_rewrite
        return Forward(
            targets=targets,
            timeout=actions.timeout(self.rule),
            retry=actions.retry(self.rule.get("retries", self.client.services.retries), spread=split or not keys),
            rewrite=replace(rewrite, host=host),
            mirrors=self._mirrors(),
            hash_keys=keys,
            split=split,
        )

    def _target(self, entry: Block, cluster: str) -> Target:
        request, response = actions.header_edits(entry.get("headers"))
        return Target(
            cluster,
            max(natural(entry.get("weight") or 1), 1),
            request,
            response,
            actions.authority(entry.get("headers")),
        )

    def _reach(self, destination: Block) -> tuple[str, tuple[HashKey, ...]]:
        home = str(self.rule.get(HOME) or self.owner.namespace)
        host = hosts.resolve(str(destination.get("host") or ""), home, self.domain)
        subset, named = str(destination.get("subset") or ""), (destination.get("port") or {}).get("number")
        # A sidecar's routes know of a service only the port that was called.
        port = self.port if named is None and MESH in self.client.gateways else named
        service = self.client.service(host)
        keys = hash_keys(self.client.rule(service) if service else None, named, subset)
        return self.client.cluster(host, subset, port, self.port)[0], keys

    def _mirrors(self) -> tuple[Mirror, ...]:
        rule = self.rule
        written = [(entry["destination"], entry.get("percentage")) for entry in rule.get("mirrors") or ()]
        if rule.get("mirror"):
            share = rule.get("mirrorPercentage")
            old = rule.get("mirrorPercent", rule.get("mirror_percent"))
            if share is None and old is not None:
                share = {"value": old}
            written.append((rule["mirror"], share))
        mirrors = (Mirror(self._reach(where)[0], actions.percent(share, absent=100.0)) for where, share in written)
        return tuple(mirror for mirror in mirrors if mirror.percent > 0)


def _direct(block: Block) -> DirectResponse:
    body = block.get("body") or {}
    content = _bytes(str(body["bytes"])) if body.get("bytes") else str(body.get("string") or "").encode()
    return DirectResponse(natural(block.get("status") or 200), content)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error:
        return b""


def default_route(client: Client, host: str, port: int) -> Route:
    """What a Service without a VirtualService gets: everything to its own cluster, with Istio's retries."""
    target = Target(client.cluster(host, "", port, port)[0])
    service = client.service(host)
    keys = hash_keys(client.rule(service) if service else None, port, "")
    forward = Forward((target,), retry=actions.retry(client.services.retries, spread=True), hash_keys=keys)
    return Route("default", RouteMatch(), forward)


def destinations_of(service: VirtualService, domain: str) -> tuple[str, ...]:
    """The full names of all hosts this object may send to."""
    found: dict[str, None] = {}
    for rule in service.http:
        home = str(rule.get(HOME) or service.namespace)
        written = [*(rule.get("route") or ()), *(rule.get("mirrors") or ())]
        blocks = [entry.get("destination") or {} for entry in written] + [rule.get("mirror") or {}]
        for block in blocks:
            if block.get("host"):
                found[hosts.resolve(str(block["host"]), home, domain)] = None
    for rule in (*service.tcp, *service.tls):
        for entry in rule.get("route") or ():
            host = str((entry.get("destination") or {}).get("host") or "")
            if host:
                found[hosts.resolve(host, service.namespace, domain)] = None
    return tuple(found)
