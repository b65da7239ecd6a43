"""Merge patches (RFC 7386) and JSON patches (RFC 6902), without touching their inputs.

Pure. In: an object and a patch, or two objects. Out: a new object, or the patch between them. Strategic merge needs
schemas and lives with the API server, `cluster/apiserver/patch/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

import jsonpatch
import orjson

from graylane.errors import BadRequest, Invalid, TooLarge


class PatchType(StrEnum):
    """The media types of `PATCH` bodies."""

    MERGE = "application/merge-patch+json"
    JSON = "application/json-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: nulls delete, objects merge, everything else replaces. Unchanged branches are shared, not copied."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def create_merge_patch(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The smallest patch with `merge_patch(old, patch) == new`; `{}` when nothing differs.

    Nulls inside `new` cannot be expressed by RFC 7386 and must not occur there.
    """
    patch: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if name in old and before == value and type(before) is type(value):
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            patch[name] = create_merge_patch(before, value)
        else:
            patch[name] = value
    return patch


def guarded(obj: Mapping[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """The merge patch `patch`, which the API refuses when `obj` has changed since it was read."""
    version = obj["metadata"].get("resourceVersion", "")
    return patch | {"metadata": patch.get("metadata", {}) | {"resourceVersion": version}}


_MOST_OPERATIONS = 10_000
_MOST_COPIED = 3 << 20


def json_patch(obj: dict[str, Any], operations: list[Any]) -> dict[str, Any]:
    """Apply RFC 6902 operations as kube-apiserver does: what cannot be applied raises `Invalid`, all or nothing.

    Its library is milder than the RFC: what precedes a path's first slash is ignored, `replace` may add, a missing
    value is null, and what is not there equals null and can be copied. What copies add up to is limited: thirty copies
    of an object into itself would fill all memory. `TooLarge` for more operations than it takes.
    """
    if len(operations) > _MOST_OPERATIONS:
        found = f"The allowed maximum operations in a JSON patch is {_MOST_OPERATIONS}, got {len(operations)}"
        raise TooLarge(f"Request entity too large: {found}")
    if not all(isinstance(operation, dict) for operation in operations):
        raise BadRequest("error decoding patch: every operation of a JSON patch is an object")
    result, copied = obj, 0
    try:
        for operation in operations:
            if operation.get("op") == "copy":
                copied = _weighed(result, operation, copied)
            patch = jsonpatch.JsonPatch(list(_strict(result, operation)))
            result = patch.apply(result, in_place=result is not obj)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, KeyError) as error:
        raise Invalid(f"the server rejected our request due to an error in our request: {error}", details={}) from error
    return result


def _weighed(obj: Any, operation: dict[str, Any], before: int) -> int:
    """The bytes of all copies so far; each is weighed before it is made."""
    source = jsonpatch.JsonPointer(_rooted(operation.get("from")) or "/").resolve(obj, None)
    copied = before + len(orjson.dumps(source))
    if copied > _MOST_COPIED:
        raise jsonpatch.JsonPatchException(f"copies of {copied} bytes; the limit is {_MOST_COPIED}")
    return copied


def _strict(obj: dict[str, Any], operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same operation in the RFC's words; none when it holds already."""
    kind, path = operation.get("op"), _rooted(operation.get("path"))
    if not path:
        raise jsonpatch.JsonPatchException("a path to something inside the object is expected")
    plain = {**operation, "path": path}
    if kind in ("add", "replace", "test"):
        plain.setdefault("value", None)
    missing = _is_missing(obj, path)
    if kind == "replace" and missing:
        plain["op"] = "add"
    elif kind == "test" and missing and plain["value"] is None:
        return
    elif kind in ("copy", "move"):
        plain["from"] = _rooted(operation.get("from"))
        if not plain["from"]:
            raise jsonpatch.JsonPatchException("a source inside the object is expected")
        if kind == "copy" and _is_missing(obj, plain["from"]):
            plain = {"op": "add", "path": path, "value": None}
    yield plain


def _rooted(path: Any) -> str:
    if not isinstance(path, str):
        return ""
    return "/" + path.partition("/")[2] if "/" in path else ""


def _is_missing(obj: Any, path: str) -> bool:
    """Whether only the last step of a path leads nowhere, out of an object that is there."""
    *steps, last = jsonpatch.JsonPointer(path).parts
    parent = jsonpatch.JsonPointer.from_parts(steps).resolve(obj, None)
    return isinstance(parent, dict) and last not in parent
