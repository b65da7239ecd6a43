"""Who serves, in a word: of a prediction, and of what was seen.

Pure. In: a `Decision` or a `SeenHop`, the pods. Out: `canary`, `base 80% canary 20%`, `503 UH`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from graylane.chain.seen import SeenHop
from graylane.chain.workloads import role_of
from graylane.kit.cache import View
from graylane.mesh.compile.directory import parsed_cluster
from graylane.mesh.simulate import Decision, Lost, PassedThrough, Reached, Refusal
from graylane.mesh.table import DirectResponse, Redirect
from graylane.model.kinds import POD
from graylane.model.meta import Key

GONE, OUTSIDE, NO_ANSWER = "a pod now gone", "outside", "no answer"


def predicted(view: View, decision: Decision) -> str:
    outcome = decision.outcome
    if isinstance(outcome, Refusal):
        return _refusal(outcome)
    if isinstance(outcome, Redirect):
        return str(outcome.code)
    if isinstance(outcome, DirectResponse):
        return str(outcome.status)
    return OUTSIDE if isinstance(outcome, PassedThrough) else _shares(view, outcome)


def _shares(view: View, parts: Iterable[Reached | Lost]) -> str:
    shares: dict[str, float] = defaultdict(float)
    for part in parts:
        if isinstance(part, Lost):
            shares[_refusal(part.refusal)] += part.share * 100
            continue
        namespace = parsed_cluster(part.cluster)[0].partition(".")[2].partition(".")[0]
        if not part.endpoints:
            shares[OUTSIDE] += part.share * 100
        for endpoint in part.endpoints:
            name = of_pod(view, Key(namespace, endpoint.pod)) if endpoint.pod else OUTSIDE
            shares[name] += part.share * 100 / len(part.endpoints)
    present = [(name, share) for name, share in sorted(shares.items()) if share]
    return present[0][0] if len(present) == 1 else " ".join(f"{name} {share:.0f}%" for name, share in present)


def seen(view: View, hop: SeenHop) -> str:
    if hop.pod and answered_by_pod(hop):
        namespace, _, name = hop.pod.partition("/")
        return of_pod(view, Key(namespace, name))
    if answered_by_pod(hop):
        return OUTSIDE
    return f"{hop.code or NO_ANSWER} {hop.flags}".strip()


def answered_by_pod(hop: SeenHop) -> bool:
    """Whether the answer is the upstream's own, whatever it says; else the proxy gave it."""
    return hop.details.startswith("via_upstream")


def of_pod(view: View, key: Key) -> str:
    pod = view.get(POD, *key)
    return role_of(view, pod).value if pod is not None else GONE


def _refusal(refusal: Refusal) -> str:
    return f"{refusal.status or NO_ANSWER} {refusal.flag}".strip()
