"""What the embedded API serves, only stores and refuses, as `docs/limits.md` says it.

Pure. In: the tables that requests are answered by. Out: Markdown. `tools/write_limits.py` puts it into the page, and a
test compares the page with it, so that the page cannot say otherwise than the server does.
"""

from __future__ import annotations

from collections.abc import Iterable

from graylane.cluster.apiserver.resources import BUILT_IN, MEASURED, NOT_SERVED, REVIEWS, Acts, Resource
from graylane.cluster.apiserver.subresources.refused import INSTEAD

BEGIN, END = "<!-- begin: written by tools/write_limits.py -->", "<!-- end -->"
_WIDTH = 160
_CORE = "core"


def page(text: str) -> str:
    """The page with its written part renewed."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{section()}{END}{after}"


def section() -> str:
    parts = [
        ("Acted on, as in Kubernetes:", _kinds(Acts.YES)),
        ("Kept as data, which is all that Kubernetes does with them:", _kinds(Acts.DATA)),
        ("Stored as kube-apiserver would, with a `Warning` that nothing acts on them:", _kinds(Acts.NO)),
        ("Answered and not stored:", _grouped((each.group, each.kind) for each in REVIEWS)),
        ("Measured when somebody asks:", _grouped((each.group, _shown(each)) for each in MEASURED)),
    ]
    found = "".join(f"{head}\n\n{_bullets(groups)}\n" for head, groups in parts)
    refused = [(f"`{name}`", why, "501") for name, why in INSTEAD.items()]
    refused += [(name, why, "404") for name, why in NOT_SERVED.items()]
    rows = "".join(f"| {name} | {code} | {why} |\n" for name, why, code in refused)
    return f"{found}Refused:\n\n| What | Answer | Because, or instead |\n| --- | --- | --- |\n{rows}"


def _kinds(acts: Acts) -> dict[str, list[str]]:
    return _grouped((_group(each.group), _shown(each)) for each in BUILT_IN if each.acts is acts)


def _group(name: str) -> str:
    return name or _CORE


def _shown(resource: Resource) -> str:
    return resource.kind if resource.version == "v1" else f"{resource.kind} ({resource.version})"


def _grouped(found: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for group, kind in found:
        groups.setdefault(group, []).append(kind)
    return groups


def _bullets(groups: dict[str, list[str]]) -> str:
    """One line per group, broken where it grows too long."""
    return "".join(_wrapped(f"* {group}:", kinds) for group, kinds in groups.items())


def _wrapped(line: str, kinds: list[str]) -> str:
    lines = [line]
    for number, kind in enumerate(kinds):
        word = f" {kind}" + ("," if number < len(kinds) - 1 else "")
        if len(lines[-1]) + len(word) > _WIDTH:
            lines.append(" ")
        lines[-1] += word
    return "\n".join(lines) + "\n"
