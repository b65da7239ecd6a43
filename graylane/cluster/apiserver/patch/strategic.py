"""Strategic merge patch: a merge that knows which lists are maps, and obeys the patch's own directives.

Pure. In: a live object, a patch, the kind's `Structural`. Out: a new object; neither input is touched. Raises
`BadRequest` or `Invalid` in kube-apiserver's words. Follows apimachinery's strategicpatch:

    $patch: replace | merge | delete     in a map, or as an element of a list
    $retainKeys: [a, b]                  drop every other key of this map (Deployment strategy, volumes)
    $deleteFromPrimitiveList/x: [v]      drop values from the list x of strings or numbers
    $setElementOrder/x: [...]            the order of list x after merging
"""

from __future__ import annotations

from typing import Any

from graylane.cluster.apiserver.patch.order import sort_merged
from graylane.cluster.apiserver.schema.node import ANYTHING, Node
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.errors import BadRequest, Invalid
from graylane.model.meta import Obj

DIRECTIVE = "$patch"
RETAIN = "$retainKeys"
DELETE_PRIMITIVE = "$deleteFromPrimitiveList/"
ORDER = "$setElementOrder/"


def apply(obj: Obj, patch: Obj, structural: Structural) -> Obj:
    """`obj` after `patch`. The same patch applied again changes nothing."""
    if not isinstance(patch, dict):
        raise BadRequest("invalid JSON document")
    merged: Obj = _merge_map(structural.root, obj, patch)
    return merged


def _merge_map(node: Node, live: Obj, patch: Obj) -> Any:
    directive = patch.get(DIRECTIVE)
    if directive == "replace":
        return _plain(patch)
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise BadRequest(f"unknown patch type: {directive} in map: {patch}")
    result = _retained(live, patch)
    for name, values in _directives(patch, DELETE_PRIMITIVE):
        _delete_primitives(result, name, values)
    for name, value in patch.items():
        if not _is_directive_key(name):
            _merge_field(node.child(name) or ANYTHING, result, name, value)
    for name, order in _directives(patch, ORDER):
        _put_in_order(node.child(name) or ANYTHING, live, result, patch, name, order)
    return result


def _directives(patch: Obj, prefix: str) -> list[tuple[str, Any]]:
    """The directives about a list, with the list's name."""
    return [(name.removeprefix(prefix), value) for name, value in patch.items() if name.startswith(prefix)]


def _is_directive_key(name: str) -> bool:
    return name in (DIRECTIVE, RETAIN) or name.startswith((DELETE_PRIMITIVE, ORDER))


def _merge_field(node: Node, result: Obj, name: str, value: Any) -> None:
    """One field of a map: null deletes, maps and merging lists merge, everything else replaces."""
    live = result.get(name)
    if value is None:
        result.pop(name, None)
    elif isinstance(value, dict):
        result[name] = _merge_or_replace(node, live, value)
    elif isinstance(value, list):
        result[name] = _merge_list(node, live if isinstance(live, list) else [], value)
    else:
        result[name] = value


def _merge_or_replace(node: Node, live: Any, patch: Obj) -> Any:
    if "replace" in node.patch_strategy:
        return _plain(patch)
    return _merge_map(node, live if isinstance(live, dict) else {}, patch)


def _retained(live: Obj, patch: Obj) -> Obj:
    """`live` without the keys that `$retainKeys` does not list; it must list every key the patch sets."""
    if RETAIN not in patch:
        return dict(live)
    keep = patch[RETAIN]
    if not isinstance(keep, list):
        raise BadRequest("invalid patch format of retainKeys")
    for name, value in patch.items():
        if not name.startswith("$") and value is not None and name not in keep:
            raise Invalid("patch content doesn't match retainKeys list")
    return {name: value for name, value in live.items() if name in keep}


def _merge_list(node: Node, live: list[Any], patch: list[Any]) -> list[Any]:
    if "merge" not in node.patch_strategy:
        return _plain([item for item in patch if not _is_directive(item)])  # type: ignore[no-any-return]
    if any(isinstance(item, list) for item in patch):
        raise Invalid("lists of lists are not supported")
    if _is_map_list(node):
        return _merge_map_list(node, live, patch)
    return live + [value for index, value in enumerate(patch) if value not in live and value not in patch[:index]]


def _is_map_list(node: Node) -> bool:
    return node.items is not None and node.items.type in ("object", "")


def _is_directive(item: Any) -> bool:
    return isinstance(item, dict) and DIRECTIVE in item and len(item) == 1


def _merge_map_list(node: Node, live: list[Any], patch: list[Any]) -> list[Any]:
    """Merge by key. A lone `{$patch: replace}` element makes the other elements the whole list."""
    if any(isinstance(item, dict) and item.get(DIRECTIVE) == "replace" for item in patch):
        return _plain([item for item in patch if not _is_directive(item)])  # type: ignore[no-any-return]
    items, key = node.items or ANYTHING, node.merge_key
    result = list(live)
    for item in patch:
        if not isinstance(item, dict):
            raise BadRequest(f"expected a map in a list that merges by {key}, found: {item!r}")
        if key not in item:
            raise BadRequest(f"map: {item} does not contain declared merge key: {key}")
        found = next((index for index, old in enumerate(result) if old.get(key) == item[key]), None)
        if item.get(DIRECTIVE) == "delete":
            # Every match goes, not only the first: two ports may share a containerPort under different protocols.
            result = [old for old in result if old.get(key) != item[key]]
        elif found is None:
            result.append(_merge_map(items, {}, item))
        else:
            result[found] = _merge_map(items, result[found], item)
    return result


def _delete_primitives(result: Obj, name: str, values: Any) -> None:
    if not isinstance(values, list):
        raise BadRequest("invalid patch format of primitive list")
    if isinstance(result.get(name), list):
        result[name] = [value for value in result[name] if value not in values]


def _put_in_order(node: Node, live: Obj, result: Obj, patch: Obj, name: str, order: Any) -> None:
    if not isinstance(order, list):
        raise BadRequest("invalid patch format of setElementOrder list")
    merged = result.get(name)
    if not isinstance(merged, list) or "merge" not in node.patch_strategy:
        return
    key = node.merge_key if _is_map_list(node) else ""
    _check_order(name, order, patch.get(name), key)
    server = live.get(name)
    result[name] = sort_merged(merged, order, server if isinstance(server, list) else [], key)


def _check_order(name: str, order: list[Any], items: Any, key: str) -> None:
    """The order directive must name every element that the patch itself sets."""
    wanted = [item.get(key) for item in order if isinstance(item, dict)] if key else order
    for item in items or ():
        identity = item.get(key) if key and isinstance(item, dict) else item
        deleting = isinstance(item, dict) and DIRECTIVE in item
        if not deleting and identity not in wanted:
            raise BadRequest(f"The order in patch list:\n{items}\n doesn't match {ORDER}{name} list:\n{order}\n")


def _plain(value: Any) -> Any:
    """A value that replaces, without the nulls and directives that only mean something in a merge."""
    if isinstance(value, dict):
        kept = {name: child for name, child in value.items() if child is not None and not _is_directive_key(name)}
        return {name: _plain(child) for name, child in kept.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
