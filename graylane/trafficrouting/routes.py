"""What a routed object remembers: the user's original, whose routes are in it, and what exactly was added.

Pure. In: an object, the wishes of TrafficRoutings, a script's result. Out: the original as it is now, edits included,
and the patch that makes the object as wanted. The memory lives in two annotations on the object itself, so it survives
every process and travels with the object; `rollouts.kruise.io/original-spec-configuration` is OpenKruise's, whose
half-done releases are taken over by it.

Three-way: an object that differs from what we last wrote was edited. Without our additions it is the new original, the
script runs on that, and in the end only our additions go.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graylane.errors import BadRequest, Invalid
from graylane.model.meta import Obj, annotations_of, dig, labels_of
from graylane.model.patches import create_merge_patch, json_patch
from graylane.model.trafficrouting import ADDED, ORIGINAL
from graylane.trafficrouting.merge import added_items, additions, difference, unapply
from graylane.trafficrouting.providers.custom import Contribution

Data = dict[str, Any]  # what scripts see of an object: spec, labels, annotations, each only where present
Wishes = Mapping[str, Contribution]  # by "<TrafficRouting>/<Service>"; their order never matters

_OURS = frozenset({ORIGINAL, ADDED})


@dataclass(frozen=True, slots=True)
class Memory:
    """What the annotations say. `written` is what we left the object as, last time."""

    original: Data
    written: Data
    wishes: Wishes


def wish_key(routing: str, service: str) -> str:
    return f"{routing}/{service}"


def author(key: str) -> str:
    """The TrafficRouting's name in a wish's key."""
    return key.partition("/")[0]


def data_of(obj: Obj) -> Data:
    """The part of `obj` that scripts see, without our own annotations."""
    annotations = {name: value for name, value in annotations_of(obj).items() if name not in _OURS}
    data = {"spec": dig(obj, "spec"), "labels": labels_of(obj), "annotations": annotations}
    return {name: value for name, value in data.items() if value or (name == "spec" and value is not None)}


def recall(obj: Obj) -> Memory | None:
    """The memory in `obj`; None where there is none, or none that can be read."""
    annotations, live = annotations_of(obj), data_of(obj)
    original, added = _parsed(annotations.get(ORIGINAL)), _parsed(annotations.get(ADDED)) or {}
    try:
        wishes = {key: Contribution.from_json(wish) for key, wish in added.get("for", {}).items()}
        patch = list(added.get("patch", ()))
        if original is None:
            return Memory(_without(live, patch), live, wishes) if wishes else None
        return Memory(original, json_patch(original, patch) if patch else live, wishes)
    except (BadRequest, Invalid, KeyError, TypeError, AttributeError):
        # Unreadable, or OpenKruise began this release: it does not say what it added, so all that differs is its.
        return None if original is None else Memory(original, live, {})


def holds_wish_of(memory: Memory | None, routing: str) -> bool:
    """Whether routes of this TrafficRouting may be there; an OpenKruise release does not say whose they are."""
    return memory is not None and (not memory.wishes or any(author(key) == routing for key in memory.wishes))


def original_of(obj: Obj, memory: Memory | None) -> Data:
    """The user's object as it would be without us, with all edits made since."""
    return data_of(obj) if memory is None else unapply(memory.original, memory.written, data_of(obj))


def recovered(live: Data, desired: Data) -> Data:
    """`live` without what the script would add to it although it stands there already.

    For an object whose memory somebody removed in the middle of a release: taking our rule for the user's would make it
    stay for ever. `desired` is the script's result for `live`.
    """
    return additions({}, {"added": added_items(live, desired)}).strip(live)  # type: ignore[no-any-return]


def change(obj: Obj, memory: Memory | None, original: Data, wishes: Wishes, desired: Data) -> Obj | None:
    """The merge patch that makes `obj` as `desired`, remembering why; None when it is so already.

    Labels and annotations that others change all the time are no reason to write: the memory catches up with the next
    write that has one, else two controllers that stamp what they see would never rest.
    """
    same_wishes = memory is not None and dict(memory.wishes) == dict(wishes)
    at_rest = memory is None if not wishes else same_wishes and memory is not None and _same_spec(memory, original)
    if at_rest and data_of(obj) == desired and (wishes or not _OURS & annotations_of(obj).keys()):
        return None
    wanted = desired if not wishes else _with_memory(original, wishes, desired)
    patch = create_merge_patch(_parts(obj), _as_object(wanted))
    return patch or None


def kept(old: Obj, new: Obj, memory: Memory, original: Data, desired: Data) -> Data | None:
    """All that `new`, somebody's write over `old`, has to hold for ours to stay in it; None when it does.

    `memory` is `old`'s: what a client sends of our annotations, or leaves out of them, is no more than a copy.
    """
    if data_of(new) == desired and _notes(new) == _notes(old) and _same_spec(memory, original):
        return None
    return _with_memory(original, memory.wishes, desired)


def _notes(obj: Obj) -> dict[str, str | None]:
    return {name: annotations_of(obj).get(name) for name in _OURS}


def _same_spec(memory: Memory, original: Data) -> bool:
    return bool(memory.original.get("spec") == original.get("spec"))


def _with_memory(original: Data, wishes: Wishes, desired: Data) -> Data:
    added = {
        "for": {key: wishes[key].to_json() for key in sorted(wishes)},
        "patch": difference(original, desired),
    }
    notes = {ORIGINAL: _text(original), ADDED: _text(added)}
    return desired | {"annotations": dict(desired.get("annotations") or {}) | notes}


def _parts(obj: Obj) -> Obj:
    parts: Obj = {"metadata": {"labels": labels_of(obj), "annotations": annotations_of(obj)}}
    return parts | ({"spec": obj["spec"]} if "spec" in obj else {})


def _as_object(data: Data) -> Obj:
    metadata = {"labels": data.get("labels") or {}, "annotations": data.get("annotations") or {}}
    return {"metadata": metadata} | ({"spec": data["spec"]} if "spec" in data else {})


def _without(live: Data, patch: list[Any]) -> Data:
    """The best that can be done when the original is lost: the items that `patch` says we added go."""
    added = [operation["value"] for operation in patch if operation["op"] == "add"]
    return additions({}, {"added": added}).strip(live)  # type: ignore[no-any-return]


def _parsed(text: str | None) -> dict[str, Any] | None:
    try:
        value = json.loads(text) if text else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
