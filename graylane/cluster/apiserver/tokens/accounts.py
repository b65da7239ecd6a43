"""Whether a token still stands for its ServiceAccount.

Shell (reads the store). In: a token and the audiences it is shown to. Out: the user it makes, or `BadToken`: signed by
somebody else, expired, meant for others, or its account, pod or Secret is gone, even if one of that name came back.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from graylane.cluster.apiserver.exchange import User
from graylane.cluster.apiserver.store import Store
from graylane.cluster.apiserver.tokens.claims import Identity, Reference, identity_of
from graylane.cluster.apiserver.tokens.issuer import Issuer
from graylane.cluster.apiserver.tokens.jwt import BadToken
from graylane.model.meta import Key, Obj, dig, is_deleting, uid_of

_STORES = {"pod": "pods", "secret": "secrets", "node": "nodes"}
_EXTRA = "authentication.kubernetes.io/"


@dataclass(frozen=True, slots=True)
class Known:
    """A user, and which of the asked audiences his token is good for."""

    user: User
    audiences: tuple[str, ...]


class Accounts:
    def __init__(self, store: Store, issuer: Issuer, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._issuer = issuer
        self._clock = clock

    def known(self, token: str, audiences: tuple[str, ...]) -> Known:
        identity = identity_of(self._issuer.read(token))
        identity.holds_at(self._clock())
        shared = tuple(audience for audience in audiences if audience in identity.audiences)
        if not shared:
            raise BadToken(
                f"token audiences {list(identity.audiences)} is invalid for the target audiences {list(audiences)}"
            )
        self._require_account(identity)
        if identity.bound is not None:
            self._require_bound(identity, identity.bound, token)
        return Known(_user(identity), shared)

    def _require_account(self, identity: Identity) -> None:
        entry = self._store.get("serviceaccounts", Key(identity.namespace, identity.account))
        if entry is None or is_deleting(entry.obj):
            raise BadToken(f'serviceaccounts "{identity.account}" not found')
        if uid_of(entry.obj) != identity.uid:
            raise BadToken(f"service account UID ({uid_of(entry.obj)}) does not match claim ({identity.uid})")

    def _require_bound(self, identity: Identity, bound: Reference, token: str) -> None:
        namespace = "" if bound.kind == "node" else identity.namespace
        entry = self._store.get(_STORES[bound.kind], Key(namespace, bound.name))
        if entry is None:
            raise BadToken(
                f'service account token has been invalidated: {_STORES[bound.kind]} "{bound.name}" not found'
            )
        if identity.expires is None:
            _require_kept(entry.obj, token)
        elif uid_of(entry.obj) != bound.uid:
            raise BadToken(f"{bound.kind} UID ({uid_of(entry.obj)}) does not match claim ({bound.uid})")


def _require_kept(secret: Obj, token: str) -> None:
    """A token taken out of its Secret, or replaced there, is revoked."""
    found = base64.b64decode(dig(secret, "data", "token", default=""))
    if not hmac.compare_digest(found, token.encode()):
        raise BadToken("service account token does not match the one in its secret")


def _user(identity: Identity) -> User:
    extra: list[tuple[str, tuple[str, ...]]] = []
    if identity.token_id:
        extra.append((f"{_EXTRA}credential-id", (f"JTI={identity.token_id}",)))
    if identity.bound is not None and identity.bound.kind in ("pod", "node"):
        extra.append((f"{_EXTRA}{identity.bound.kind}-name", (identity.bound.name,)))
        extra.append((f"{_EXTRA}{identity.bound.kind}-uid", (identity.bound.uid,)))
    return User(identity.user_name, identity.groups, identity.uid, tuple(extra))
