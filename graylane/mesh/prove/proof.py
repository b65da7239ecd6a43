"""What came of a proof: the promises that are broken, each with a request that breaks it.

Pure. Values only.
"""

from __future__ import annotations

from dataclasses import dataclass

from graylane.chain.match import Request
from graylane.mesh.prove.judge import Claim
from graylane.mesh.prove.lane import Lane


@dataclass(frozen=True, slots=True)
class Step:
    """One hop of a counter-example: who sends which request where, which rule decides, "" for the Service itself."""

    caller: str
    listener: str
    request: Request
    rule: str

    @property
    def at_gateway(self) -> bool:
        return self.caller.startswith("gateway ")


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that breaks a promise: its way up to and including the hop where it does."""

    claim: Claim
    says: str
    trail: tuple[Step, ...]

    @property
    def hop(self) -> int:
        return len(self.trail)

    @property
    def last(self) -> Step:
        return self.trail[-1]


@dataclass(frozen=True, slots=True)
class Proof:
    """`requests` is how many classes of requests were tried; `complete` False when there were too many to try all.

    `not_evaluated` are EnvoyFilters whose own code may change a request before it is routed.
    """

    lane: Lane
    failures: tuple[Failure, ...]
    requests: int
    hops: int
    canaries: bool
    complete: bool = True
    not_evaluated: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return not self.failures and self.complete

    def of(self, *claims: Claim) -> tuple[Failure, ...]:
        return tuple(each for each in self.failures if each.claim in claims)
