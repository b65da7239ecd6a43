"""Subresources that Kubernetes has and Graylane has not: refused by name, so that nobody has to guess.

Pure. In: any call. Out: 501 with the reason and what to do instead.
"""

from __future__ import annotations

from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Reply
from graylane.errors import NotImplementedByServer

_INSTEAD = {
    "ephemeralcontainers": "pods are processes on this machine: use kubectl exec, or look at them there",
}


async def refuse(call: Call) -> Reply:
    sub = call.target.subresource
    raise NotImplementedByServer(
        f"Graylane does not serve {call.resource.plural}/{sub}; {_INSTEAD.get(sub, 'there is no substitute')}"
    )
