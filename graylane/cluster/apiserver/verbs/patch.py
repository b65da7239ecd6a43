"""PATCH: change an object by one of the four kinds of patch.

Shell (store, admission). In: a patch and its media type. Out: 200 and the object as stored. Custom kinds have no
strategic merge (415), as in Kubernetes. Server-side apply has a file of its own, `apply.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from graylane.cluster.apiserver import bodies, failures, media, pipeline, render
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Reply
from graylane.cluster.apiserver.options import FieldValidation, WriteOptions
from graylane.cluster.apiserver.patch import strategic
from graylane.cluster.apiserver.schema.fielderror import strict
from graylane.cluster.apiserver.selection import view_of
from graylane.cluster.apiserver.verbs import apply
from graylane.cluster.apiserver.verbs.incoming import warn_of_limits
from graylane.cluster.apiserver.wire import strict_json
from graylane.errors import BadRequest, UnsupportedMediaType
from graylane.model.meta import Obj
from graylane.model.patches import PatchType, json_patch, merge_patch

Patch = Callable[[Obj], Obj]


async def patch(call: Call) -> Reply:
    if media.content_type(call.request.headers.get("content-type", "")) == PatchType.APPLY:
        return await apply.apply(call)
    view = view_of(call)
    call = replace(call, options=WriteOptions.of(call.request.query, "PatchOptions"))
    change = read_patch(call)
    warn_of_limits(call)
    entry = await pipeline.update(call, call.key, lambda old: _checked(call, change(old), old))
    return render.reply(render.one(entry, view), view.wanted)


def read_patch(call: Call) -> Patch:
    """The patch in the body, as a function of the object."""
    kind = media.content_type(call.request.headers.get("content-type", ""))
    if kind == PatchType.STRATEGIC and call.resource.custom:
        raise UnsupportedMediaType(_accepted(PatchType.JSON, PatchType.MERGE))
    if kind not in (PatchType.JSON, PatchType.MERGE, PatchType.STRATEGIC):
        raise UnsupportedMediaType("415: Unsupported Media Type", details={})
    document = bodies.load_json(call.request.body)
    if document is None and kind != PatchType.MERGE:
        return lambda old: old  # Go reads a null into an empty patch
    _require_shape(document, list if kind == PatchType.JSON else dict)
    if kind == PatchType.JSON:
        return lambda old: _not_too_deep(_object(json_patch(old, document)))
    if kind == PatchType.MERGE:
        return lambda old: _object(merge_patch(old, document))
    document = {name: value for name, value in document.items() if name not in ("apiVersion", "kind")}
    return lambda old: strategic.apply(old, document, call.structural)


def _accepted(*kinds: PatchType) -> str:
    return "the body of the request was in an unknown format - accepted media types include: " + ", ".join(kinds)


def _require_shape(document: Any, shape: type) -> None:
    if not isinstance(document, shape):
        wanted = "a list of operations" if shape is list else "an object"
        raise BadRequest(f"the patch is not {wanted}")


def _object(value: Any) -> Obj:
    if not isinstance(value, dict):
        raise BadRequest("the patch does not leave an object")
    return value


def _not_too_deep(obj: Obj) -> Obj:
    """Other patches leave nothing deeper than themselves or the object; this kind can put one into the other."""
    try:
        deep = strict_json.is_deep(orjson.dumps(obj))
    except TypeError as error:
        raise BadRequest(f"the patch leaves an object that cannot be stored: {error}") from None
    if deep:
        raise strict_json.too_deep()
    return obj


def _checked(call: Call, patched: Obj, old: Obj) -> Obj:
    """The patched object still is of its kind and name; its unknown fields are handled as `fieldValidation` says."""
    metadata = patched.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise failures.bad_patch(patched, "metadata is not an object")
    patched = {**patched, "metadata": metadata}
    if (patched.get("apiVersion"), patched.get("kind")) != (old["apiVersion"], old["kind"]):
        raise failures.bad_patch(patched, f"a patch may not change apiVersion or kind of a {old['kind']}")
    if metadata.get("namespace") and metadata["namespace"] != old["metadata"].get("namespace"):
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    pipeline.require_same(call, metadata, old["metadata"])
    name = metadata.get("name")
    if name and name != old["metadata"]["name"]:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({call.target.name})")
    bodies.require_whole(call.structural, patched, call.request.body)
    _check_fields(call, patched)
    return patched


def _check_fields(call: Call, patched: Obj) -> None:
    structural, mode = call.structural, call.options.field_validation
    fits = structural.fits(patched)
    if not fits and (mistake := structural.mistake(patched)):
        raise failures.bad_patch(patched, mistake)
    if mode is FieldValidation.IGNORE:
        return
    found = [f'duplicate field "{path}"' for path in strict_json.duplicates(call.request.body)]
    if not fits:
        found += [f'unknown field "{path}"' for path in structural.unknown(patched)]
    if found and mode is FieldValidation.STRICT:
        raise failures.bad_patch(patched, strict(found))
    for warning in found:
        call.warn(warning)
