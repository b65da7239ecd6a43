"""Delegation: a root VirtualService hands some of its paths to VirtualServices without hosts.

Pure. In: VirtualServices as written. Out: the same with every `delegate` rule replaced by the delegate's rules, each of
whose matches is joined with the root's. A rule with a match that contradicts all of the root's falls away as a whole,
contradictions between two matches alone. A delegate may not delegate again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
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
    """[] when neither side asks for anything; None when one of ours contradicts all of the root's."""
    if not root or not ours:
        return list(root or ours or [])
    joined: list[Block] = []
    for own in ours:
        found = [match for above in root if (match := _joined_match(above, own)) is not None]
        if not found:
            return None
        joined.extend(found)
    return joined


def _joined_match(root: Block, ours: Block) -> Block | None:
    """None for a contradiction."""
    if not _goes_with(root, ours):
        return None
    joined = dict(root) | dict(ours)
    for field in _BY_NAME:
        if both := {**(root.get(field) or {}), **(ours.get(field) or {})}:
            joined[field] = both
    if not ours.get("gateways") and root.get("gateways"):
        joined["gateways"] = root["gateways"]
    names = [str(match["name"]) for match in (root, ours) if match.get("name")]
    if names:
        joined["name"] = "-".join(names)
    return joined


_TEXTS = ("uri", "scheme", "method", "authority")
_NAMED_TEXTS = ("headers", "withoutHeaders", "queryParams")
_BY_NAME = (*_NAMED_TEXTS, "sourceLabels")


def _goes_with(root: Block, ours: Block) -> bool:
    """A root's `sourceNamespace` and `ignoreUriCase` ours have to repeat, as in Istio."""
    pairs = [(root.get(field), ours.get(field)) for field in _TEXTS]
    for field in _NAMED_TEXTS:
        above = root.get(field) or {}
        pairs += [(above.get(name), text) for name, text in (ours.get(field) or {}).items()]
    if not all(_narrows(above, below) for above, below in pairs):
        return False
    if bool(root.get("ignoreUriCase")) != bool(ours.get("ignoreUriCase")):
        return False
    if root.get("port") and ours.get("port") and root["port"] != ours["port"]:
        return False
    if root.get("sourceNamespace") and root["sourceNamespace"] != ours.get("sourceNamespace"):
        return False
    labels, wanted = root.get("sourceLabels") or {}, ours.get("sourceLabels") or {}
    if any(name in labels and labels[name] != value for name, value in wanted.items()):
        return False
    gateways, fewer = root.get("gateways") or (), ours.get("gateways") or ()
    return not gateways or (len(fewer) <= len(gateways) and set(fewer) <= set(gateways))


def _narrows(above: Block | None, below: Block | None) -> bool:
    """Whether a condition is no wider than the one above it, which of regular expressions and presence nobody knows."""
    if above is None or below is None:
        return True
    if above.get("regex") or below.get("regex"):
        return False
    if above.get("exact"):
        return bool(below.get("exact") == above["exact"])
    text = str(below.get("prefix") or below.get("exact") or "")
    return bool(above.get("prefix")) and bool(text) and text.startswith(str(above["prefix"]))
