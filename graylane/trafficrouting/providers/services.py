"""The canary's own Service, for providers that tell versions apart by nothing else.

Pure. In: a `View`, the stable Service's name. Out: the canary Service's name, and why it would not do.

With a TrafficRouting OpenKruise lets stable and canary share one Service. An Ingress or an HTTPRoute then leads to the
same pods as before, which is no release at all; so a second Service is asked for, by the name that OpenKruise gives it.
"""

from __future__ import annotations

from graylane.kit.cache import View
from graylane.model.kinds import SERVICE
from graylane.model.meta import Obj, dig


def canary_service(view: View, namespace: str, stable: str) -> str:
    """`<stable>-canary` where that exists; "" where stable and canary share one Service."""
    name = f"{stable}-canary"
    return name if view.get(SERVICE, namespace, name) is not None else ""


def canary_trouble(view: View, namespace: str, stable: str, named: str = "") -> tuple[str, str]:
    """A reason in one word and a sentence; both "" when the canary's Service is one that can be routed to.

    Told from the selectors alone, so before the first canary pod is there to show it. What only pods can show (two
    selectors that may or may not meet) is not held against anybody. `named`: what `objectRef` says it is called;
    whoever says so keeps the stable Service's selector right himself, as a Rollout with embedded routes does.
    """
    ours, name = view.get(SERVICE, namespace, stable), named or f"{stable}-canary"
    theirs = view.get(SERVICE, namespace, name)
    if theirs is None:
        return "CanaryServiceNotFound", (
            f"the canary would be reached through Service {stable} too, so nothing would be diverted; "
            f"create Service {name} that selects the canary's pods only"
        )
    if ours is None or not _selector(ours) or not _selector(theirs):
        return "", ""
    if _selector(theirs) == _selector(ours):
        return "SamePods", (
            f"Services {stable} and {name} select the same pods, so nothing would be diverted; "
            f"let {name} select a label that patchPodTemplateMetadata sets"
        )
    if not named and _selector(ours).items() <= _selector(theirs).items():
        return "StableServiceSelectsCanary", (
            f"Service {stable} selects every pod that {name} does, so undyed requests would reach the canary; "
            f"let {stable} select a label that patchPodTemplateMetadata changes"
        )
    return "", ""


def _selector(service: Obj) -> dict[str, str]:
    return dig(service, "spec", "selector", default={})  # type: ignore[no-any-return]
