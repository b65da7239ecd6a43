"""CustomResourceDefinitions: names completed and accepted, established in the same write that creates them.

Pure. In: definitions. Out: definitions with a status that is already final, or one that says which name is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from graylane.cluster.apiserver import cel
from graylane.cluster.apiserver.schema import celrules
from graylane.cluster.apiserver.schema.fielderror import FieldError, invalid
from graylane.cluster.apiserver.schema.structural import Structural
from graylane.cluster.apiserver.strategy.base import Ledger, Strategy
from graylane.model.meta import Condition, Obj, dig, name_of, set_condition, uid_of

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
STORE = "customresourcedefinitions.apiextensions.k8s.io"


def _named(crd: Obj) -> Obj:
    """Runs before validation: a definition without a kind is left for validation to refuse."""
    spec = crd.get("spec") or {}
    names, kind = spec.get("names") or {}, dig(spec, "names", "kind", default="")
    completed = {"singular": kind.lower(), "listKind": f"{kind}List"} | names if kind else names
    conversion = spec.get("conversion") or {"strategy": "None"}
    return {**crd, "spec": {**spec, "names": completed, "conversion": conversion}}


def _create(crd: Obj, now: datetime) -> Obj:
    return _named(crd)


def _update(new: Obj, old: Obj) -> Obj:
    return _named(new)


def _check(new: Obj, old: Obj | None) -> list[FieldError]:
    spec = new["spec"]
    wanted = f"{spec['names']['plural']}.{spec['group']}"
    errors = []
    if name_of(new) != wanted:
        errors.append(invalid("metadata.name", name_of(new), 'must be spec.names.plural+"."+spec.group'))
    storing = [version for version in spec["versions"] if version.get("storage")]
    if len(storing) != 1:
        errors.append(invalid("spec.versions", None, "must have exactly one version marked as storage version"))
    if old is not None:
        errors += _immutable(spec, old["spec"])
    errors += (invalid(path, p.rule, p.why) for path, p in _unevaluated(spec) if p.served)
    return errors


def _unevaluated(spec: Obj) -> Iterator[tuple[str, celrules.Problem]]:
    """Rules in CEL that do not compile, or need what Graylane does not have."""
    if not cel.available():
        return
    for index, version in enumerate(spec["versions"]):
        schema = dig(version, "schema", "openAPIV3Schema", default={})
        for problem in celrules.problems(schema, f"spec.versions[{index}].schema.openAPIV3Schema"):
            yield problem.path, problem


def _immutable(new: Obj, old: Obj) -> list[FieldError]:
    fields = {"spec.group": ("group",), "spec.scope": ("scope",), "spec.names.kind": ("names", "kind")}
    fields["spec.names.plural"] = ("names", "plural")
    return [
        invalid(path, dig(new, *steps), "field is immutable")
        for path, steps in fields.items()
        if dig(new, *steps) != dig(old, *steps)
    ]


def _allocate(new: Obj, old: Obj | None, ledger: Ledger) -> Obj:
    """Names are taken by whoever came first; the loser is stored, but not served, and its status says why."""
    conflict = _conflict(new, [e.obj for e in ledger.heads.heads(STORE) if uid_of(e.obj) != uid_of(new)])
    return {**new, "status": _status(new, conflict, ledger.now)}


def waits_for(crd: Obj, other: Obj) -> bool:
    """Whether a change or the end of `other` may free a name that `crd` was refused."""
    return not is_accepted(crd) and crd["spec"]["group"] == other["spec"]["group"] and uid_of(crd) != uid_of(other)


def judged_again(crd: Obj, others: Iterable[Obj], now: datetime) -> Obj:
    """`crd` with the status that follows from who holds which name today."""
    conflict = _conflict(crd, [other for other in others if uid_of(other) != uid_of(crd)])
    return {**crd, "status": _status(crd, conflict, now)}


def _conflict(crd: Obj, others: list[Obj]) -> str:
    mine = crd["spec"]
    taken = {
        name
        for other in others
        if other["spec"]["group"] == mine["group"] and is_accepted(other)
        for name in _all_names(other["spec"]["names"])
    }
    return next((name for name in sorted(_all_names(mine["names"])) if name in taken), "")


def _all_names(names: Obj) -> set[str]:
    """Plural, singular, short names and kinds share one space per group, as clients look them up in one."""
    return {names["plural"], names["singular"], names["kind"], names["listKind"], *names.get("shortNames", ())}


def is_accepted(crd: Obj) -> bool:
    conditions = dig(crd, "status", "conditions", default=[])
    return any(entry["type"] == "NamesAccepted" and entry["status"] == "True" for entry in conditions)


def _status(crd: Obj, conflict: str, now: datetime) -> Obj:
    before = crd.get("status") or {}
    conditions: list[Obj] = before.get("conditions") or []
    for condition in _conditions(conflict):
        conditions = set_condition(conditions, condition, now)
    storage = next(version["name"] for version in crd["spec"]["versions"] if version.get("storage"))
    stored = before.get("storedVersions") or []
    return {
        "acceptedNames": before.get("acceptedNames", {"plural": "", "kind": ""}) if conflict else crd["spec"]["names"],
        "conditions": conditions,
        "storedVersions": stored if storage in stored else [*stored, storage],
    }


def _conditions(conflict: str) -> tuple[Condition, Condition]:
    if conflict:
        reason = f'"{conflict}" is already in use'
        return (
            Condition("NamesAccepted", "False", "NamesConflict", reason),
            Condition("Established", "False", "NotAccepted", "not all names are accepted"),
        )
    return (
        Condition("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        Condition("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
    )


def _warnings(crd: Obj) -> list[str]:
    """Rules in CEL that are kept, but not evaluated: whoever relies on them must know."""
    found: list[str] = []
    for version in crd["spec"]["versions"]:
        schema = dig(version, "schema", "openAPIV3Schema")
        paths = Structural.from_crd(schema).unenforced
        if paths:
            shown = ", ".join(path or "the root" for path in paths)
            found.append(f"Graylane stores but does not evaluate CEL rules of {version['name']}: {shown}; {cel.EXTRA}")
    lacking = [(path, problem) for path, problem in _unevaluated(crd["spec"]) if not problem.served]
    return found + [f"Graylane does not evaluate {path}: {problem.why}" for path, problem in lacking]


CRDS = Strategy(create=_create, update=_update, check=_check, allocate=_allocate, warnings=_warnings)
