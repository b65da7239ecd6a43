"""Which verb on which subresource is served by whom: one row each.

Pure. In: (subresource, verb). Out: a handler. `status`, `approval` and `finalize` are the plain verbs, told apart in
the pipeline.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Answer
from graylane.cluster.apiserver.subresources import binding, eviction, logs, proxy, refused, scale, streams, token
from graylane.cluster.apiserver.verbs.get import get
from graylane.cluster.apiserver.verbs.patch import patch
from graylane.cluster.apiserver.verbs.update import update

Handler = Callable[[Call], Awaitable[Answer]]

SUBRESOURCES: dict[tuple[str, str], Handler] = {
    ("status", "get"): get,
    ("status", "update"): update,
    ("status", "patch"): patch,
    ("finalize", "update"): update,
    ("approval", "get"): get,
    ("approval", "update"): update,
    ("approval", "patch"): patch,
    ("scale", "get"): scale.get,
    ("scale", "update"): scale.update,
    ("scale", "patch"): scale.patch,
    ("binding", "create"): binding.create,
    ("eviction", "create"): eviction.create,
    ("log", "get"): logs.get,
    ("proxy", "get"): proxy.get,
    ("attach", "get"): streams.attach,
    ("attach", "create"): streams.attach,
    **{
        (name, verb): refused.refuse
        for name in ("ephemeralcontainers", "resize")
        for verb in ("get", "patch", "update")
    },
    ("exec", "get"): streams.execute,
    ("exec", "create"): streams.execute,
    ("portforward", "get"): streams.port_forward,
    ("portforward", "create"): streams.port_forward,
    ("token", "create"): token.create,
}


def verbs_of(subresource: str) -> list[str]:
    """What discovery lists; refused ones are not offered."""
    return sorted(
        verb for (name, verb), act in SUBRESOURCES.items() if name == subresource and act is not refused.refuse
    )
