"""`serviceaccounts/token`: a token for an account, good for a while and, if asked for, no longer than a pod lives.

Shell (reads the store, asks the issuer). In: a TokenRequest. Out: 201 and the TokenRequest with its token. Nothing is
stored: the token itself says all there is.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from graylane.cluster.apiserver import bodies, failures
from graylane.cluster.apiserver.context import Call
from graylane.cluster.apiserver.exchange import Reply
from graylane.cluster.apiserver.resources import Resource
from graylane.cluster.apiserver.schema.fielderror import FieldError, as_api_error, invalid
from graylane.cluster.apiserver.schema.schemas import Schemas
from graylane.cluster.apiserver.tokens.claims import BOUND_KINDS, ISSUER, Identity, Reference, requested
from graylane.errors import BadRequest, Conflict, NotFound
from graylane.model.meta import Key, Obj, dig, format_time, uid_of

GROUP, VERSION, KIND = "authentication.k8s.io", "v1", "TokenRequest"
_HOUR = 3600
_SHORTEST, _LONGEST = 600, 1 << 32
_KINDS = {kind.capitalize(): kind for kind in BOUND_KINDS}


async def create(call: Call) -> Reply:
    request = _read(call)
    account = call.api.store.get(call.resource.store, call.key)
    if account is None:
        raise failures.not_found(call.resource, call.target.name)
    spec = request.get("spec") or {}
    now = int(call.api.clock().timestamp())
    seconds = spec.get("expirationSeconds") or _HOUR
    identity = Identity(
        namespace=call.key.namespace,
        account=call.key.name,
        uid=uid_of(account.obj),
        audiences=tuple(spec.get("audiences") or (ISSUER,)),
        bound=_bound(call, spec.get("boundObjectRef")),
        token_id=str(uuid.uuid4()),
        expires=now + seconds,
        not_before=now,
    )
    token = call.api.issuer.sign(requested(identity, now))
    return Reply.json(_answer(call, spec, identity, token, seconds), 201)


def _read(call: Call) -> Obj:
    loaded = bodies.load(call.request.body, call.request.headers.get("content-type", ""))
    request = bodies.expect_kind(loaded, f"{GROUP}/{VERSION}", KIND, lenient=True)
    structural = Schemas.load().of(GROUP, VERSION, KIND)
    assert structural is not None
    bodies.check_types(structural, request, GROUP, VERSION, KIND)
    errors = _problems(request.get("spec") or {})
    if errors:
        raise as_api_error(GROUP, VERSION, KIND, call.target.name, errors)
    return request


def _problems(spec: Obj) -> list[FieldError]:
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _SHORTEST:
        return [invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")]
    if seconds is not None and seconds > _LONGEST:
        return [invalid("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")]
    return []


def _bound(call: Call, reference: Obj | None) -> Reference | None:
    """The object that the token shall not outlive; it must be there, and a pod must run as this account."""
    if not reference:
        return None
    kind, name = _KINDS.get(reference.get("kind") or ""), reference.get("name") or ""
    if kind is None or (reference.get("apiVersion") or "v1") != "v1":
        raise BadRequest(
            f"cannot bind token to object of type {reference.get('apiVersion')}, Kind={reference.get('kind')}"
        )
    resource = call.api.registry.find("", "v1", f"{kind}s")
    assert resource is not None
    obj = _existing(call, resource, name)
    if kind == "pod" and dig(obj, "spec", "serviceAccountName", default="default") != call.key.name:
        message = (
            f'cannot bind token for serviceaccount "{call.key.name}" to pod running with different serviceaccount name.'
        )
        raise BadRequest(message)
    _require_same(resource, name, str(reference.get("uid") or ""), uid_of(obj))
    return Reference(kind, name, uid_of(obj))


def _existing(call: Call, resource: Resource, name: str) -> Obj:
    entry = call.api.store.get(resource.store, Key(call.key.namespace if resource.namespaced else "", name))
    if entry is None:
        raise NotFound(failures.not_found(resource, name).message)
    return entry.obj


def _require_same(resource: Resource, name: str, asked: str, found: str) -> None:
    if asked and asked != found:
        raise Conflict(
            f'Operation cannot be fulfilled on {resource.store} "{name}": the UID in the bound object reference '
            f"({asked}) does not match the UID in record. The object might have been deleted and then recreated"
        )


def _answer(call: Call, spec: Obj, identity: Identity, token: str, seconds: int) -> Obj:
    now = format_time(call.api.clock())
    assert identity.expires is not None
    ends = format_time(datetime.fromtimestamp(identity.expires, UTC))
    shown: Obj = {"audiences": list(identity.audiences), "expirationSeconds": seconds}
    shown["boundObjectRef"] = spec.get("boundObjectRef")
    return {
        "kind": KIND,
        "apiVersion": f"{GROUP}/{VERSION}",
        "metadata": {"name": call.key.name, "namespace": call.key.namespace, "creationTimestamp": now},
        "spec": shown,
        "status": {"token": token, "expirationTimestamp": ends},
    }
