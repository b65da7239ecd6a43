"""`compile(inputs)`: Istio's objects and the cluster's endpoints, as one configuration of Envoy.

Pure. In: `Inputs`, and nothing else. Out: a `Compiled`: the `Plan` in our nouns and the `Snapshot` in Envoy's.
Equal inputs give equal bytes; a `Memo` from the last time only makes it sooner.
"""

from __future__ import annotations

from dataclasses import dataclass

from graylane.mesh.compile.plan import Plan, plan
from graylane.mesh.encode.snapshot import encode
from graylane.mesh.inputs import Inputs
from graylane.mesh.memo import Memo
from graylane.mesh.snapshot import Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    plan: Plan
    snapshot: Snapshot


def compile(inputs: Inputs, memo: Memo | None = None, serial: int = 0) -> Compiled:
    memo = memo or Memo()
    found = plan(inputs, memo)
    snapshot = encode(found, memo, serial)
    memo.turn()
    return Compiled(found, snapshot)
