"""gateway: what OpenKruise leaves in an HTTPRoute during a release, of which it notes no original.

Pure. In: an HTTPRoute's spec, and the canary Services that its routes lead to. Out: the spec without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

from graylane.model.meta import Obj, dig

_ORIGINAL_WEIGHT = 1  # what OpenKruise itself leaves: the user's own is in no object any more


def without_canaries(spec: Obj, stable: Set[str], canary: Set[str]) -> Obj | None:
    """None where nothing leads to a Service of `canary`. A rule that leads nowhere else was added, and goes."""
    rules = list(spec.get("rules") or ())
    kept = list(_kept(rules, stable, canary))
    return None if kept == rules else {**spec, "rules": kept}


def _kept(rules: list[Obj], stable: Set[str], canary: Set[str]) -> Iterator[Obj]:
    for rule in rules:
        backends = list(rule.get("backendRefs") or ())
        others = [item for item in backends if not _leads_to(item, canary)]
        if len(others) == len(backends):
            yield rule
        elif others:
            yield rule | {"backendRefs": [_unshared(item) if _leads_to(item, stable) else item for item in others]}


def _leads_to(backend: Obj, services: Set[str]) -> bool:
    is_local = not backend.get("group") and dig(backend, "kind", default="Service") == "Service"
    return is_local and not backend.get("namespace") and backend.get("name") in services


def _unshared(backend: dict[str, Any]) -> Obj:
    return backend | {"weight": _ORIGINAL_WEIGHT}
