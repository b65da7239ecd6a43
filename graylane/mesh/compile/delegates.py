"""Delegation: a root VirtualService hands some of its paths to VirtualServices without hosts.

Pure. In: VirtualServices as written. Out: the same with every `delegate` rule replaced by the delegate's rules, each of
whose matches is joined with the root's; contradictions fall away. A delegate may not delegate again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from graylane.mesh.inputs import Block, VirtualService
from graylane.model.meta import Key

HOME = "graylane:namespace"
PLACE = "graylane:place"
_INHERITED = (
    "rewrite",
    "directResponse",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirrors",
    "mirrorPercentage",
    "mirrorPercent",
    "corsPolicy",
    "headers",
)


def delegates_of(root: VirtualService) -> tuple[Key, ...]:
    """The objects this one hands rules to."""
    return tuple(_key(root, rule["delegate"]) for rule in root.http if rule.get("delegate"))


def _key(root: VirtualService, block: Block) -> Key:
    return Key(str(block.get("namespace") or root.namespace), str(block.get("name") or ""))


def expand(root: VirtualService, found: Mapping[Key, VirtualService]) -> VirtualService:
    """`root` without delegations. A missing or invisible delegate costs only its own rule."""
    rules: list[Block] = []
    for index, rule in enumerate(root.http):
        place = f"http[{index}]"
        if not rule.get("delegate"):
            rules.append({**rule, PLACE: place})
            continue
        delegate = found.get(_key(root, rule["delegate"]))
        if delegate is not None and not delegate.hosts and delegate.visible_from(root.namespace):
            rules.extend(_joined_rules(rule, delegate, place))
    return replace(root, http=tuple(rules))


def place_of(rule: Block, index: int) -> str:
    """Where a rule of an effective VirtualService was written; a delegate's also says where."""
    return str(rule.get(PLACE) or f"http[{index}]")


def _joined_rules(root: Block, delegate: VirtualService, place: str) -> Iterable[Block]:
    for index, rule in enumerate(delegate.http):
        if rule.get("delegate"):
            continue
        matches = _joined_matches(root.get("match"), rule.get("match"))
        if matches is None:
            continue
        joined = {name: root[name] for name in _INHERITED if root.get(name) is not None} | dict(rule)
        joined.pop("match", None)
        if matches:
            joined["match"] = matches
        names = [str(name) for name in (root.get("name"), rule.get("name")) if name]
        if names:
            joined["name"] = "-".join(names)
        # A destination's short name means a service next to the delegate, not next to the root.
        joined[HOME] = delegate.namespace
        joined[PLACE] = f"{place}, by delegation {delegate.source} http[{index}]"
        yield joined


def _joined_matches(root: Any, ours: Any) -> list[Block] | None:
    """None when every pair contradicts; [] when neither side asks for anything."""
    if not root or not ours:
        return list(root or ours or [])
    joined = [match for pair in product(root, ours) if (match := _joined_match(*pair)) is not None]
    return joined or None


def _joined_match(root: Block, ours: Block) -> Block | None:
    joined = dict(root) | dict(ours)
    uri = _joined_uri(root, ours)
    if uri is None:
        return None
    if uri:
        joined["uri"] = uri
    for field in ("headers", "withoutHeaders", "queryParams", "sourceLabels"):
        both = _joined_maps(root.get(field), ours.get(field))
        if both is None:
            return None
        if both:
            joined[field] = both
    for field in ("method", "scheme", "authority", "port", "sourceNamespace", "ignoreUriCase"):
        if field in root and field in ours and root[field] != ours[field]:
            return None
    if root.get("gateways") and ours.get("gateways") and not set(ours["gateways"]) <= set(root["gateways"]):
        return None
    names = [str(match["name"]) for match in (root, ours) if match.get("name")]
    if names:
        joined["name"] = "-".join(names)
    return joined


def _joined_uri(root: Block, ours: Block) -> Block | None:
    """The narrower of two path conditions, {} for none, None for a contradiction."""
    above, below = root.get("uri") or {}, ours.get("uri") or {}
    if not above or not below:
        return above or below
    if "regex" in above or "regex" in below:
        return None
    if "exact" in above:
        return below if below == above else None
    path = str(below.get("exact", below.get("prefix", "")))
    return below if path.startswith(str(above["prefix"])) else None


def _joined_maps(root: Any, ours: Any) -> dict[str, Any] | None:
    root, ours = root or {}, ours or {}
    if any(name in ours and ours[name] != value for name, value in root.items()):
        return None
    return {**root, **ours}
