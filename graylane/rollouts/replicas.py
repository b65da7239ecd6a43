"""How many canary pods a step wants, and how many of them may be missing.

Pure. In: a step's replicas, the workload's replicas. Out: counts, by OpenKruise's arithmetic.
"""

from __future__ import annotations

from graylane.model.intorpercent import resolve


def step_replicas(replicas: int | str, total: int) -> int:
    """`step_replicas("10%", 3) == 1`; never more than the workload itself has."""
    return max(0, min(resolve(replicas, total, round_up=True), total))


def tolerated(threshold: int | str, wanted: int) -> int:
    """Pods that may be unready; a canary of at least one pod needs at least one ready, whatever is tolerated."""
    return max(0, min(resolve(threshold, wanted, round_up=True), wanted - 1))
