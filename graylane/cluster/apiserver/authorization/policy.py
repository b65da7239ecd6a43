"""Roles and bindings as one frozen value, and the decision it leads to.

Pure. In: the four RBAC kinds as objects. Out: `Policy`, which lists the rules that hold for a user in a namespace and
decides one request; a `Decision` names the binding that allowed it. Rules only ever allow, so their order is of no
consequence to the answer, only to the reason given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from graylane.cluster.apiserver.authorization.attributes import Attributes
from graylane.cluster.apiserver.authorization.rules import Rule
from graylane.cluster.apiserver.exchange import User
from graylane.model.meta import Obj, dig, key_of, name_of, namespace_of

_GROUP = "rbac.authorization.k8s.io"
_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` says by which binding, or which referenced roles do not exist."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """One rule that holds, and through what."""

    rule: Rule
    through: str


@dataclass(frozen=True, slots=True)
class Grants:
    """All that holds for one user in one namespace; `problems` names roles that bindings refer to in vain."""

    rules: tuple[Grant, ...]
    problems: tuple[str, ...] = ()

    def decide(self, asked: Attributes) -> Decision:
        for grant in self.rules:
            if grant.rule.allows(asked):
                return Decision(True, f"RBAC: allowed by {grant.through}")
        return Decision(False, f"RBAC: {self.trouble}" if self.problems else "")

    @property
    def trouble(self) -> str:
        """Several problems as Go prints an aggregate of errors."""
        return self.problems[0] if len(self.problems) == 1 else f"[{', '.join(self.problems)}]"


@dataclass(frozen=True, slots=True)
class Binding:
    """A RoleBinding, or, with namespace "", a ClusterRoleBinding."""

    kind: str
    name: str
    namespace: str
    role_kind: str
    role: str
    subjects: tuple[Obj, ...]

    @staticmethod
    def of(obj: Obj) -> Binding:
        reference = obj.get("roleRef") or {}
        return Binding(
            kind=obj["kind"],
            name=name_of(obj),
            namespace=namespace_of(obj),
            role_kind=reference.get("kind") or "",
            role=reference.get("name") or "",
            subjects=tuple(obj.get("subjects") or ()),
        )

    def told(self, subject: Obj) -> str:
        """kube-apiserver writes name before namespace here, and so do we: tools look for the sentence."""
        name = f"{self.name}/{self.namespace}" if self.namespace else self.name
        return f'{self.kind} "{name}" of {self.role_kind} "{self.role}" to {_subject(subject, self.namespace)}'


@dataclass(frozen=True, slots=True)
class Policy:
    """`roles` are keyed by (namespace, name), cluster roles by ("", name)."""

    roles: Mapping[tuple[str, str], tuple[Rule, ...]] = field(default_factory=dict)
    bindings: Mapping[str, tuple[Binding, ...]] = field(default_factory=dict)

    @staticmethod
    def of(roles: Iterable[Obj], bindings: Iterable[Obj]) -> Policy:
        by_namespace: dict[str, list[Binding]] = {}
        for obj in bindings:
            by_namespace.setdefault(namespace_of(obj), []).append(Binding.of(obj))
        return Policy(
            roles={key_of(obj): rules_of(obj) for obj in roles},
            bindings={namespace: tuple(found) for namespace, found in by_namespace.items()},
        )

    def grants(self, user: User, namespace: str) -> Grants:
        """Cluster-wide bindings, then those of the namespace."""
        rules: list[Grant] = []
        problems: list[str] = []
        for binding in self._bindings(namespace):
            subject = next((one for one in binding.subjects if applies(one, user, binding.namespace)), None)
            if subject is None:
                continue
            found = self.rules(binding.role_kind, binding.role, binding.namespace)
            if found is None:
                problems.append(absent(binding.role_kind, binding.role))
            else:
                rules += (Grant(rule, binding.told(subject)) for rule in found)
        return Grants(tuple(rules), tuple(problems))

    def rules(self, kind: str, name: str, namespace: str) -> tuple[Rule, ...] | None:
        """None when there is no such role."""
        return self.roles.get(("" if kind == "ClusterRole" else namespace, name))

    def _bindings(self, namespace: str) -> Iterator[Binding]:
        yield from self.bindings.get("", ())
        if namespace:
            yield from self.bindings.get(namespace, ())


def rules_of(role: Obj) -> tuple[Rule, ...]:
    return tuple(Rule.of(rule) for rule in role.get("rules") or ())


def absent(kind: str, name: str) -> str:
    return f'{kind.lower()}.{_GROUP} "{name}" not found'


def applies(subject: Obj, user: User, namespace: str) -> bool:
    """Whether a binding in `namespace` means `user`."""
    name = subject.get("name") or ""
    match subject.get("kind"):
        case "User":
            return bool(user.name == name)
        case "Group":
            return name in user.groups
        case "ServiceAccount":
            home = subject.get("namespace") or namespace
            return bool(home) and user.name == f"{_ACCOUNT}{home}:{name}"
    return False


def _subject(subject: Obj, namespace: str) -> str:
    name = dig(subject, "name", default="")
    if subject.get("kind") == "ServiceAccount":
        name = f"{name}/{subject.get('namespace') or namespace}"
    return f'{subject.get("kind")} "{name}"'
