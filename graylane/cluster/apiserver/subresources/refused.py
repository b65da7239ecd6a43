"""Subresources that Kubernetes has and Graylane has not: refused by name, so that nobody has to guess.

Pure. In: any call. Out: 501 with the reason and what to do instead.
"""

from __future__ import annotations

from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Reply
from graylane.errors import NotImplementedByServer

INSTEAD = {
    "pods/ephemeralcontainers": "pods are processes on this machine: use kubectl exec, or look at them there",
    "pods/resize": "the resources of processes are not limited: change the template of the pods' workload",
}


async def refuse(call: Call) -> Reply:
    where = f"{call.resource.plural}/{call.target.subresource}"
    raise NotImplementedByServer(f"Graylane does not serve {where}; {INSTEAD[where]}")
