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
from graylane.errors import Invalid, Unclassified
from graylane.model.meta import Obj

DIRECTIVE = "$patch"
RETAIN = "$retainKeys"
DELETE_PRIMITIVE = "$deleteFromPrimitiveList/"
ORDER = "$setElementOrder/"


def apply(obj: Obj, patch: Obj, structural: Structural) -> Obj:
    """`obj` after `patch`. The same patch applied again changes nothing."""
    if not isinstance(patch, dict):
        raise Unclassified("invalid JSON document")
    merged: Obj = _merge_map(structural.root, obj, patch)
    return merged


def _merge_map(node: Node, live: Obj, patch: Obj) -> Any:
    directive = patch.get(DIRECTIVE)
    if directive == "replace":
        return _plain(patch)
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise Unclassified(f"unknown patch type: {directive} in map: {patch}")
    result = _retained(live, patch)
    for name, order in _directives(patch, ORDER):
        _check_order(node.child(name) or ANYTHING, name, order, patch.get(name))
    for name, values in _directives(patch, DELETE_PRIMITIVE):
        _delete_primitives(result, name, values)
    for name, value in patch.items():
        if not _is_directive_key(name):
            _merge_field(node.child(name) or ANYTHING, result, name, value)
    for name, order in _directives(patch, ORDER):
        _put_in_order(node.child(name) or ANYTHING, live, result, name, order)
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
    elif isinstance(value, dict) and DIRECTIVE in value and not isinstance(live, dict):
        # Kubernetes obeys a directive only where a map is there to obey it on, and keeps nothing otherwise.
        result.pop(name, None)
    elif isinstance(value, dict):
        merging = isinstance(live, dict) and "replace" not in node.patch_strategy
        result[name] = _merge_map(node, live, value) if merging and live is not None else _plain(value)
    elif isinstance(value, list) and isinstance(live, list):
        result[name] = _merge_list(node, live, value)
    else:
        result[name] = _plain(value)


def _retained(live: Obj, patch: Obj) -> Obj:
    """`live` without the keys that `$retainKeys` does not list; it must list every key the patch sets."""
    if RETAIN not in patch:
        return dict(live)
    keep = patch[RETAIN]
    if not isinstance(keep, list):
        raise Unclassified("invalid patch format of retainKeys")
    for name, value in patch.items():
        if not name.startswith("$") and value is not None and name not in keep:
            raise Unclassified("invalid patch format of retainKeys")
    return {name: value for name, value in live.items() if name in keep}


def _merge_list(node: Node, live: list[Any], patch: list[Any]) -> list[Any]:
    if "merge" not in node.patch_strategy:
        plain: list[Any] = _plain(patch)
        return plain
    if any(isinstance(item, list) for item in patch):
        raise Invalid("lists of lists are not supported")
    if _is_map_list(node):
        return _merge_map_list(node, live, patch)
    every = [*live, *patch]
    merged = [value for index, value in enumerate(every) if value not in every[:index]]
    return sort_merged(merged, patch, live, "")


def _is_map_list(node: Node) -> bool:
    return node.items is not None and node.items.type in ("object", "")


def _merge_map_list(node: Node, live: list[Any], patch: list[Any]) -> list[Any]:
    """Merge by key, the patch's elements in its order. One `{$patch: replace}` makes the others the whole list."""
    key = node.merge_key
    kept, wanted, replaces = list(live), [], False
    for item in patch:
        directive = _checked_directive(item, key)
        replaces = replaces or directive == "replace"
        if directive is None:
            wanted.append(item)
        elif directive == "delete":
            # Every match goes, not only the first: two ports may share a containerPort under different protocols.
            kept = [old for old in kept if not _same(old, item, key)]
    if replaces:
        plain: list[Any] = _plain(wanted)
        return plain
    merged = list(kept)
    for item in wanted:
        _merge_element(node.items or ANYTHING, merged, item, key)
    return sort_merged(merged, wanted, kept, key)


def _checked_directive(item: Any, key: str) -> str | None:
    """The element's directive; an element without one, or one to delete, must say which element it means."""
    if not isinstance(item, dict):
        raise Unclassified(f"expected a map in a list that merges by {key}, found: {item!r}")
    directive = item.get(DIRECTIVE)
    if directive not in (None, "delete", "replace"):
        raise Unclassified(f"unknown patch type: {directive} in map: {item}")
    if key not in item and directive != "replace":
        raise Unclassified(f"map: {item} does not contain declared merge key: {key}")
    return directive


def _same(old: Any, item: Obj, key: str) -> bool:
    return isinstance(old, dict) and key in old and old[key] == item[key]


def _merge_element(node: Node, merged: list[Any], item: Obj, key: str) -> None:
    for index, old in enumerate(merged):
        if _same(old, item, key):
            merged[index] = _merge_map(node, old, item)
            return
    merged.append(_plain(item))


def _delete_primitives(result: Obj, name: str, values: Any) -> None:
    if not isinstance(values, list):
        raise Unclassified("invalid patch format of primitive list")
    if isinstance(result.get(name), list):
        result[name] = [value for value in result[name] if value not in values]


def _put_in_order(node: Node, live: Obj, result: Obj, name: str, order: list[Any]) -> None:
    merged = result.get(name)
    if not isinstance(merged, list) or "merge" not in node.patch_strategy:
        return
    key = node.merge_key if _is_map_list(node) else ""
    server = live.get(name)
    result[name] = sort_merged(merged, order, server if isinstance(server, list) else [], key)


def _check_order(node: Node, name: str, order: Any, items: Any) -> None:
    """What the patch sets must stand in the order directive, in that order."""
    if not isinstance(order, list) or not isinstance(items, list | None):
        raise Unclassified("invalid patch format of setElementOrder list")
    key = node.merge_key if _is_map_list(node) else ""
    wanted = iter([_identity(item, key) for item in order])
    for item in items or ():
        if _is_directed(item):
            continue
        if _identity(item, key) not in wanted:  # consumes, so the order counts too
            raise Unclassified(f"The order in patch list:\n{items}\n doesn't match {ORDER}{name} list:\n{order}\n")


def _identity(item: Any, key: str) -> Any:
    return item.get(key) if key and isinstance(item, dict) else item


def _plain(value: Any) -> Any:
    """A value that replaces, without the nulls and directives that only mean something in a merge."""
    if isinstance(value, dict):
        kept = {name: child for name, child in value.items() if child is not None and not _is_directive_key(name)}
        return {name: _plain(child) for name, child in kept.items() if not _is_directed(child)}
    if isinstance(value, list):
        return [_plain(item) for item in value if not _is_directed(item)]
    return value


def _is_directed(value: Any) -> bool:
    return isinstance(value, dict) and DIRECTIVE in value
