"""Who am I, and what may I: the review kinds, answered from the user and the authorizer, never stored.

Pure. In: a review and the user who sent it. Out: the review with its status.
"""

from __future__ import annotations

from graylane.cluster.apiserver import auth, bodies
from graylane.cluster.apiserver.exchange import Reply, Request, User
from graylane.cluster.apiserver.resources import REVIEWS, Review
from graylane.model.meta import Obj, dig

_EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_EVERY_PATH = {"verbs": ["*"], "nonResourceURLs": ["*"]}


def find(group: str, version: str, plural: str) -> Review | None:
    return next((r for r in REVIEWS if (r.group, r.version, r.plural) == (group, version, plural)), None)


def answer(review: Review, request: Request, user: User) -> Reply:
    loaded = bodies.load(request.body, request.headers.get("content-type", ""))
    obj = bodies.expect_kind(loaded, f"{review.group}/{review.version}", review.kind, lenient=True)
    return Reply.json({**obj, "status": _STATUS[review.kind](obj, user)}, 201)


def _who(obj: Obj, user: User) -> Obj:
    return {"userInfo": {"username": user.name, "uid": user.uid, "groups": list(user.groups)}}


def _may_self(obj: Obj, user: User) -> Obj:
    return _allowed(user)


def _may_other(obj: Obj, user: User) -> Obj:
    spec = obj.get("spec") or {}
    return _allowed(User(str(spec.get("user") or ""), tuple(spec.get("groups") or ())))


def _allowed(user: User) -> Obj:
    if auth.is_admin(user):
        return {"allowed": True, "reason": f"{user.name} is a member of {auth.ADMINS}"}
    return {"allowed": False, "reason": f"only members of {auth.ADMINS} may use this server"}


def _rules(obj: Obj, user: User) -> Obj:
    allowed = auth.is_admin(user) and dig(obj, "spec", "namespace") is not None
    return {
        "resourceRules": [_EVERYTHING] if allowed else [],
        "nonResourceRules": [_EVERY_PATH] if allowed else [],
        "incomplete": False,
    }


_STATUS = {
    "SelfSubjectReview": _who,
    "SelfSubjectAccessReview": _may_self,
    "SubjectAccessReview": _may_other,
    "LocalSubjectAccessReview": _may_other,
    "SelfSubjectRulesReview": _rules,
}
