"""Merge patches (RFC 7386) and JSON patches (RFC 6902), without touching their inputs.

Pure. In: an object and a patch, or two objects. Out: a new object, or the patch between them. Strategic merge needs
schemas and lives with the API server, `cluster/apiserver/patch/`.
"""

from __future__ import annotations

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


_MOST_OPERATIONS = 10_000
_MOST_COPIED = 3 << 20


def json_patch(obj: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """Apply RFC 6902 operations; a failed `test` or an absent path raises `Invalid`, as kube-apiserver does.

    `TooLarge` where kube-apiserver says so: thirty copies of an object into itself would fill all memory.
    """
    if len(operations) > _MOST_OPERATIONS:
        raise TooLarge(f"The allowed maximum operations in a JSON patch is {_MOST_OPERATIONS}, got {len(operations)}")
    try:
        patch = jsonpatch.JsonPatch(operations)
        copies = any(operation["op"] == "copy" for operation in operations)
        result: dict[str, Any] = _one_by_one(obj, operations) if copies else patch.apply(obj)
    except (jsonpatch.InvalidJsonPatch, TypeError) as error:
        raise BadRequest(f"invalid JSON patch: {error}") from error
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        raise Invalid(f"the server rejected our request due to an error in our request: {error}") from error
    return result


def _one_by_one(obj: Any, operations: list[dict[str, Any]]) -> Any:
    """Each copy is weighed before it is made."""
    result, copied = obj, 0
    for operation in operations:
        if operation["op"] == "copy":
            copied += len(orjson.dumps(jsonpatch.JsonPointer(operation["from"]).resolve(result, None)))
        if copied > _MOST_COPIED:
            raise TooLarge(
                f"Unable to complete the copy, the accumulated size increase of copy is {copied}, "
                f"exceeding the limit {_MOST_COPIED}"
            )
        result = jsonpatch.JsonPatch([operation]).apply(result, in_place=result is not obj)
    return result
