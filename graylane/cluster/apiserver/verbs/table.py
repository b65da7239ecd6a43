"""The verbs on whole objects: one row each.

Pure. In: a verb. Out: its handler.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Answer
from graylane.cluster.apiserver.verbs.create import create
from graylane.cluster.apiserver.verbs.delete import delete
from graylane.cluster.apiserver.verbs.deletecollection import deletecollection
from graylane.cluster.apiserver.verbs.get import get
from graylane.cluster.apiserver.verbs.list import list_
from graylane.cluster.apiserver.verbs.patch import patch
from graylane.cluster.apiserver.verbs.update import update
from graylane.cluster.apiserver.verbs.watch import watch

VERBS: dict[str, Callable[[Call], Awaitable[Answer]]] = {
    "create": create,
    "delete": delete,
    "deletecollection": deletecollection,
    "get": get,
    "list": list_,
    "patch": patch,
    "update": update,
    "watch": watch,
}


def verb_of(method: str, *, named: bool, watching: bool) -> str:
    """HTTP's method and the shape of the path, as Kubernetes' verb; "" for methods that have none."""
    if method in ("GET", "HEAD"):
        return "get" if named else "watch" if watching else "list"
    if method == "DELETE":
        return "delete" if named else "deletecollection"
    return {"POST": "create", "PUT": "update", "PATCH": "patch"}.get(method, "")
