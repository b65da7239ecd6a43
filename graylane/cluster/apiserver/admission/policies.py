"""ValidatingAdmissionPolicy: refusals in CEL, without a webhook.

Shell (reads the store). In: a change under review. Out: nothing, or the first refusal; `Warn` bindings only say so.
Without the extra `cel` policies are stored, which a Warning header tells, and nothing is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from graylane.cluster.apiserver import cel, failures
from graylane.cluster.apiserver.admission import rules
from graylane.cluster.apiserver.admission.chain import Admitted
from graylane.cluster.apiserver.admission.policy_texts import NAMES
from graylane.cluster.apiserver.admission.review import ask
from graylane.cluster.apiserver.admission.rules import Subject
from graylane.cluster.apiserver.admission.webhooks import question_of, subject_of
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.store import Store
from graylane.errors import ApiError
from graylane.model.meta import Key, Obj, dig, name_of
from graylane.model.selectors import LabelSelector

_GROUP = "admissionregistration.k8s.io"
POLICIES, BINDINGS = f"validatingadmissionpolicies.{_GROUP}", f"validatingadmissionpolicybindings.{_GROUP}"
_CODES = {"Unauthorized": 401, "Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413}


@dataclass(frozen=True, slots=True)
class Bound:
    """A policy as one binding applies it."""

    policy: Obj
    binding: Obj

    @property
    def title(self) -> str:
        return f"ValidatingAdmissionPolicy '{name_of(self.policy)}' with binding '{name_of(self.binding)}'"

    def does(self, action: str) -> bool:
        return action in (dig(self.binding, "spec", "validationActions") or ())


@dataclass(frozen=True, slots=True)
class Objection:
    message: str
    reason: str = "Invalid"


class Policies:
    """Implements `chain.Admission`; it changes nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def mutate(self, call: Call, admitted: Admitted) -> Obj:
        return admitted.obj if admitted.obj is not None else admitted.old or {}

    async def validate(self, call: Call, admitted: Admitted) -> None:
        bindings = self._store.entries(BINDINGS)
        if not bindings or call.resource.group == _GROUP or not cel.available():
            return
        subject = subject_of(self._store, call, admitted)
        for entry in bindings:
            policy = self._store.get(POLICIES, Key("", dig(entry.obj, "spec", "policyName", default="")))
            bound = policy and Bound(policy.obj, entry.obj)
            if bound and _concerns(bound, subject):
                self._apply(bound, call, admitted)

    def _apply(self, bound: Bound, call: Call, admitted: Admitted) -> None:
        values = self._values(call, admitted)
        for params in self._params(bound, call):
            for objection in _objections(bound, {**values, "params": params}):
                if bound.does("Deny"):
                    raise _refusal(bound, call, admitted, objection)
                if bound.does("Warn"):
                    call.warn(f"Validation failed for {bound.title}: {objection.message}")

    def _values(self, call: Call, admitted: Admitted) -> Obj:
        namespace = self._store.get("namespaces", Key("", call.key.namespace)) if call.key.namespace else None
        request = ask(question_of(call, admitted), admitted.obj, admitted.old)["request"]
        return {
            "object": admitted.obj,
            "oldObject": admitted.old,
            "request": request,
            "namespaceObject": namespace.obj if namespace else None,
        }

    def _params(self, bound: Bound, call: Call) -> list[Obj | None]:
        """Each object that the binding's `paramRef` means; one None for policies without parameters."""
        kind, reference = dig(bound.policy, "spec", "paramKind"), dig(bound.binding, "spec", "paramRef")
        if not kind or not reference:
            return [None]
        resource = call.api.registry.by_kind(kind.get("apiVersion") or "", kind.get("kind") or "")
        namespace = (reference.get("namespace") or call.key.namespace) if resource and resource.namespaced else ""
        entries = self._store.entries(resource.store, namespace) if resource else []
        wanted = LabelSelector.of(reference.get("selector")) if reference.get("selector") else None
        found = [
            entry.obj
            for entry in entries
            if (wanted.matches(entry.labels) if wanted else entry.key.name == reference.get("name"))
        ]
        return list(found) if found else _without(bound, call)


def _without(bound: Bound, call: Call) -> list[Obj | None]:
    if dig(bound.binding, "spec", "paramRef", "parameterNotFoundAction") == "Allow":
        return []
    why = f"{bound.title} denied request: no params found for policy binding with `Deny` parameterNotFoundAction"
    raise failures.forbidden(call.resource, call.key.name, why)


def _concerns(bound: Bound, subject: Subject) -> bool:
    constraints = (dig(bound.policy, "spec", "matchConstraints"), dig(bound.binding, "spec", "matchResources"))
    return all(_matches(one, subject) for one in constraints if one)


def _matches(constraint: Obj, subject: Subject) -> bool:
    """A constraint without rules (of a binding) matches whatever its selectors do."""
    selectors = {name: constraint.get(name) for name in ("namespaceSelector", "objectSelector")}
    everything = [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*", "*/*"]}]
    included = constraint.get("resourceRules") or everything
    excluded = constraint.get("excludeResourceRules") or []
    return rules.wants({"rules": _named(included, subject), **selectors}, subject) and not rules.wants(
        {"rules": _named(excluded, subject)}, subject
    )


def _named(given: Iterable[Obj], subject: Subject) -> list[Obj]:
    name = name_of(subject.obj or subject.old or {})
    return [rule for rule in given if not rule.get("resourceNames") or name in rule["resourceNames"]]


def _objections(bound: Bound, values: Obj) -> Iterator[Objection]:
    spec = bound.policy["spec"]
    lenient = spec.get("failurePolicy") == "Ignore"
    try:
        values = {**values, "variables": {}}
        for condition in spec.get("matchConditions") or ():
            if _evaluate(condition["expression"], values) is not True:
                return
        for variable in spec.get("variables") or ():
            values["variables"] = {**values["variables"], variable["name"]: _evaluate(variable["expression"], values)}
    except cel.Failed as error:
        if not lenient:
            yield Objection(str(error))
        return
    for validation in spec.get("validations") or ():
        if objection := _objection(validation, values, lenient):
            yield objection


def _objection(validation: Obj, values: Obj, lenient: bool) -> Objection | None:
    expression = validation["expression"].strip()
    try:
        if _evaluate(expression, values) is True:
            return None
    except cel.NotServed:
        return None  # its author was warned
    except cel.Failed as error:
        return None if lenient else Objection(f"expression '{expression}' resulted in error: {error}")
    message = _explained(validation, values) or validation.get("message") or f"failed expression: {expression}"
    return Objection(message.strip(), validation.get("reason") or "Invalid")


def _explained(validation: Obj, values: Obj) -> str:
    if not validation.get("messageExpression"):
        return ""
    try:
        text = _evaluate(validation["messageExpression"], values)
    except (cel.Failed, cel.NotServed):
        return ""
    return text if isinstance(text, str) and text.strip() and "\n" not in text else ""


def _evaluate(expression: str, values: Obj) -> Any:
    return cel.program(expression, NAMES).evaluate(values)


def _refusal(bound: Bound, call: Call, admitted: Admitted, objection: Objection) -> ApiError:
    message = f"{bound.title} denied request: {objection.message}"
    name = name_of(admitted.obj or admitted.old or {})
    told = failures.forbidden(call.resource, name, message, causes=[{"message": message}]).to_status()
    code = _CODES.get(objection.reason, 422)
    return ApiError.from_status({**told, "reason": objection.reason, "code": code}, code)
