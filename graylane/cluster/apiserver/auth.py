"""Who asks, and whether they may.

Pure. In: the Authorization header and the table of tokens. Out: a `User`, or 401; 403 for users who are not admins.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from graylane.cluster.apiserver.exchange import User
from graylane.errors import Forbidden, Unauthorized

ADMINS = "system:masters"
_AUTHENTICATED = "system:authenticated"
_OPEN_PATHS = ("/healthz", "/livez", "/readyz", "/version")


def authenticate(header: str, tokens: Mapping[str, User]) -> User:
    """The user of a bearer token. Every token is compared, in constant time, so that timing tells nothing."""
    scheme, _, token = header.partition(" ")
    found: User | None = None
    for known, user in tokens.items():
        if hmac.compare_digest(known.encode(), token.strip().encode()):
            found = user
    if scheme.lower() != "bearer" or found is None:
        raise Unauthorized("Unauthorized")
    groups = found.groups if _AUTHENTICATED in found.groups else (*found.groups, _AUTHENTICATED)
    return User(found.name, groups, found.uid)


def is_open(path: str) -> bool:
    """Health and version are told to anybody, as by a default kube-apiserver."""
    return path.rstrip("/") in _OPEN_PATHS or path.startswith(("/livez/", "/readyz/", "/healthz/"))


def is_admin(user: User) -> bool:
    return ADMINS in user.groups


def authorize(user: User, verb: str, what: str) -> None:
    if not is_admin(user):
        raise Forbidden(f'{what} is forbidden: User "{user.name}" cannot {verb} it: not a member of {ADMINS}')
