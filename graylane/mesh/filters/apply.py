"""HTTP_FILTER patches worked into the filter list of one connection manager.

Pure. In: the generated filters and the patches that concern their listener. Out: the list Envoy gets. List edits come
first, in order, each seeing what the ones before it did; merges come last, as in Istio.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graylane.mesh.filters.merge import merge
from graylane.mesh.filters.patches import Patch


def http_filters(generated: Sequence[Any], patches: Sequence[Patch]) -> list[Any]:
    filters = list(generated)
    for patch in patches:
        if patch.operation != "MERGE":
            _edit(filters, patch)
    for patch in patches:
        if patch.operation == "MERGE":
            filters = [_merged(each, patch) for each in filters]
    return filters


def _edit(filters: list[Any], patch: Patch) -> None:
    place = next((index for index, each in enumerate(filters) if each.name == patch.beside), None)
    if patch.beside and place is None and patch.operation != "ADD":
        return  # it asks to be put beside something that is not there
    match patch.operation:
        case "ADD":
            filters.append(patch.value)
        case "INSERT_FIRST":
            filters.insert(0, patch.value)
        case "INSERT_BEFORE":
            filters.insert(place or 0, patch.value)
        case "INSERT_AFTER":
            filters.insert(len(filters) if place is None else place + 1, patch.value)
        case "REMOVE" if place is not None:
            del filters[place]
        case "REPLACE" if place is not None:
            filters[place] = patch.value


def _merged(target: Any, patch: Patch) -> Any:
    if patch.beside not in ("", target.name):
        return target
    result = type(target)()
    result.CopyFrom(target)
    merge(result, patch.value)
    return result
