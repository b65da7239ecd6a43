"""Calls that the server makes itself, for what Kubernetes leaves to controllers beside the API server.

Pure. In: the API and a resource. Out: a `Call` by a user who may do everything.
"""

from __future__ import annotations

from graylane.cluster.apiserver.bootstrap import SYSTEM
from graylane.cluster.apiserver.context import Api, Call
from graylane.cluster.apiserver.exchange import Request
from graylane.cluster.apiserver.paths import Target
from graylane.model.meta import Key


def own_call(api: Api, store: str, key: Key, method: str = "PUT", subresource: str = "") -> Call:
    """On one object of the built-in or custom kind that is stored as `store`, e.g. `secrets`."""
    resource = api.registry.by_store(store)
    assert resource is not None, store
    target = Target(resource.group, resource.version, resource.plural, key.namespace, key.name, subresource)
    return Call(api, Request(method, ""), target, resource, SYSTEM)
