"""Nobody hands out rights he does not have.

Pure but for what the authorizer knows. In: a role or binding that is about to be stored, and who stores it. Out: 403
naming the rights that are missing, unless the writer may `escalate` that role, or `bind` to the role a binding names.
"""

from __future__ import annotations

from collections.abc import Sequence

from graylane.cluster.apiserver import failures
from graylane.cluster.apiserver.admission.chain import Admitted
from graylane.cluster.apiserver.authorization.attributes import Attributes
from graylane.cluster.apiserver.authorization.authorizer import GROUP, is_admin
from graylane.cluster.apiserver.authorization.policy import absent, rules_of
from graylane.cluster.apiserver.authorization.rules import EVERYTHING, Rule, missing, quoted
from graylane.cluster.apiserver.context import Call
from graylane.errors import NotFound
from graylane.model.meta import Obj, name_of

_ROLES, _BINDINGS = ("Role", "ClusterRole"), ("RoleBinding", "ClusterRoleBinding")
_PLURALS = {"Role": "roles", "ClusterRole": "clusterroles"}
_COLLECTED = ("ownerReferences", "finalizers", "resourceVersion", "managedFields")


class Escalation:
    """Implements `chain.Admission`; it changes nothing."""

    async def mutate(self, call: Call, admitted: Admitted) -> Obj:
        return admitted.obj if admitted.obj is not None else admitted.old or {}

    async def validate(self, call: Call, admitted: Admitted) -> None:
        obj = admitted.obj
        if call.resource.group != GROUP or obj is None or is_admin(call.user):
            return
        if admitted.old is not None and _without(admitted.old) == _without(obj):
            return  # the garbage collector must be able to let go of what it could not grant
        if obj["kind"] in _ROLES:
            _check_role(call, obj)
        elif obj["kind"] in _BINDINGS:
            _check_binding(call, obj)


def _without(obj: Obj) -> Obj:
    return {**obj, "metadata": {name: value for name, value in obj["metadata"].items() if name not in _COLLECTED}}


def _check_role(call: Call, role: Obj) -> None:
    if _may(call, "escalate", role["kind"], name_of(role)):
        return
    _confirm(call, name_of(role), rules_of(role))
    if role.get("aggregationRule") and missing(_held(call), EVERYTHING):
        why = "must have cluster-admin privileges to use the aggregationRule"
        raise failures.forbidden(call.resource, name_of(role), why)


def _check_binding(call: Call, binding: Obj) -> None:
    reference = binding["roleRef"]
    if _may(call, "bind", reference["kind"], reference["name"]):
        return
    policy = call.api.authorizer.policy
    rules = policy.rules(reference["kind"], reference["name"], call.key.namespace)
    if rules is None:
        raise NotFound(absent(reference["kind"], reference["name"]))
    _confirm(call, name_of(binding), rules)


def _may(call: Call, verb: str, kind: str, name: str) -> bool:
    """With the binding's namespace even for a ClusterRole: binding it there is less than binding it everywhere."""
    asked = Attributes(verb, GROUP, _PLURALS[kind], name=name, namespace=call.key.namespace)
    return call.api.authorizer.allows(call.user, asked)


def _confirm(call: Call, name: str, rules: Sequence[Rule]) -> None:
    lacking = sorted(map(str, missing(_held(call), rules)))
    if not lacking:
        return
    user = call.user
    why = (
        f'user "{user.name}" (groups={quoted(user.groups)}) is attempting to grant RBAC permissions not currently held:'
    )
    why = "\n".join([why, *lacking])
    if trouble := call.api.authorizer.grants(user, call.key.namespace).problems:
        why += f"; resolution errors: [{', '.join(trouble)}]"
    raise failures.forbidden(call.resource, name, why)


def _held(call: Call) -> list[Rule]:
    return [grant.rule for grant in call.api.authorizer.grants(call.user, call.key.namespace).rules]
