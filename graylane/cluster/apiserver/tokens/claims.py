"""What a ServiceAccount's token says.

Pure. In: an account, an audience, a lifetime, perhaps a pod the token lives and dies with. Out: claims as Kubernetes
writes them, and from claims the `Identity` they state; `BadToken` for claims that are not like that. Two forms exist:
tokens that were requested, which end, and those kept in Secrets, which end with their Secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graylane.cluster.apiserver.tokens.jwt import BadToken
from graylane.model.meta import Obj, dig

ISSUER = "https://kubernetes.default.svc.cluster.local"
_KEPT_ISSUER = "kubernetes/serviceaccount"
_PRIVATE = "kubernetes.io"
_KEPT = "kubernetes.io/serviceaccount/"
BOUND_KINDS = ("pod", "secret", "node")


@dataclass(frozen=True, slots=True)
class Reference:
    """An object; `kind` is one of `BOUND_KINDS`."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Which account, and what the token's life depends on. `expires` is None for tokens kept in Secrets."""

    namespace: str
    account: str
    uid: str
    audiences: tuple[str, ...] = (ISSUER,)
    bound: Reference | None = None
    token_id: str = ""
    expires: int | None = None
    not_before: int = 0

    @property
    def user_name(self) -> str:
        return f"system:serviceaccount:{self.namespace}:{self.account}"

    @property
    def groups(self) -> tuple[str, ...]:
        return ("system:serviceaccounts", f"system:serviceaccounts:{self.namespace}", "system:authenticated")

    def holds_at(self, now: datetime) -> None:
        """Raise when it is too early or too late."""
        if self.expires is not None and now.timestamp() >= self.expires:
            raise BadToken("service account token has expired")
        if now.timestamp() < self.not_before:
            raise BadToken("service account token is not valid yet")


def requested(identity: Identity, issued: int) -> Obj:
    private: Obj = {
        "namespace": identity.namespace,
        "serviceaccount": {"name": identity.account, "uid": identity.uid},
    }
    if identity.bound is not None:
        private[identity.bound.kind] = {"name": identity.bound.name, "uid": identity.bound.uid}
    return {
        "aud": list(identity.audiences),
        "exp": identity.expires,
        "iat": issued,
        "iss": ISSUER,
        "jti": identity.token_id,
        _PRIVATE: private,
        "nbf": identity.not_before,
        "sub": identity.user_name,
    }


def kept(identity: Identity, secret: str) -> Obj:
    return {
        "iss": _KEPT_ISSUER,
        f"{_KEPT}namespace": identity.namespace,
        f"{_KEPT}secret.name": secret,
        f"{_KEPT}service-account.name": identity.account,
        f"{_KEPT}service-account.uid": identity.uid,
        "sub": identity.user_name,
    }


def identity_of(claims: Obj) -> Identity:
    match claims.get("iss"):
        case str() as issuer if issuer == ISSUER:
            found = _requested(claims)
        case str() as issuer if issuer == _KEPT_ISSUER:
            found = _kept(claims)
        case issuer:
            raise BadToken(f"invalid bearer token: its issuer {issuer!r} is not known")
    if claims.get("sub") != found.user_name:
        raise BadToken("invalid bearer token: its subject is not its service account")
    return found


def _requested(claims: Obj) -> Identity:
    private = claims.get(_PRIVATE)
    return Identity(
        namespace=_string(private, "namespace"),
        account=_string(private, "serviceaccount", "name"),
        uid=_string(private, "serviceaccount", "uid"),
        audiences=tuple(str(audience) for audience in claims.get("aud") or ()),
        bound=_bound(private),
        token_id=str(claims.get("jti") or ""),
        expires=_number(claims, "exp"),
        not_before=_number(claims, "nbf"),
    )


def _kept(claims: Obj) -> Identity:
    return Identity(
        namespace=_string(claims, f"{_KEPT}namespace"),
        account=_string(claims, f"{_KEPT}service-account.name"),
        uid=_string(claims, f"{_KEPT}service-account.uid"),
        bound=Reference("secret", _string(claims, f"{_KEPT}secret.name"), ""),
    )


def _bound(private: Any) -> Reference | None:
    for kind in BOUND_KINDS:
        if dig(private, kind):
            return Reference(kind, _string(private, kind, "name"), _string(private, kind, "uid"))
    return None


def _string(claims: Any, *path: str) -> str:
    value = dig(claims, *path)
    if not isinstance(value, str) or not value:
        raise BadToken(f"invalid bearer token: it does not say {'.'.join(path)}")
    return value


def _number(claims: Obj, name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadToken(f"invalid bearer token: it does not say {name}")
    return value
