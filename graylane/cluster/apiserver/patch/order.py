"""The order of a merged list when a patch carries `$setElementOrder`.

Pure. In: the merged list, the order the patch wants, the list as it was on the server. Out: the list in its new order.
Elements that only the server knows keep their place relative to their neighbours, as apimachinery's strategicpatch
does it: the patch's elements in its order, the server's in theirs, interleaved.
"""

from __future__ import annotations

import json
from typing import Any


def sort_merged(merged: list[Any], order: list[Any], server: list[Any], key: str) -> list[Any]:
    """`key` is the merge key of a list of maps, "" for a list of plain values."""
    wanted = {_identity(item, key): index for index, item in enumerate(order)}
    before = {_identity(item, key): index for index, item in enumerate(server)}
    ordered = [item for item in merged if _identity(item, key) in wanted]
    others = [item for item in merged if _identity(item, key) not in wanted]
    ordered.sort(key=lambda item: wanted[_identity(item, key)])
    others.sort(key=lambda item: before.get(_identity(item, key), len(before)))
    return _interleave(ordered, others, before, key)


def _interleave(ordered: list[Any], others: list[Any], before: dict[str, int], key: str) -> list[Any]:
    """Take from `others` while its head stood before `ordered`'s head on the server; new elements come first."""
    result: list[Any] = []
    left, right = list(ordered), list(others)
    while left and right:
        mine, theirs = before.get(_identity(left[0], key)), before.get(_identity(right[0], key))
        takes_theirs = mine is not None and theirs is not None and theirs < mine
        result.append(right.pop(0) if takes_theirs else left.pop(0))
    return result + left + right


def _identity(item: Any, key: str) -> str:
    value = item.get(key) if key and isinstance(item, dict) else item
    return json.dumps(value, sort_keys=True, default=str)
