"""What may become of a dyed and of a plain request at one hop, and what may not.

Pure. In: decisions of the simulator, a `Cast`. Out: `Fault`s: which promise is broken, and in which words.

A dyed request is compared with its plain twin, the same request without the dye: it has to reach the same workloads,
there the canary wherever one is ready, and must be answered wherever its twin is. A rule's own answers (redirects,
direct responses, injected faults) and mirrored copies are the user's and are not judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from graylane.kit.cache import View
from graylane.mesh.compile.directory import parsed_cluster
from graylane.mesh.compile.plan import Plan
from graylane.mesh.inputs import Service
from graylane.mesh.prove.lane import Cast
from graylane.mesh.simulate import NO_CLUSTER, Decision, Lost, Reached, Refusal
from graylane.model.kinds import POD
from graylane.model.meta import Key, Obj, key_of


class Claim(StrEnum):
    """A promise, in words of what it means that it does not hold."""

    CANARY = "a dyed request reaches base where a ready canary exists"
    ANSWERED = "a request is lost"
    PLAIN = "a plain request reaches a canary"


CLAIMS = frozenset(Claim)


@dataclass(frozen=True, slots=True)
class Fault:
    claim: Claim
    says: str


@dataclass(slots=True)
class Judge:
    view: View
    plan: Plan
    cast: Cast
    _ready: dict[Key, Key] = field(init=False)
    _services: dict[str, Service] = field(init=False)

    def __post_init__(self) -> None:
        """`_ready`: for each family with a ready canary one of its pods."""
        self._services = {service.host: service for service in self.plan.inputs.services}
        self._ready = {}
        for service, endpoints in self.plan.inputs.endpoints.items():
            for each in endpoints.each:
                pod = self.view.get(POD, service.namespace, each.pod)
                if pod is not None and self.cast.is_canary(pod):
                    self._ready.setdefault(self.cast.family(pod), key_of(pod))

    def has_canaries(self) -> bool:
        return bool(self._ready)

    def serves_everybody(self, service: Key) -> bool:
        """A Service with pods that are not all canaries; a canary's own is for its lane, and nobody calls it."""
        endpoints = self.plan.inputs.endpoints.get(service)
        pods = [self.view.get(POD, service.namespace, each.pod) for each in endpoints.each] if endpoints else []
        return any(pod is not None and not self.cast.is_canary(pod) for pod in pods)

    def dyed(self, decision: Decision, twin: Decision, *, certain: bool) -> Iterator[Fault]:
        """`certain` requests are known to be sent, not only possible."""
        lost = list(self._lost(decision, certain=certain))
        yield from lost
        if not lost and isinstance(decision.outcome, Refusal) and not isinstance(twin.outcome, Refusal):
            yield Fault(Claim.ANSWERED, f"{refusal(decision.outcome)}, while without the dye it is answered")
        missed = list(self.missed(decision))
        yield from missed
        if not missed and (astray := self._astray(decision, twin)):
            yield Fault(Claim.ANSWERED, f"it goes astray: it reaches {astray}, which no request without the dye does")

    def missed(self, decision: Decision) -> Iterator[Fault]:
        """A request that is dyed when it arrives gets to base although it need not."""
        for pod in self.pods(decision):
            canary = self._ready.get(self.cast.family(pod))
            if canary is not None and not self.cast.is_canary(pod):
                yield Fault(Claim.CANARY, f"it reaches pod {key_of(pod)}, while the canary {canary} is ready")
                return

    def plain(self, decision: Decision, *, certain: bool) -> Iterator[Fault]:
        yield from self._lost(decision, certain=certain)
        canary = next((pod for pod in self.pods(decision) if self.cast.is_canary(pod)), None)
        if canary is not None:
            share = sum(part.share for part in parts(decision) if self._hits(part))
            some = "" if share > 0.999 else ", or shares its destination with others"
            yield Fault(Claim.PLAIN, f"it reaches the canary {key_of(canary)}{some}")

    def _lost(self, decision: Decision, *, certain: bool) -> Iterator[Fault]:
        """Refused for what the configuration says, not for want of pods."""
        if isinstance(decision.outcome, Refusal) and certain:
            yield Fault(Claim.ANSWERED, refusal(decision.outcome))
        for part in parts(decision):
            if isinstance(part, Lost) and (part.refusal == NO_CLUSTER or self._could_serve(part.cluster)):
                share = "" if part.share > 0.999 else f"{part.share:.0%} of such requests: "
                host, port, subset = parsed_cluster(part.cluster)
                where = f"{host}:{port}" + (f" subset {subset}" if subset else "")
                yield Fault(Claim.ANSWERED, f"{share}{refusal(part.refusal)} at {where}")
                return

    def _could_serve(self, cluster: str) -> bool:
        service = self._services.get(parsed_cluster(cluster)[0])
        endpoints = self.plan.inputs.endpoints.get(service.key) if service else None
        return endpoints is not None and bool(endpoints.each)

    def _astray(self, decision: Decision, twin: Decision) -> str:
        """Another workload behind another Service than the twin's."""
        known = {self.cast.family(pod) for pod in self.pods(twin)}
        same = {parsed_cluster(part.cluster)[0] for part in parts(decision)} & {
            parsed_cluster(part.cluster)[0] for part in parts(twin)
        }
        if not known or same:
            return ""
        return next((f"pod {key_of(pod)}" for pod in self.pods(decision) if self.cast.family(pod) not in known), "")

    def _hits(self, part: Reached | Lost) -> bool:
        return any(self.cast.is_canary(pod) for pod in self.behind(part))

    def pods(self, decision: Decision) -> Iterable[Obj]:
        return (pod for part in parts(decision) for pod in self.behind(part))

    def behind(self, part: Reached | Lost) -> Iterator[Obj]:
        if isinstance(part, Lost):
            return
        service = self._services.get(parsed_cluster(part.cluster)[0])
        for each in part.endpoints if service else ():
            pod = self.view.get(POD, service.namespace, each.pod) if service else None
            if pod is not None:
                yield pod


def parts(decision: Decision) -> tuple[Reached | Lost, ...]:
    return decision.outcome if isinstance(decision.outcome, tuple) else ()


def refusal(refused: Refusal) -> str:
    told = " ".join(filter(None, (str(refused.status or ""), refused.flag)))
    return f"{told} {refused.details}".strip()
