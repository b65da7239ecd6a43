"""Acting as somebody else: `kubectl --as jane --as-group dev`.

Pure but for what the authorizer knows. In: the user whom the credential names, and the Impersonate headers. Out: the
user to act as, or 403 when one of the parts may not be impersonated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from graylane.cluster.apiserver.authorization.attributes import Attributes
from graylane.cluster.apiserver.authorization.authorizer import Authorizer
from graylane.cluster.apiserver.exchange import SEPARATOR, User
from graylane.errors import InternalError

AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
ANONYMOUS = "system:anonymous"
_ACCOUNT, _ACCOUNTS = "system:serviceaccount:", "system:serviceaccounts"
_EXTRA = "impersonate-extra-"
_GROUP = "authentication.k8s.io"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the headers say; everything empty means that nobody is impersonated."""

    name: str = ""
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @staticmethod
    def of(headers: Mapping[str, str]) -> Wanted:
        extra = {
            unquote(name.removeprefix(_EXTRA)): tuple(value.split(SEPARATOR))
            for name, value in headers.items()
            if name.startswith(_EXTRA)
        }
        groups = headers.get("impersonate-group", "")
        return Wanted(
            name=headers.get("impersonate-user", ""),
            groups=tuple(groups.split(SEPARATOR)) if groups else (),
            uid=headers.get("impersonate-uid", ""),
            extra=tuple(sorted(extra.items())),
        )

    def rights(self) -> Iterator[Attributes]:
        """Each part is a right of its own."""
        namespace, name = account(self.name)
        if name:
            yield Attributes("impersonate", resource="serviceaccounts", name=name, namespace=namespace)
        else:
            yield Attributes("impersonate", resource="users", name=self.name)
        for group in self.groups:
            yield Attributes("impersonate", resource="groups", name=group)
        for key, values in self.extra:
            for value in values:
                yield Attributes("impersonate", _GROUP, "userextras", key, value)
        if self.uid:
            yield Attributes("impersonate", _GROUP, "uids", name=self.uid)

    def user(self) -> User:
        return User(self.name, completed(self.name, self.groups), self.uid, self.extra)


def acting(user: User, headers: Mapping[str, str], authorizer: Authorizer) -> User:
    """`user` itself when no header asks for somebody else."""
    if not any(name.startswith("impersonate-") for name in headers):
        return user
    wanted = Wanted.of(headers)
    if wanted == Wanted():
        return user
    if not wanted.name:
        raise InternalError("Internal error occurred: impersonation headers without impersonating a user")
    for asked in wanted.rights():
        authorizer.require(user, asked)
    return wanted.user()


def completed(name: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    """With the groups that follow from the name. A service account has its own unless others were asked for."""
    namespace, account_name = account(name)
    if account_name and not groups:
        groups = (_ACCOUNTS, f"{_ACCOUNTS}:{namespace}")
    implied = UNAUTHENTICATED if name == ANONYMOUS else AUTHENTICATED
    return groups if {AUTHENTICATED, UNAUTHENTICATED} & set(groups) else (*groups, implied)


def account(name: str) -> tuple[str, str]:
    """(namespace, name) of `system:serviceaccount:shop:web`; empty for other users."""
    namespace, _, account_name = name.removeprefix(_ACCOUNT).partition(":")
    named = name.startswith(_ACCOUNT) and namespace and account_name and ":" not in account_name
    return (namespace, account_name) if named else ("", "")
