"""Yes or no to one request, by the roles and bindings that are stored at this moment.

Shell (reads the store). In: a user and what is asked. Out: a `Decision`, or 403. Members of `system:masters` are not
looked up: the credential of the kubeconfig works even when somebody deleted every binding.
"""

from __future__ import annotations

from graylane.cluster.apiserver.authorization.attributes import Attributes, refusal
from graylane.cluster.apiserver.authorization.policy import Decision, Grants, Policy
from graylane.cluster.apiserver.exchange import User
from graylane.cluster.apiserver.store import Event, Store

ADMINS = "system:masters"
GROUP = "rbac.authorization.k8s.io"
CLUSTER_ROLES = f"clusterroles.{GROUP}"
_ROLES = (f"roles.{GROUP}", CLUSTER_ROLES)
_BINDINGS = (f"rolebindings.{GROUP}", f"clusterrolebindings.{GROUP}")
_REMEMBERED = 1024


def is_admin(user: User) -> bool:
    return ADMINS in user.groups


class Authorizer:
    """Reads the rules again after a change of any role or binding, which its writer sees at once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._policy: Policy | None = None
        self._grants: dict[tuple[str, tuple[str, ...], str], Grants] = {}
        store.on_commit(self._on_commit)

    def require(self, user: User, asked: Attributes) -> None:
        decision = self.decide(user, asked)
        if not decision.allowed:
            raise refusal(user, asked, decision.reason)

    def allows(self, user: User, asked: Attributes) -> bool:
        return self.decide(user, asked).allowed

    def decide(self, user: User, asked: Attributes) -> Decision:
        if is_admin(user):
            return Decision(True)
        return self.grants(user, asked.namespace).decide(asked)

    def grants(self, user: User, namespace: str) -> Grants:
        key = (user.name, user.groups, namespace)
        found = self._grants.get(key)
        if found is None:
            if len(self._grants) >= _REMEMBERED:
                self._grants.clear()
            found = self._grants[key] = self.policy.grants(user, namespace)
        return found

    @property
    def policy(self) -> Policy:
        if self._policy is None:
            self._policy = Policy.of(
                [entry.obj for kind in _ROLES for entry in self._store.entries(kind)],
                [entry.obj for kind in _BINDINGS for entry in self._store.entries(kind)],
            )
        return self._policy

    def _on_commit(self, event: Event) -> None:
        if event.resource in _ROLES or event.resource in _BINDINGS:
            self._policy = None
            self._grants.clear()
