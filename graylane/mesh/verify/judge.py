"""One request that was sent, compared hop by hop with what the rules say.

Pure. In: a `Scene`, the pods, what was sent, what the proxies saw of it. Out: a `Judged` for each hop.

At the gateway the request is judged as its proxy saw it, because an EnvoyFilter's own code may have changed it. Behind
it each hop is judged by the headers that its caller had received: a service that does not pass one on is told from a
rule that is not followed by judging the call once more with the headers that it really had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from graylane.chain.hosts import DOMAIN, full_name
from graylane.chain.match import Request
from graylane.chain.seen import Headers, Linked, SeenHop, short
from graylane.chain.topology import Call, calls_of_pod
from graylane.kit.cache import View
from graylane.mesh.encode.observe import observed_headers
from graylane.mesh.explain.scene import Scene
from graylane.mesh.ledger.carried import host_of
from graylane.mesh.memo import Memo
from graylane.mesh.simulate import Decision, Lost, PassedThrough, Reached, Refusal, simulate, table_of
from graylane.mesh.table import DirectResponse, Redirect
from graylane.mesh.verify import words
from graylane.model.kinds import POD

_DOMAIN = f".svc.{DOMAIN}"


class Fits(StrEnum):
    """What comparing a hop came to."""

    AGREES = "agrees"
    HEADER_LOST = "header lost"
    DIFFERS = "differs"
    NOT_SEEN = "not seen"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Sent:
    """`dyed` says which of the two kinds of request it was, `client` from which address it came."""

    dyed: bool
    request: Request
    client: str


def unobserved(scene: Scene, listener: str, headers: Headers) -> tuple[str, ...]:
    """Headers that nothing looks at: no rule of any proxy, no lane, and no filter of this gateway that we know of."""
    if scene.plan.edits.listeners.get(listener):
        return ()
    memo, lanes = Memo(), scene.plan.inputs.lanes
    told = lanes.union(*(observed_headers(table.hosts, lanes, memo) for table in scene.plan.tables.values()))
    return tuple(dict.fromkeys(name for name, _ in headers if name not in told))


@dataclass(frozen=True, slots=True)
class Judged:
    """`path` are the services down to this hop. `lost` names a header that the caller had and its call lacks.

    `hidden` names the EnvoyFilters for which nobody knows what the service received of a lane's headers.
    """

    path: tuple[str, ...]
    dyed: bool
    fits: Fits
    predicted: str
    seen: str = ""
    rule: str = ""
    lost: tuple[str, ...] = ()
    why: str = ""
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judge:
    """`lanes` are the headers that services are to pass on."""

    scene: Scene
    view: View
    lanes: frozenset[str]

    def judge(self, sent: Sent, found: Sequence[Linked]) -> Iterator[Judged]:
        """`found` holds the hop at the gateway and all that may have been called for it."""
        root = next((each.hop for each in found if each.hop.gateway and each.hop.client == sent.client), None)
        if root is None:
            yield Judged((sent.request.authority,), sent.dyed, Fits.NOT_SEEN, "")
            return
        yield from _Walk(self, sent, found).at(root, self._as_received(root, sent.request), (), ())

    def complete(self, sent: Sent, found: Sequence[Linked]) -> bool:
        """Whether every call that is expected has been told of."""
        return all(each.fits is not Fits.NOT_SEEN for each in self.judge(sent, found))

    def _as_received(self, hop: SeenHop, request: Request) -> Headers:
        """What was sent, with those headers that the proxy tells of as it saw them."""
        spec = self.scene.plan.listeners.get(hop.listener)
        table = self.scene.plan.tables.get(table_of(spec, hop.authority)) if spec else None
        if table is None or not (hop.route or hop.headers):
            return request.headers
        told = (
            observed_headers(table.hosts, self.scene.plan.inputs.lanes | self.lanes, Memo()) | dict(hop.headers).keys()
        )
        return (*((name, value) for name, value in request.headers if name not in told), *hop.headers)


@dataclass(frozen=True, slots=True)
class _Walk:
    judge: Judge
    sent: Sent
    found: Sequence[Linked]

    def at(self, hop: SeenHop, headers: Headers, lost: tuple[str, ...], path: tuple[str, ...]) -> Iterator[Judged]:
        """`headers` are those that this hop should have had; `lost` those of them that it had not."""
        here = (*path, _name(hop))
        decision = self._decide(hop, headers)
        why = _differs(decision, hop, self.judge.view)
        fits = Fits.DIFFERS if why else Fits.AGREES
        if lost:
            really = self._decide(hop, hop.headers)
            why = _differs(really, hop, self.judge.view)
            fits = Fits.DIFFERS if why else Fits.HEADER_LOST
        view = self.judge.view
        words_of = words.predicted(view, decision), words.seen(view, hop)
        yield Judged(here, self.sent.dyed, fits, *words_of, hop.rule, lost, why, self._hidden(decision, hop))
        yield from self._below(hop, here)

    def _hidden(self, decision: Decision, hop: SeenHop) -> tuple[str, ...]:
        """Of interest where the service is to pass something on to another."""
        dyed = any(name in self.judge.lanes for name, _ in hop.headers)
        return tuple(map(str, decision.inside)) if dyed and self._calls(hop) else ()

    def _decide(self, hop: SeenHop, headers: Headers) -> Decision:
        """The decision that fits, if one does: lines of one name are told of as one, but matched one by one."""
        lines = tuple((name, line.strip()) for name, value in headers for line in value.split(","))
        decisions = [self._simulated(hop, spelled) for spelled in dict.fromkeys((headers, lines))]
        return next((each for each in decisions if _fits(each, hop)), decisions[0])

    def _simulated(self, hop: SeenHop, headers: Headers) -> Decision:
        request = Request(hop.authority, hop.path, hop.method, headers=headers)
        return simulate(self.judge.scene.plan, hop.listener, request, within=True)

    def _below(self, hop: SeenHop, path: tuple[str, ...]) -> Iterator[Judged]:
        certain = [each.hop for each in self.found if each.parents == (hop.number,)]
        shared = [each.hop for each in self.found if len(each.parents) > 1 and hop.number in each.parents]
        for call in self._calls(hop):
            host = full_name(call.service.name, call.service.namespace)
            if not any(_called(each) == host for each in certain):
                unsure = any(_called(each) == host for each in shared)
                fits = Fits.CANNOT_TELL if unsure else Fits.NOT_SEEN
                yield Judged((*path, short(host)), self.sent.dyed, fits, "")
        for each in certain:
            received = [(name, value) for name, value in hop.passed if name in self.judge.lanes]
            own = {name for name, _ in each.headers}
            lost = tuple(dict.fromkeys(name for name, _ in received if name not in own))
            kept = [entry for entry in each.headers if entry[0] not in dict(received)]
            yield from self.at(each, (*kept, *received), lost, path)

    def _calls(self, hop: SeenHop) -> list[Call]:
        """What the pod that answered is configured to call."""
        namespace, _, name = hop.pod.partition("/")
        pod = self.judge.view.get(POD, namespace, name) if hop.pod and words.answered_by_pod(hop) else None
        return calls_of_pod(self.judge.view, pod) if pod is not None else []


def _name(hop: SeenHop) -> str:
    return short(host_of(hop)) or hop.authority


def _called(hop: SeenHop) -> str:
    """The full name of the Service that was meant, also when no cluster was found for it."""
    host = host_of(hop)
    if host:
        return host
    namespace = hop.caller.partition("/")[0]
    return full_name(hop.authority.partition(":")[0].removesuffix(_DOMAIN), namespace)


def _differs(decision: Decision, hop: SeenHop, view: View) -> str:
    """Why what was seen is not what was decided; "" when it is."""
    told = words.seen(view, hop)
    expected = words.predicted(view, decision)
    return "" if _fits(decision, hop) else f"predicted {expected}, seen {told}"


def _fits(decision: Decision, hop: SeenHop) -> bool:
    outcome = decision.outcome
    fault = decision.fault
    if fault is not None and fault.abort_status and "FI" in hop.flags.split(","):
        return hop.code == fault.abort_status[0]
    if isinstance(outcome, Refusal):
        return _refused(outcome, hop)
    if isinstance(outcome, Redirect):
        return hop.code == outcome.code and not hop.upstream
    if isinstance(outcome, DirectResponse):
        return hop.code == outcome.status and not hop.upstream
    if isinstance(outcome, PassedThrough):
        return "|" not in hop.cluster
    return any(_is(part, hop) for part in outcome if part.share > 0)


def _is(part: Reached | Lost, hop: SeenHop) -> bool:
    if part.cluster != hop.cluster:
        return isinstance(part, Lost) and _refused(part.refusal, hop) and not hop.upstream
    if isinstance(part, Lost):
        return _refused(part.refusal, hop)
    return words.answered_by_pod(hop) and hop.upstream.partition(":")[0] in {each.address for each in part.endpoints}


def _refused(refusal: Refusal, hop: SeenHop) -> bool:
    return hop.code == refusal.status and refusal.flag in hop.flags.split(",")
