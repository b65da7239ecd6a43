"""The unified diff of one object's spec and annotations, as YAML.

Pure. In: the object before and after (None where it did not exist). Out: lines, none when nothing a user wrote differs.
"""

from __future__ import annotations

import difflib

import yaml

from graylane.cli.apply import LAST_APPLIED
from graylane.model.meta import Obj, annotations_of, name_of

_CONTEXT = 4
_WIDTH = 76  # what a screen of 80 columns leaves beside the narrator's indent
_AROUND = len("+    : ''")


def diff(old: Obj | None, new: Obj | None) -> list[str]:
    """kubectl's own bookkeeping annotation is left out: it repeats the object."""
    label = f"{(new or old or {}).get('kind', '')}/{name_of(new or old or {})}"
    lines = difflib.unified_diff(_text(old), _text(new), f"{label} before", f"{label} after", lineterm="", n=_CONTEXT)
    return list(lines)


def _text(obj: Obj | None) -> list[str]:
    if obj is None:
        return []
    annotations = {name: _short(name, text) for name, text in annotations_of(obj).items() if name != LAST_APPLIED}
    shown: Obj = {"metadata": {"annotations": annotations}} if annotations else {}
    shown["spec"] = obj.get("spec")
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=1000).splitlines()


def _short(name: str, text: str) -> str:
    """Annotations that hold documents would drown the diff; their length still shows that they changed."""
    room = _WIDTH - _AROUND - len(name)
    if len(text) <= room:
        return text
    rest = f"… ({len(text)} characters)"
    return text[: max(0, room - len(rest))] + rest
