"""The object in a POST or PUT body, checked against the URL it was sent to.

Pure. In: a call with a body. Out: an object of the call's kind and namespace, or 400.
"""

from __future__ import annotations

from graylane.cluster.apiserver import bodies
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.resources import Acts
from graylane.cluster.apiserver.schema.fielderror import cannot_decode, strict
from graylane.errors import BadRequest
from graylane.model.meta import Obj


def read(call: Call) -> Obj:
    resource, body = call.resource, call.request.body
    header = call.request.headers.get("content-type", "")
    loaded = bodies.load(body, header)
    obj = bodies.expect_kind(loaded, resource.api_version, resource.kind, lenient=not resource.custom)
    bodies.require_whole(call.structural, obj, body)
    errors, warnings = bodies.strictness(call.structural, obj, body, header, call.options.field_validation)
    if errors:
        why = call.structural.mistake(obj) or strict(errors)
        raise cannot_decode(resource.group, resource.version, resource.kind, why)
    for warning in warnings:
        call.warn(warning)
    warn_of_limits(call)
    return placed(call, obj)


def warn_of_limits(call: Call) -> None:
    """What Graylane does not do with this object is said now, not discovered later."""
    if call.resource.acts is Acts.NO:
        call.warn(f"Graylane stores but does not act on {call.resource.kind}")


def placed(call: Call, obj: Obj) -> Obj:
    """Namespace and name of the body agree with the URL's; an absent namespace is filled in."""
    metadata, key = obj["metadata"], call.key
    namespace = metadata.get("namespace") or key.namespace
    if call.resource.namespaced and namespace != key.namespace:
        raise BadRequest(
            f"the namespace of the provided object does not match the namespace sent on the request "
            f"({namespace} != {key.namespace})"
        )
    if call.target.name and (metadata.get("name") or call.target.name) != call.target.name:
        raise BadRequest(
            f"the name of the object ({metadata.get('name')}) does not match the name on the URL ({call.target.name})"
        )
    if call.target.name and not metadata.get("name"):
        raise BadRequest(
            f"the name of the object ({call.target.name} based on URL) was undeterminable: name must be provided"
        )
    placed = {name: value for name, value in metadata.items() if name != "namespace"}
    if call.resource.namespaced:
        placed["namespace"] = namespace
    if call.target.name:
        placed["name"] = call.target.name
    return {**obj, "metadata": placed}
