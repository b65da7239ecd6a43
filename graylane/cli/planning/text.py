"""A plan as lines of at most 80 columns, and as a document.

Pure. In: `Moment`s. Out: lines, or plain values for JSON and YAML.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from graylane.cli.demo.diffs import diff
from graylane.cli.planning.moments import Change, Moment
from graylane.mesh.prove.words import lines as proof_lines
from graylane.model.kinds import BATCH_RELEASE, ROLLOUT, TRAFFIC_ROUTING
from graylane.model.meta import Obj, finalizers_of, name_of

_WIDTH = 80
_SUPPOSED = "Nothing in these manifests changes what {names} released; planned as if a next version came."
_NOTHING = "No Rollout in namespace {namespace}: nothing is released step by step."


def lines(moments: list[Moment], supposed: list[str], namespace: str) -> list[str]:
    """Each moment with what changes and what is proved of its routes, and what it waits for."""
    found = textwrap.wrap(_SUPPOSED.format(names=_listed(supposed)), _WIDTH) if supposed else []
    for number, moment in enumerate(moments, 1):
        found += ["", f"{number}  {moment.title}", *_changes(moment), *_proofs(moment), *_waits(moment)]
    if not any(moment.waits for moment in moments):
        found += ["", _NOTHING.format(namespace=namespace)]
    return found[1:] if found[:1] == [""] else found


def _listed(names: list[str]) -> str:
    return " and ".join(names) + (" has" if len(names) == 1 else " have")


def _changes(moment: Moment) -> Iterator[str]:
    if not moment.changes:
        yield "   nothing changes"
    for change in moment.changes:
        like = f", like {name_of(change.like)} but for" if change.like and change.old is None else ""
        yield f"   {change.kind.kind} {change.key.name} {change.action}{like}"
        yield from (f"     {line}" for line in _diff(change))


def _diff(change: Change) -> list[str]:
    """Of a Rollout and a TrafficRouting the release changes only marks for controllers; those are named in a word.

    A new BatchRelease repeats the Rollout's plan, which its reader has just written.
    """
    if change.kind in (ROLLOUT, TRAFFIC_ROUTING):
        return _marks(change.old, change.new) or diff(change.old, change.new)[2:]
    if change.new is None or (change.kind == BATCH_RELEASE and change.old is None):
        return []
    if change.old is None and change.like is not None:
        return diff(change.like, _in_order_of(change.like, change.new))[2:]
    return diff(change.old, _in_order_of(change.old, change.new))[2:]


def _in_order_of(like: Any, value: Any) -> Any:
    """The same value with its fields in the other's order, so that only what differs shows."""
    if isinstance(like, list) and isinstance(value, list) and len(like) == len(value):
        return [_in_order_of(one, other) for one, other in zip(like, value, strict=True)]
    if not isinstance(like, dict) or not isinstance(value, dict):
        return value
    names = [name for name in like if name in value] + [name for name in value if name not in like]
    return {name: _in_order_of(like.get(name), value[name]) for name in names}


def _marks(old: Obj | None, new: Obj | None) -> list[str]:
    before, after = finalizers_of(old or {}), finalizers_of(new or {})
    gone = [f"- finalizer {name}" for name in before if name not in after]
    return gone + [f"+ finalizer {name}" for name in after if name not in before]


def _proofs(moment: Moment) -> Iterator[str]:
    for proof in moment.proofs:
        yield from (f"   {line}" for line in proof_lines(proof))


def _waits(moment: Moment) -> Iterator[str]:
    for name, text in moment.waits.items():
        yield from textwrap.wrap(f"   {name}: {text}", _WIDTH, subsequent_indent="     ", break_on_hyphens=False)


def document(moments: list[Moment], supposed: list[str]) -> dict[str, Any]:
    return {
        "supposed": supposed,
        "moments": [
            {
                "title": moment.title,
                "changes": [_change(change) for change in moment.changes],
                "proofs": [
                    {
                        "lane": str(proof.lane),
                        "holds": proof.holds,
                        "requests": proof.requests,
                        "says": proof_lines(proof),
                    }
                    for proof in moment.proofs
                ],
                "says": dict(moment.waits),
                "approve": list(moment.asks),
            }
            for moment in moments
        ],
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind.kind,
        "namespace": change.key.namespace,
        "name": change.key.name,
        "action": str(change.action),
        "diff": _diff(change),
        "object": change.new,
    }
