"""The errors that concern one object or resource, in kube-apiserver's words.

Pure. In: resource and name. Out: exceptions to raise.
"""

from __future__ import annotations

from typing import Any

import orjson

from graylane.cluster.apiserver.resources import BUILT_IN, MEASURED, REVIEWS, Resource
from graylane.errors import AlreadyExists, Conflict, Forbidden, Gone, Invalid, MethodNotAllowed, NotFound
from graylane.model.meta import Obj, dig

_GROUPS = frozenset([kind.group for kind in (*BUILT_IN, *MEASURED)] + [review.group for review in REVIEWS])


def _details(resource: Resource, name: str, **more: Any) -> Obj:
    details: Obj = {"name": name, "group": resource.group, "kind": resource.plural, **more}
    return {key: value for key, value in details.items() if value}


def not_found(resource: Resource, name: str) -> NotFound:
    return NotFound(f'{resource.store} "{name}" not found', details=_details(resource, name))


class PageNotFound(NotFound):
    """A path outside every group that is built in, answered in plain text."""

    page = b"404 page not found\n"


def no_such_path(path: str) -> NotFound:
    root, _, rest = path.strip("/").partition("/")
    if root == "api" or (root == "apis" and rest.partition("/")[0] in _GROUPS):
        return NotFound("the server could not find the requested resource", details={})
    return PageNotFound("page not found")


def already_exists(resource: Resource, name: str) -> AlreadyExists:
    return AlreadyExists(f'{resource.store} "{name}" already exists', details=_details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> Conflict:
    reason = why or "the object has been modified; please apply your changes to the latest version and try again"
    return Conflict(
        f'Operation cannot be fulfilled on {resource.store} "{name}": {reason}', details=_details(resource, name)
    )


def broken_precondition(resource: Resource, name: str, why: str) -> Conflict:
    """Of a deletion; its details name the kind, not the resource, as kube-apiserver's do."""
    error = conflict(resource, name, why)
    return Conflict(error.message, details={**error.details, "kind": resource.kind})


def forbidden(resource: Resource, name: str, why: str, **more: Any) -> Forbidden:
    shown = f'{resource.store} "{name}" is forbidden' if name else f"{resource.store} is forbidden"
    return Forbidden(f"{shown}: {why}", details=_details(resource, name, **more))


def not_allowed() -> MethodNotAllowed:
    return MethodNotAllowed("the server does not allow this method on the requested resource", details={})


def definition_ending(resource: Resource, name: str) -> Forbidden:
    return forbidden(resource, name, "create not allowed while custom resource definition is terminating")


def expired(asked: int, oldest: int) -> Gone:
    return Gone(f"too old resource version: {asked} ({oldest})")


def expired_page(consistent: str) -> Gone:
    return Gone(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list.",
        details={"continue": consistent} if consistent else None,
    )


def bad_patch(patched: Obj, why: str) -> Invalid:
    """A patch whose result does not decode is blamed on the patch, as kube-apiserver does: the result, quoted."""
    text = orjson.dumps(patched, option=orjson.OPT_SORT_KEYS).decode()
    message = f"Invalid value: {orjson.dumps(text).decode()}: {why}"
    cause = {"reason": "FieldValueInvalid", "message": message, "field": "patch"}
    return Invalid(f' "" is invalid: patch: {message}', details={"causes": [cause]})


def namespace_ending(resource: Resource, name: str, namespace: Obj) -> Forbidden:
    where = dig(namespace, "metadata", "name")
    why = f"unable to create new content in namespace {where} because it is being terminated"
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {where} is being terminated",
        "field": "metadata.namespace",
    }
    return forbidden(resource, name, why, causes=[cause])
