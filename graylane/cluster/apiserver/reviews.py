"""Who am I, what may I, whose token is this: the review kinds, answered at once and never stored.

Pure but for what the authorizer and the authenticator know. In: a review and the user who sent it. Out: the review with
its status; the same answers that every request gets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graylane.cluster.apiserver import bodies
from graylane.cluster.apiserver.authorization import attributes
from graylane.cluster.apiserver.authorization.rules import Rule
from graylane.cluster.apiserver.context import Api
from graylane.cluster.apiserver.exchange import Reply, Request, User
from graylane.cluster.apiserver.paths import Target
from graylane.cluster.apiserver.resources import REVIEWS, Review
from graylane.cluster.apiserver.schema.fielderror import FieldError, as_api_error, invalid, required
from graylane.cluster.apiserver.schema.schemas import Schemas
from graylane.cluster.apiserver.tokens.jwt import BadToken
from graylane.errors import BadRequest
from graylane.model.meta import Obj, dig


@dataclass(frozen=True, slots=True)
class Asked:
    """A review, who asks, and the namespace in the path."""

    api: Api
    user: User
    namespace: str
    spec: Obj


def find(target: Target) -> Review | None:
    wanted = (target.group, target.version, target.plural)
    return next((r for r in REVIEWS if (r.group, r.version, r.plural) == wanted), None)


def answer(api: Api, review: Review, target: Target, request: Request, user: User) -> Reply:
    obj = _read(review, request)
    spec = obj.get("spec") or {}
    errors = _PROBLEMS.get(review.kind, _none)(Asked(api, user, target.namespace, spec))
    if errors:
        raise as_api_error(review.group, review.version, review.kind, "", errors)
    status = _STATUS[review.kind](Asked(api, user, target.namespace, spec))
    return Reply.json({**obj, "status": status}, 201)


def _read(review: Review, request: Request) -> Obj:
    loaded = bodies.load(request.body, request.headers.get("content-type", ""))
    obj = bodies.expect_kind(loaded, f"{review.group}/{review.version}", review.kind, lenient=True)
    structural = Schemas.load().of(review.group, review.version, review.kind)
    assert structural is not None
    bodies.check_types(structural, obj, review.group, review.version, review.kind)
    return structural.prune(obj)


def _who(asked: Asked) -> Obj:
    return {"userInfo": asked.user.info()}


def _may_self(asked: Asked) -> Obj:
    return _allowed(asked, asked.user)


def _may_other(asked: Asked) -> Obj:
    spec = asked.spec
    extra = tuple((key, tuple(values)) for key, values in sorted((spec.get("extra") or {}).items()))
    user = User(spec.get("user") or "", tuple(spec.get("groups") or ()), spec.get("uid") or "", extra)
    return _allowed(asked, user)


def _allowed(asked: Asked, user: User) -> Obj:
    decision = asked.api.authorizer.decide(user, attributes.of_review(asked.spec))
    return {"allowed": decision.allowed} | ({"reason": decision.reason} if decision.reason else {})


def _rules(asked: Asked) -> Obj:
    namespace = asked.spec.get("namespace")
    if not namespace:
        raise BadRequest("no namespace on request")
    grants = asked.api.authorizer.grants(asked.user, namespace)
    status: Obj = {
        "resourceRules": [_resource_rule(grant.rule) for grant in grants.rules if grant.rule.resources],
        "nonResourceRules": [_path_rule(grant.rule) for grant in grants.rules if grant.rule.urls],
        "incomplete": bool(grants.problems),
    }
    return status | ({"evaluationError": grants.trouble} if grants.problems else {})


def _resource_rule(rule: Rule) -> Obj:
    return {name: values for name, values in rule.to_obj().items() if name != "nonResourceURLs"}


def _path_rule(rule: Rule) -> Obj:
    return {"verbs": list(rule.verbs), "nonResourceURLs": list(rule.urls)}


def _whose(asked: Asked) -> Obj:
    try:
        known = asked.api.authenticator.known(asked.spec["token"], tuple(asked.spec.get("audiences") or ()))
    except BadToken as error:
        return {"user": {}, "error": str(error)}
    return {"authenticated": True, "user": known.user.info(), "audiences": list(known.audiences)}


def _none(asked: Asked) -> list[FieldError]:
    return []


def _one_question(asked: Asked) -> list[FieldError]:
    resource, path = asked.spec.get("resourceAttributes"), asked.spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        detail = "cannot be specified in combination with resourceAttributes"
        return [invalid("spec.nonResourceAttributes", path, detail)]
    if resource is None and path is None:
        return [
            invalid(
                "spec.resourceAttributes",
                None,
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )
        ]
    return []


def _about_somebody(asked: Asked) -> list[FieldError]:
    if asked.spec.get("user") or asked.spec.get("groups"):
        return _one_question(asked)
    return [*_one_question(asked), invalid("spec.user", "", "at least one of user or group must be specified")]


def _in_this_namespace(asked: Asked) -> list[FieldError]:
    found = dig(asked.spec, "resourceAttributes", "namespace", default="")
    errors = _about_somebody(asked)
    if asked.spec.get("nonResourceAttributes") is not None:
        errors.append(
            invalid(
                "spec.nonResourceAttributes", asked.spec["nonResourceAttributes"], "disallowed on this kind of request"
            )
        )
    if found != asked.namespace:
        errors.append(invalid("spec.resourceAttributes.namespace", found, "must match metadata.namespace"))
    return errors


def _has_token(asked: Asked) -> list[FieldError]:
    return [] if asked.spec.get("token") else [required("spec.token")]


_STATUS: dict[str, Callable[[Asked], Obj]] = {
    "SelfSubjectReview": _who,
    "SelfSubjectAccessReview": _may_self,
    "SubjectAccessReview": _may_other,
    "LocalSubjectAccessReview": _may_other,
    "SelfSubjectRulesReview": _rules,
    "TokenReview": _whose,
}
_PROBLEMS: dict[str, Callable[[Asked], list[FieldError]]] = {
    "SelfSubjectAccessReview": _one_question,
    "SubjectAccessReview": _about_somebody,
    "LocalSubjectAccessReview": _in_this_namespace,
    "TokenReview": _has_token,
}
